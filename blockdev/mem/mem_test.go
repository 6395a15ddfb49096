package mem

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

func testDisk(t *testing.T, size int64) *disk {
	t.Helper()
	d, err := newDisk(size)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *disk) pageCount() int {
	n := 0
	for i := range d.shards {
		n += len(d.shards[i].pages)
	}
	return n
}

// TestModel compares random operations with a plain array of bytes, and what Status says with what
// is read.
func TestModel(t *testing.T) {
	const size = 5*pageSize + 1234
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(1, 2))
	d, model := testDisk(t, size), make([]byte, size)
	got := make([]byte, size)
	for range 3000 {
		off := rnd.Int64N(size)
		n := 1 + rnd.Int64N(min(size-off, 3*pageSize))
		switch rnd.IntN(4) {
		case 0, 1:
			data := bytes.Repeat([]byte{byte(1 + rnd.IntN(255))}, int(n))
			cut := rnd.Int64N(n)
			if err := d.WriteVec(ctx, driver.Vec{data[:cut], nil, data[cut:]}, off, 0); err != nil {
				t.Fatal(err)
			}
			copy(model[off:], data)
		case 2:
			if err := d.Zero(ctx, off, n, driver.MayUnmap); err != nil {
				t.Fatal(err)
			}
			clear(model[off : off+n])
		case 3:
			if err := d.Discard(ctx, off, n, 0); err != nil {
				t.Fatal(err)
			}
			clear(model[off : off+n])
		}
		if err := d.ReadVec(ctx, driver.Vec{got[off : off+n]}, off, 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[off:off+n], model[off:off+n]) {
			t.Fatalf("bytes differ within %d+%d", off, n)
		}
		for at := off; at < off+n; {
			e, err := d.Status(ctx, at, off+n-at)
			if err != nil || e.Off != at || e.Len <= 0 || e.End() > off+n || !e.Allocated ||
				e.Data == e.Zero {
				t.Fatalf("status of %d+%d: %+v, %v", at, off+n-at, e, err)
			}
			if e.Zero && !driver.AllZero(model[at:e.End()]) {
				t.Fatalf("%+v is called zero and is not", e)
			}
			at = e.End()
		}
	}
}

func TestSparse(t *testing.T) {
	const size = 1 << 40
	ctx := context.Background()
	d := testDisk(t, size)
	if e, err := d.Status(ctx, 0, size); err != nil || e.Len != size || !e.Zero {
		t.Fatalf("empty disk: %+v, %v", e, err)
	}
	last := int64(size - 512)
	if err := d.WriteVec(ctx, driver.Vec{make([]byte, 512)}, last, 0); err != nil {
		t.Fatal(err)
	}
	if n := d.pageCount(); n != 1 {
		t.Errorf("%d pages for one write, want 1", n)
	}
	if e, err := d.Status(ctx, 0, size); err != nil || e.Len != size-pageSize || !e.Zero {
		t.Errorf("hole before the last page: %+v, %v", e, err)
	}
	if e, err := d.Status(ctx, last, 512); err != nil || e.Len != 512 || !e.Data {
		t.Errorf("last page: %+v, %v", e, err)
	}
	if err := d.Discard(ctx, 0, size, 0); err != nil {
		t.Fatal(err)
	}
	if n := d.pageCount(); n != 0 {
		t.Errorf("%d pages after discarding everything", n)
	}
}

