// Package blockdevtest is the one suite that every driver passes.
//
// A driver's test describes the driver as a Subject and calls Run:
//
//	blockdevtest.Run(t, blockdevtest.Subject{
//		Driver:  raw.Driver,
//		Options: func(t testing.TB, size int64) *blockdev.Options { ... },
//		Row:     blockdevtest.Row{Read: blockdevtest.Passed, ...},
//	})
//
// The suite opens the driver with guard and Device around it, as a program does, and compares what
// it does with an array of bytes. Below formats and filters it puts Memory, a protocol that records
// what reaches it.
package blockdevtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// Subject is a driver under test.
type Subject struct {
	Driver driver.Driver
	// More are the other drivers that Options name, besides Memory's.
	More []driver.Driver
	// Options describe a stack with Driver on top: fresh, of the given size and all zeroes. They
	// are used for one device, or for several one after the other when Persistent is set.
	Options func(t testing.TB, size int64) *driver.Options
	Mode    driver.Mode
	// Child is the option that names what the driver stands on, "" if it stands on nothing. Faults
	// are put in there.
	Child string
	// Size is what Options are asked for, in bytes; 0 means 1 MiB.
	Size int64
	Row  Row
	// Persistent: what was written is there when the same options are opened again.
	Persistent bool
	// Exact: a discard that is not made of whole sectors may be refused with EINVAL.
	Exact bool
	// Object is OpenConfig.Object.
	Object func(id string) any
	// Noise: what a truncate adds reads as anything, not as zeroes.
	Noise bool
	// Volatile: data is not kept at all (null devices), so nothing is compared.
	Volatile bool
}

// Outcome is what a driver does with a kind of request.
type Outcome int

// The outcomes. A request that is passed reaches the child as the same kind of request. Refused
// means ENOTSUP, upon which the guard finds another way; for truncate, which has none, it means any
// error.
const (
	Handled Outcome = iota
	Passed
	Refused
)

func (o Outcome) String() string { return [...]string{"handled", "passed", "refused"}[o] }

// Row is the outcome of each kind of request. The zero Row handles everything.
type Row struct {
	Read, Write, Zero, Discard, Status, Truncate, Flush Outcome
}

// Run runs the whole suite.
func Run(t *testing.T, s Subject) {
	t.Helper()
	if s.Size == 0 {
		s.Size = 1 << 20
	}
	t.Run("table", s.testTable)
	t.Run("edges", s.testEdges)
	t.Run("pieces", s.testPieces)
	t.Run("zero", s.testZero)
	t.Run("status", s.testStatus)
	t.Run("truncate", s.testTruncate)
	t.Run("events", s.testEvents)
	t.Run("cancel", s.testCancel)
	t.Run("concurrent", s.testConcurrent)
	t.Run("queue", s.testQueue)
	t.Run("strict", s.testStrict)
	t.Run("reopen", s.testReopen)
	t.Run("reopen-busy", s.testReopenBusy)
	t.Run("closed", s.testClosed)
	t.Run("close-busy", s.testCloseBusy)
	t.Run("truncate-busy", s.testTruncateBusy)
	t.Run("flush-fails", s.testFlushFails)
	t.Run("open-fails", s.testOpenFails)
	if s.Persistent {
		t.Run("persist", s.testPersist)
	}
	if !s.Volatile {
		t.Run("model", s.testModel)
	}
}

// open opens the subject's stack with options.
func (s Subject) open(t testing.TB, o *driver.Options) *blockdev.Device {
	t.Helper()
	d, err := s.tryOpen(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (s Subject) tryOpen(o *driver.Options) (*blockdev.Device, error) {
	all := append([]driver.Driver{s.Driver, MemoryDriver}, s.More...)
	o.SetDefault("driver", s.Driver.Name)
	mode := s.Mode
	mode.Unmap = true
	return blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: all, Options: o, Mode: mode, Object: s.Object,
	})
}

// fresh is a new device that is closed with the test.
func (s Subject) fresh(t testing.TB) *blockdev.Device {
	t.Helper()
	d := s.open(t, s.Options(t, s.Size))
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if d.Size() != s.Size {
		t.Fatalf("%d bytes long, want %d", d.Size(), s.Size)
	}
	return d
}

// noise is n bytes that look random and depend on seed.
func noise(seed uint64, n int64) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), 1})
	_, _ = r.Read(p) // never fails
	return p
}

