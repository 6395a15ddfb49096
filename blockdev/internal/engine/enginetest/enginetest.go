// Package enginetest is the suite that every engine port passes, and a port that fails in all the
// ways in which the kernel may.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/engine"
)

// Fault says what goes wrong with a transfer.
type Fault int

// The faults.
const (
	None        Fault = iota
	Short             // one byte less than asked for
	Tiny              // one byte only
	Interrupted       // EINTR
	Again             // EAGAIN
	Full              // a write moves nothing
	NoSpace           // ENOSPC for writes
	Broken            // EIO
)

// Faulty is a port in front of another that makes the faults of a plan, one a transfer, over and
// over.
type Faulty struct {
	engine.Port
	Plan []Fault
	next atomic.Int64
}

var _ engine.Port = (*Faulty)(nil)

func (f *Faulty) transfer(v driver.Vec, write bool, do func(driver.Vec) (int, error)) (int, error) {
	n := v.Len()
	switch f.Plan[(f.next.Add(1)-1)%int64(len(f.Plan))] {
	case Short:
		if n > 1 {
			v = v.Slice(0, n-1)
		}
	case Tiny:
		v = v.Slice(0, 1)
	case Interrupted:
		return -1, syscall.EINTR
	case Again:
		return -1, syscall.EAGAIN
	case Full:
		if write {
			return 0, nil
		}
	case NoSpace:
		if write {
			return -1, syscall.ENOSPC
		}
	case Broken:
		return -1, syscall.EIO
	}
	return do(v)
}

// Readv reads with faults.
func (f *Faulty) Readv(fd int, v driver.Vec, off int64) (int, error) {
	return f.transfer(v, false, func(v driver.Vec) (int, error) { return f.Port.Readv(fd, v, off) })
}

// Writev writes with faults.
func (f *Faulty) Writev(fd int, v driver.Vec, off int64) (int, error) {
	return f.transfer(v, true, func(v driver.Vec) (int, error) { return f.Port.Writev(fd, v, off) })
}

