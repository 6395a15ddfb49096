package blockdevtest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// reopenAs reopens d with or without permission to write.
func reopenAs(d *blockdev.Device, readOnly string) error {
	var o driver.Options
	o.Set("read-only", readOnly)
	return d.Reopen(context.Background(), &o)
}

// testReopen takes the permission to write away and gives it back. What was written is flushed
// before it is taken.
func (s Subject) testReopen(t *testing.T) {
	ctx := context.Background()
	d := s.fresh(t)
	data := noise(8, 70_000)
	must(t, d.Write(ctx, driver.Vec{bytes.Clone(data)}, 100, 0))
	memory, onMemory := driver.Find[*Memory](d.Top())
	flushes := 0
	if onMemory {
		flushes = memory.Count("flush")
	}
	must(t, reopenAs(d, "on"))
	if onMemory && !s.Mode.NoFlush && memory.Count("flush") == flushes {
		t.Error("not flushed")
	}
	if err := d.Write(ctx, driver.Vec{{1}}, 0, 0); !d.ReadOnly() ||
		!errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("read-only: %v", err)
	}
	s.expect(t, d, 100, data)
	must(t, d.Flush(ctx))
	must(t, reopenAs(d, "off"))
	data[0] ^= 1
	must(t, d.Write(ctx, driver.Vec{data[:1]}, 100, 0))
	s.expect(t, d, 100, data)
	must(t, reopenAs(d, "off"))
}

// testReopenBusy reopens a device that others use meanwhile. Their requests are done before or
// after, never in between.
func (s Subject) testReopenBusy(t *testing.T) {
	const users, rounds, span = 4, 20, 5000
	d := s.fresh(t)
	var wg sync.WaitGroup
	errs := make([]error, users+1)
	for u := range users {
		wg.Go(func() {
			for round := range rounds {
				errs[u] = errors.Join(errs[u],
					s.use(d, int64(u*span), noise(uint64(u*rounds+round), span)))
			}
		})
	}
	for range rounds / 2 {
		errs[users] = errors.Join(errs[users], reopenAs(d, "on"), reopenAs(d, "off"))
	}
	wg.Wait()
	must(t, errors.Join(errs...))
}

// use writes data and reads it back, and asks what the state of the device is. While it is
// read-only, writing may be refused.
func (s Subject) use(d *blockdev.Device, off int64, data []byte) error {
	ctx := context.Background()
	_, _, _ = d.ReadOnly(), d.Chain(), d.Info()
	err := d.Write(ctx, driver.Vec{bytes.Clone(data)}, off, 0)
	if errors.Is(err, driver.ErrReadOnly) {
		return nil
	}
	if err == nil {
		err = d.Flush(ctx)
	}
	got := make([]byte, len(data))
	if err == nil {
		err = d.Read(ctx, driver.Vec{got}, off, 0)
	}
	if err == nil && !s.Volatile && !bytes.Equal(got, data) {
		err = errors.New(firstDifference(off, got, data))
	}
	return err
}