// expect reads n bytes from off and compares.
func (s Subject) expect(t testing.TB, d *blockdev.Device, off int64, want []byte) {
	t.Helper()
	got := bytes.Repeat([]byte{0x5a}, len(want))
	if err := d.Read(context.Background(), driver.Vec{got}, off, 0); err != nil {
		t.Fatalf("read of %d bytes at %d: %v", len(want), off, err)
	}
	if !s.Volatile && !bytes.Equal(got, want) {
		t.Fatal(firstDifference(off, got, want))
	}
}

func firstDifference(off int64, got, want []byte) string {
	for i := range want {
		if got[i] != want[i] {
			return fmt.Sprintf("byte %d is %#02x, want %#02x", off+int64(i), got[i], want[i])
		}
	}
	return "alike"
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testTable asks the node itself, without its guard, for each kind of request.
func (s Subject) testTable(t *testing.T) {
	ctx := context.Background()
	d := s.fresh(t)
	n := d.Top().Primary()
	if n == nil {
		t.Fatal("no node behind the guard")
	}
	if got := n.Info().Driver; got != s.Driver.Name {
		t.Errorf("calls itself %q, the driver is %q", got, s.Driver.Name)
	}
	unit := int64(64 << 10)
	buf := driver.Aligned(unit, int64(os.Getpagesize()))
	for _, c := range []struct {
		name string
		want Outcome
		do   func() error
	}{
		{"read", s.Row.Read, func() error { return n.ReadVec(ctx, driver.Vec{buf}, 0, 0) }},
		{"write", s.Row.Write, func() error { return n.WriteVec(ctx, driver.Vec{buf}, 0, 0) }},
		{"zero", s.Row.Zero, func() error { return n.Zero(ctx, 0, unit, 0) }},
		{"discard", s.Row.Discard, func() error { return n.Discard(ctx, 0, unit, 0) }},
		{"status", s.Row.Status, func() error { _, err := n.Status(ctx, 0, unit); return err }},
		{"flush", s.Row.Flush, func() error { return n.Flush(ctx) }},
		{"truncate", s.Row.Truncate, func() error { return n.Truncate(ctx, 2*s.Size, driver.PreallocOff, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			child, hasChild := driver.Find[*Memory](n)
			before := 0
			if hasChild {
				before = child.Count(c.name)
			}
			err := c.do()
			switch c.want {
			case Refused:
				if !errors.Is(err, driver.ErrNotSupported) && (err == nil || c.name != "truncate") {
					t.Errorf("got %v, want a refusal", err)
				}
				return
			case Passed:
				if !hasChild {
					t.Fatal("nothing to pass to: the options need a child with driver=" +
						MemoryDriver.Name)
				}
				if child.Count(c.name) != before+1 {
					t.Error("did not reach the child")
				}
			}
			if err != nil {
				t.Errorf("got %v, want it %v", err, c.want)
			}
		})
	}
}

// testEdges reads and writes at the very ends, and what lies partly outside.
func (s Subject) testEdges(t *testing.T) {
	ctx := context.Background()
	d := s.fresh(t)
	end := d.Size()
	for _, off := range []int64{0, 1, 511, 512, 4095, end - 513, end - 1} {
		must(t, d.Write(ctx, driver.Vec{{byte(off) | 1}}, off, 0))
		s.expect(t, d, off, []byte{byte(off) | 1})
	}
	must(t, d.Write(ctx, driver.Vec{{}}, end, 0))
	for _, c := range []struct{ off, n int64 }{{end, 1}, {end - 1, 2}, {-1, 1}, {1 << 62, 512}} {
		p := make([]byte, c.n)
		if d.Write(ctx, driver.Vec{p}, c.off, 0) == nil ||
			d.Read(ctx, driver.Vec{p}, c.off, 0) == nil {
			t.Errorf("%d bytes at %d: not refused on a device of %d", c.n, c.off, end)
		}
	}
}

// testPieces moves one request in more pieces than the kernel takes at once, at odd addresses.
func (s Subject) testPieces(t *testing.T) {
	ctx := context.Background()
	d := s.fresh(t)
	data := noise(1, 3000*7)
	cut := func(p []byte, n int) driver.Vec {
		v := driver.Vec{{}}
		for ; len(p) > n; p = p[n:] {
			v = append(v, p[:n:n])
		}
		return append(v, p)
	}
	must(t, d.Write(ctx, cut(bytes.Clone(data), 7), 1001, driver.FUA))
	got := make([]byte, len(data)+1)
	must(t, d.Read(ctx, cut(got[1:], 11), 1001, 0))
	if !s.Volatile && !bytes.Equal(got[1:], data) {
		t.Error(firstDifference(1001, got[1:], data))
	}
}

// testZero zeroes with each flag inside data.
func (s Subject) testZero(t *testing.T) {
	ctx := context.Background()
	for _, f := range []driver.Flags{0, driver.MayUnmap, driver.FUA, driver.FUA | driver.MayUnmap} {
		for _, r := range []struct{ off, n int64 }{
			{0, 512},
			{100, 200},
			{300, 130_000},
			{65536, 131072},
			{s.Size - 4096, 4096},
			{0, s.Size},
		} {
			d := s.fresh(t)
			want := noise(2, s.Size)
			must(t, d.Write(ctx, driver.Vec{bytes.Clone(want)}, 0, 0))
			if err := d.Zero(ctx, r.off, r.n, f); err != nil {
				t.Fatalf("zero %d bytes at %d, flags %d: %v", r.n, r.off, f, err)
			}
			clear(want[r.off : r.off+r.n])
			s.expect(t, d, 0, want)
		}
	}
}

// testEvents fires every event at the node: those that do not concern it must pass.
func (s Subject) testEvents(t *testing.T) {
	d := s.fresh(t)
	for _, name := range driver.EventNames() {
		must(t, driver.Fire(context.Background(), d.Top(), driver.EventNamed(name)))
	}
}

// testCancel makes requests whose context has ended. They may be done or fail with the context's
// error, but not break anything.
func (s Subject) testCancel(t *testing.T) {
	d := s.fresh(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p := make([]byte, 70_001)
	for name, err := range map[string]error{
		"read":    d.Read(ctx, driver.Vec{p}, 3, 0),
		"write":   d.Write(ctx, driver.Vec{p}, 3, 0),
		"zero":    d.Zero(ctx, 3, int64(len(p)), 0),
		"discard": d.Discard(ctx, 3, int64(len(p))),
		"flush":   d.Flush(ctx),
	} {
		if err != nil && !errors.Is(err, context.Canceled) &&
			!(s.Exact && errors.Is(err, syscall.EINVAL)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	data := noise(3, int64(len(p)))
	must(t, d.Write(context.Background(), driver.Vec{bytes.Clone(data)}, 3, 0))
	s.expect(t, d, 3, data)
}

// testConcurrent has neighbours write and read at once. Their ranges share sectors, so that one's
// read-modify-write would undo the other's write if the layers did not order them.
func (s Subject) testConcurrent(t *testing.T) {
	const writers, rounds, span = 8, 12, 3001
	d := s.fresh(t)
	ctx := context.Background()
	want := make([]byte, writers*span)
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			off := int64(w * span)
			for round := range rounds {
				data := noise(uint64(w*rounds+round), span)
				if round%3 == 2 {
					clear(data)
					errs[w] = d.Zero(ctx, off, span, driver.MayUnmap)
				} else {
					errs[w] = d.Write(ctx, driver.Vec{bytes.Clone(data)}, off, 0)
				}
				got := make([]byte, span)
				if errs[w] == nil {
					errs[w] = d.Read(ctx, driver.Vec{got}, off, 0)
				}
				if errs[w] == nil && !s.Volatile && !bytes.Equal(got, data) {
					errs[w] = errors.New(firstDifference(off, got, data))
				}
				if errs[w] != nil {
					return
				}
				copy(want[off:], data)
			}
		})
	}
	wg.Wait()
	must(t, errors.Join(errs...))
	s.expect(t, d, 0, want)
}

// testPersist closes and opens again.
func (s Subject) testPersist(t *testing.T) {
	o := s.Options(t, s.Size)
	d := s.open(t, o.Clone())
	data := noise(4, 200_000)
	must(t, d.Write(context.Background(), driver.Vec{bytes.Clone(data)}, 777, 0))
	must(t, d.Close())
	d = s.open(t, o.Clone())
	s.expect(t, d, 777, data)
	must(t, d.Close())
}