func TestTruncate(t *testing.T) {
	ctx := context.Background()
	d := testDisk(t, 3*pageSize)
	full := bytes.Repeat([]byte{7}, 3*pageSize)
	if err := d.WriteVec(ctx, driver.Vec{full}, 0, 0); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{pageSize + 100, 3 * pageSize} {
		if err := d.Truncate(ctx, size, driver.PreallocOff, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.pageCount(); n != 2 {
		t.Errorf("%d pages left, want 2", n)
	}
	got := make([]byte, len(full))
	if err := d.ReadVec(ctx, driver.Vec{got}, 0, 0); err != nil {
		t.Fatal(err)
	}
	clear(full[pageSize+100:])
	if !bytes.Equal(got, full) {
		t.Error("what was cut off came back")
	}
	if err := d.Truncate(ctx, maxSize+1, driver.PreallocOff, 0); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("too long: %v", err)
	}
	if err := d.Truncate(ctx, 0, driver.PreallocFull, 0); !errors.Is(err, syscall.ENOTSUP) {
		t.Errorf("preallocation: %v", err)
	}
}

func TestGrowth(t *testing.T) {
	ctx := context.Background()
	d := testDisk(t, 0)
	if err := d.WriteVec(ctx, driver.Vec{{1, 2}}, 99, 0); err != nil || d.Info().Size != 101 {
		t.Errorf("size %d, %v", d.Info().Size, err)
	}
	if err := d.Zero(ctx, maxSize-1, 2, 0); !errors.Is(err, syscall.EFBIG) || d.Info().Size != 101 {
		t.Errorf("size %d, %v", d.Info().Size, err)
	}
}

func TestConcurrent(t *testing.T) {
	ctx := context.Background()
	d := testDisk(t, 16*pageSize)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			buf := make([]byte, pageSize)
			for j := range 100 {
				off := int64((i*7+j)%15) * pageSize
				var err error
				switch j % 4 {
				case 0:
					err = d.Discard(ctx, off+5, pageSize, 0)
				case 1:
					err = d.ReadVec(ctx, driver.Vec{buf}, off+5, 0)
				case 2:
					_, err = d.Status(ctx, off, pageSize)
				default:
					err = d.WriteVec(ctx, driver.Vec{buf}, off+5, 0)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestOpen(t *testing.T) {
	cfg := blockdev.OpenConfig{Drivers: []driver.Driver{Driver}, Format: "mem"}
	for _, c := range []struct {
		name string
		size int64
		err  string
	}{
		{"mem:64M", 64 << 20, ""},
		{"mem:1000", 1000, ""},
		{"mem:1T", 1 << 40, ""},
		{"mem:", 0, "a memory disk is named by its size, as in mem:64M, not 'mem:'"},
		{"disk", 0, "a memory disk is named by its size, as in mem:64M, not 'disk'"},
		{"mem:lots", 0, "Parameter 'size' expects a non-negative number below 2^64"},
		{"mem:2E", 0, "mem: size 2305843009213693952 is not between 0 and 1152921504606846976: file too large"},
		{"", 0, "Parameter 'size' is missing"},
	} {
		d, err := blockdev.Open(context.Background(), c.name, cfg)
		if err != nil {
			if err.Error() != c.err {
				t.Errorf("%q: %v, want %s", c.name, err, c.err)
			}
			continue
		}
		if c.err != "" || d.Size() != c.size {
			t.Errorf("%q: length %d, want %d %s", c.name, d.Size(), c.size, c.err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%q: close: %v", c.name, err)
		}
	}
}

// TestLimit refuses the page behind the last that is allowed, in words, and gives each page back
// once.
func TestLimit(t *testing.T) {
	ctx := t.Context()
	before := inUse.Load()
	d := testDisk(t, 1<<40)
	d.limit = 3 * pageSize
	buf := driver.Vec{make([]byte, pageSize)}
	for i := range int64(3) {
		if err := d.WriteVec(ctx, buf, i<<30, 0); err != nil {
			t.Fatal(err)
		}
	}
	err := d.WriteVec(ctx, buf, 4<<30, 0)
	if !errors.Is(err, syscall.ENOSPC) ||
		!strings.Contains(err.Error(), "may take 196608 bytes of memory") {
		t.Errorf("got %v", err)
	}
	if err := d.WriteVec(ctx, buf, 1<<30, 0); err != nil {
		t.Errorf("a page that is there: %v", err)
	}
	if err := errors.Join(d.Discard(ctx, 0, 1<<40, 0), d.WriteVec(ctx, buf, 4<<30, 0),
		d.Close()); err != nil {
		t.Error(err)
	}
	if got := inUse.Load() - before; got != 0 || d.taken.Load() != 0 {
		t.Errorf("%d bytes were not given back, %d by the disk", got, d.taken.Load())
	}
	if allowed() < 1<<20 {
		t.Errorf("only %d bytes are allowed", allowed())
	}
}

// TestSharedLimit counts the pages of all disks that have no limit of their own.
func TestSharedLimit(t *testing.T) {
	half := allowed()
	defer func() { measured.half = half }()
	measured.half = inUse.Load() + 2*pageSize
	buf := driver.Vec{make([]byte, pageSize)}
	one, two := testDisk(t, 1<<30), testDisk(t, 1<<30)
	err := errors.Join(one.WriteVec(t.Context(), buf, 0, 0), two.WriteVec(t.Context(), buf, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := two.WriteVec(t.Context(), buf, pageSize, 0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(one.Close(), two.WriteVec(t.Context(), buf, pageSize, 0),
		two.Close()); err != nil {
		t.Error(err)
	}
}