// Run runs the suite on the port that open gives.
func Run(t *testing.T, open func(t *testing.T) engine.Port) {
	for _, c := range []struct {
		name string
		test func(*testing.T, engine.Port, *os.File)
	}{
		{"transfers", testTransfers},
		{"end of file", testEnd},
		{"faults", testFaults},
		{"no space", testNoSpace},
		{"errors", testErrors},
		{"cancel", testCancel},
		{"concurrent", testConcurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := os.Create(filepath.Join(t.TempDir(), "file"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			p := open(t)
			c.test(t, p, f)
			if err := p.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func noise(seed byte, n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(p) // never fails
	return p
}

// cut makes pieces of n bytes out of p, with an empty one in front.
func cut(p []byte, n int) driver.Vec {
	v := driver.Vec{{}}
	for ; len(p) > n; p = p[n:] {
		v = append(v, p[:n:n])
	}
	return append(v, p)
}

func testTransfers(t *testing.T, p engine.Port, f *os.File) {
	ctx, fd := context.Background(), int(f.Fd())
	for i, c := range []struct{ size, piece int }{
		{1, 1}, {4096, 4096}, {5000, 7}, {3 * engine.MaxPieces, 1}, {engine.MaxBytes + 12345, engine.MaxBytes}, {2*engine.MaxBytes + 1, 100_000},
	} {
		data := noise(byte(i), c.size)
		off := int64(i * 1001)
		if err := engine.Write(ctx, p, fd, cut(bytes.Clone(data), c.piece), off, 1); err != nil {
			t.Fatalf("write %d bytes in pieces of %d: %v", c.size, c.piece, err)
		}
		got := make([]byte, c.size)
		if _, err := engine.Read(ctx, p, fd, cut(got, c.piece), off, 1); err != nil {
			t.Fatalf("read %d bytes in pieces of %d: %v", c.size, c.piece, err)
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%d bytes in pieces of %d: not what was written", c.size, c.piece)
		}
	}
}

// testEnd reads across and behind the end of a file, also one that ends inside a block.
func testEnd(t *testing.T, p engine.Port, f *os.File) {
	data := noise(9, 1000)
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	for _, align := range []int64{1, 512} {
		for _, off := range []int64{0, 512, 1024, 1 << 40} {
			got := bytes.Repeat([]byte{0x5a}, 2048)
			want := data[min(off, 1000):]
			n, err := engine.Read(context.Background(), p, int(f.Fd()),
				driver.Vec{got[:700], got[700:]}, off, align)
			if err != nil {
				t.Fatal(err)
			}
			if n != int64(len(want)) || !bytes.Equal(got[:n], want) {
				t.Errorf("at %d, aligned to %d: %d bytes, want the %d up to the end of the file",
					off, align, n, len(want))
			}
		}
	}
}

func testFaults(t *testing.T, p engine.Port, f *os.File) {
	ctx, fd := context.Background(), int(f.Fd())
	for name, plan := range map[string][]Fault{
		"short":       {Short},
		"interrupted": {Interrupted, None},
		"again":       {Again, Again, None},
		"tiny":        {Tiny, None},
		"all":         {Interrupted, Short, Again, Tiny, None, Interrupted, Short},
	} {
		for _, align := range []int64{1, 512} {
			if align > 1 && name == "short" {
				continue // no progress is ever made in blocks
			}
			faulty := &Faulty{Port: p, Plan: plan}
			data := noise(7, 8192)
			if err := engine.Write(ctx, faulty, fd, cut(bytes.Clone(data), 1000), 4096,
				align); err != nil {
				t.Fatalf("%s, aligned to %d: write: %v", name, align, err)
			}
			got := make([]byte, len(data))
			if _, err := engine.Read(ctx, faulty, fd, cut(got, 3000), 4096, align); err != nil {
				t.Fatalf("%s, aligned to %d: read: %v", name, align, err)
			}
			if !bytes.Equal(got, data) {
				t.Errorf("%s, aligned to %d: not what was written", name, align)
			}
		}
	}
}

func testNoSpace(t *testing.T, p engine.Port, f *os.File) {
	for _, fault := range []Fault{Full, NoSpace} {
		faulty := &Faulty{Port: p, Plan: []Fault{Short, fault}}
		err := engine.Write(context.Background(), faulty, int(f.Fd()),
			driver.Vec{make([]byte, 4096)}, 0, 1)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("fault %d: got %v", fault, err)
		}
	}
}

func testErrors(t *testing.T, p engine.Port, f *os.File) {
	ctx := context.Background()
	faulty := &Faulty{Port: p, Plan: []Fault{Short, Broken}}
	v := driver.Vec{make([]byte, 4096)}
	if err := engine.Write(ctx, faulty, int(f.Fd()), v, 0, 1); !errors.Is(err, syscall.EIO) {
		t.Errorf("write: got %v", err)
	}
	if _, err := engine.Read(ctx, faulty, int(f.Fd()), v, 0, 1); !errors.Is(err, syscall.EIO) {
		t.Errorf("read: got %v", err)
	}
	ro, err := os.Open(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if err := engine.Write(ctx, p, int(ro.Fd()), v, 0, 1); !errors.Is(err, syscall.EBADF) {
		t.Errorf("write to what is open for reading: got %v", err)
	}
}

// testCancel ends the context at the first transfer; there must be no second.
func testCancel(t *testing.T, p engine.Port, f *os.File) {
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	c := &counting{Port: p, then: func() { cancel(why) }}
	err := engine.Write(ctx, c, int(f.Fd()), driver.Vec{make([]byte, 2*engine.MaxBytes)}, 0, 1)
	if !errors.Is(err, why) || c.n != 1 {
		t.Errorf("got %v after %d transfers", err, c.n)
	}
}

type counting struct {
	engine.Port
	n    int
	then func()
}

func (c *counting) Writev(fd int, v driver.Vec, off int64) (int, error) {
	c.n++
	c.then()
	return c.Port.Writev(fd, v, off)
}

func testConcurrent(t *testing.T, p engine.Port, f *os.File) {
	const workers, rounds, size = 16, 30, 5000
	ctx, fd := context.Background(), int(f.Fd())
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			off := int64(w * size)
			for round := range rounds {
				data := noise(byte(w+round), size)
				got := make([]byte, size)
				err := engine.Write(ctx, p, fd, driver.Vec{data}, off, 1)
				if err == nil {
					_, err = engine.Read(ctx, p, fd, cut(got, 900), off, 1)
				}
				if err == nil && !bytes.Equal(got, data) {
					err = errors.New("not what was written")
				}
				if err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