// testClosed asks a closed device for everything there is.
func (s Subject) testClosed(t *testing.T) {
	ctx := context.Background()
	d := s.open(t, s.Options(t, s.Size))
	var queues []driver.Queue
	for _, depth := range []int{1, 3} {
		q, err := d.Queue(ctx, depth, 4096)
		must(t, err)
		queues = append(queues, q)
	}
	must(t, d.Close())
	v := driver.Vec{make([]byte, 512)}
	for what, err := range map[string]error{
		"close":    d.Close(),
		"read":     d.Read(ctx, v, 0, 0),
		"write":    d.Write(ctx, v, 0, 0),
		"zero":     d.Zero(ctx, 0, 512, 0),
		"discard":  d.Discard(ctx, 0, 512),
		"flush":    d.Flush(ctx),
		"truncate": d.Truncate(ctx, 512, driver.PreallocOff),
		"status":   second(d.Status(ctx, 0, 512)),
		"check":    second(d.Check(ctx, 0)),
		"permit":   d.NeedWrite(ctx, false),
		"reopen":   reopenAs(d, "on"),
		"ReadAt":   second(d.ReadAt(v[0], 0)),
		"WriteAt":  second(d.WriteAt(v[0], 0)),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, q := range queues {
		for op := driver.OpRead; op <= driver.OpFlush; op++ {
			q.Stage(0, op, 0, 512, 0)
			must(t, q.Submit())
			if n, err := q.Reap(1, make([]int, q.Depth())); n != 1 || err != nil {
				t.Fatalf("queue of %d, operation %d: reaped %d, %v", q.Depth(), op, n, err)
			}
			if err := q.Err(0); !errors.Is(err, os.ErrClosed) {
				t.Errorf("queue of %d, operation %d: %v", q.Depth(), op, err)
			}
		}
		must(t, q.Close())
	}
	_, _ = d.Size(), d.Info()
}

func second[T any](_ T, err error) error { return err }

// testCloseBusy closes a device that others use: their requests are done, or fail because it is
// closed.
func (s Subject) testCloseBusy(t *testing.T) {
	const users, span = 4, 5000
	for round := range Rounds(3, 10) {
		d := s.open(t, s.Options(t, s.Size))
		begun := make(chan struct{}, users)
		errs := make([]error, users)
		var wg sync.WaitGroup
		for u := range users {
			wg.Go(func() {
				for i := 0; errs[u] == nil; i++ {
					errs[u] = s.use(d, int64(u*span), noise(uint64(round*users+u), span))
					if i == 0 {
						begun <- struct{}{}
					}
				}
			})
		}
		for range users {
			<-begun
		}
		must(t, d.Close())
		wg.Wait()
		for _, err := range errs {
			if !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		}
	}
}

// testTruncateBusy has several set the length at once. One of them is the last, and the device is
// as long as that one said and holds so much, also when it is opened again.
func (s Subject) testTruncateBusy(t *testing.T) {
	if s.Row.Truncate == Refused {
		t.Skip("has a fixed size")
	}
	ctx := context.Background()
	o := s.Options(t, s.Size)
	d := s.open(t, o.Clone())
	sizes := []int64{32 << 10, 64 << 10, 128 << 10}
	for range 20 {
		errs := make([]error, len(sizes))
		var wg sync.WaitGroup
		for i, size := range sizes {
			wg.Go(func() { errs[i] = d.Truncate(ctx, size, driver.PreallocOff) })
		}
		wg.Wait()
		must(t, errors.Join(errs...))
		length := d.Size()
		if s.Persistent {
			must(t, d.Close())
			d = s.open(t, o.Clone())
		}
		if !slices.Contains(sizes, length) || d.Size() != length {
			t.Fatalf("%d bytes long, and %d when opened again", length, d.Size())
		}
		must(t, d.Read(ctx, driver.Vec{make([]byte, length)}, 0, 0))
	}
	must(t, d.Close())
}

// faulty puts a faulty node below the driver.
func (s Subject) faulty(o *driver.Options) *driver.Options {
	below := o.TakeSub(s.Child + ".")
	o.Set(s.Child+".driver", FaultyName)
	o.MergeAs(s.Child+".file.", below)
	return o
}

// testFlushFails has each flush below the driver fail in turn, when the device is flushed, reopened
// and closed. Nobody may take that for success, and what can be tried again succeeds the next time.
func (s Subject) testFlushFails(t *testing.T) {
	if s.Child == "" {
		t.Skip("stands on nothing that could fail")
	}
	ctx := context.Background()
	for name, c := range map[string]struct {
		do    func(d *blockdev.Device) error
		final bool
	}{
		"flush":  {do: func(d *blockdev.Device) error { return d.Flush(ctx) }},
		"reopen": {do: func(d *blockdev.Device) error { return reopenAs(d, "on") }},
		"close":  {do: func(d *blockdev.Device) error { return d.Close() }, final: true},
	} {
		for at := int64(0); ; at++ {
			var f *Fault
			faulty := s
			faulty.Mode.NoFlush = false
			faulty.More = append(faulty.More[:len(faulty.More):len(faulty.More)],
				Faulty(func(r Request) error {
					if f == nil {
						return nil
					}
					return f.Fail(r)
				}))
			d := faulty.open(t, s.faulty(s.Options(t, s.Size)))
			must(t, d.Write(ctx, driver.Vec{noise(9, 5000)}, 0, 0))
			f = &Fault{At: at, Err: syscall.EIO, Kinds: []string{"flush"}}
			err := c.do(d)
			failed := f.Seen() > at
			if failed != errors.Is(err, syscall.EIO) {
				t.Errorf("%s, fault %d of %d flushes: %v", name, at, f.Seen(), err)
			}
			if failed && !c.final {
				if d.ReadOnly() {
					t.Errorf("%s, fault %d: refused, and yet read-only", name, at)
				}
				if err := c.do(d); err != nil {
					t.Errorf("%s again, after fault %d: %v", name, at, err)
				}
			}
			if !c.final {
				must(t, d.Close())
			}
			if !failed {
				if at == 0 && !s.Volatile {
					t.Errorf("%s: made no flush", name)
				}
				break
			}
		}
	}
}

// testOpenFails has each request fail in turn that is made while the device is opened.
func (s Subject) testOpenFails(t *testing.T) {
	if s.Child == "" {
		t.Skip("stands on nothing that could fail")
	}
	all := []string{"read", "write", "zero", "discard", "status", "truncate", "flush", "close"}
	o := s.Options(t, s.Size)
	for at := int64(0); ; at++ {
		f := &Fault{At: at, Err: syscall.EIO, Kinds: all}
		var d *blockdev.Device
		faulty := s
		faulty.More = append(faulty.More[:len(faulty.More):len(faulty.More)], Faulty(f.Fail))
		d, err := faulty.tryOpen(s.faulty(o.Clone()))
		if err == nil {
			err = d.Close()
		}
		if f.Seen() <= at {
			must(t, err)
			break
		}
		if err == nil {
			t.Errorf("fault %d of %d: opened and closed", at, f.Seen())
		}
	}
	must(t, s.open(t, o.Clone()).Close())
}
