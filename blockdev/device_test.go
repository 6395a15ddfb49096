package blockdev_test

import (
	"errors"
	"math"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/mem"
	"github.com/blksh/blksh/blockdev/raw"
)

func openMem(t *testing.T, cfg blockdev.OpenConfig) *blockdev.Device {
	t.Helper()
	var o blockdev.Options
	o.Set("size", "1M")
	cfg.Drivers, cfg.Options, cfg.Format = []blockdev.Driver{mem.Driver, raw.Driver}, &o,
		mem.Driver.Name
	d, err := blockdev.Open(t.Context(), "", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// A request outside the device fails with EIO and says how long the device is.
func TestRangeError(t *testing.T) {
	d := openMem(t, blockdev.OpenConfig{})
	err := d.Read(t.Context(), blockdev.Vec{make([]byte, 512)}, 1<<20, 0)
	var outside *blockdev.RangeError
	if !errors.As(err, &outside) || outside.Size != 1<<20 || !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
}

// A strict device takes whole blocks only, and says which ones are meant.
func TestStrict(t *testing.T) {
	d := openMem(t, blockdev.OpenConfig{Strict: true})
	if !d.Strict() || d.Block() != 512 {
		t.Fatalf("strict %v, blocks of %d", d.Strict(), d.Block())
	}
	var unaligned *blockdev.AlignError
	err := d.Write(t.Context(), blockdev.Vec{make([]byte, 600)}, 500, 0)
	if !errors.As(err, &unaligned) || !errors.Is(err, syscall.EINVAL) {
		t.Fatalf("write: %v", err)
	}
	if off, n := unaligned.Nearest(); off != 0 || n != 1536 {
		t.Errorf("nearest to 600 at 500: %d at %d", n, off)
	}
	if err := d.Zero(t.Context(), 512, 100, 0); !errors.As(err, &unaligned) {
		t.Errorf("zero: %v", err)
	}
	if err := d.Write(t.Context(), blockdev.Vec{make([]byte, 1024)}, 512, 0); err != nil {
		t.Errorf("aligned: %v", err)
	}
	d.SetStrict(false)
	if err := d.Zero(t.Context(), 511, 3, 0); err != nil {
		t.Errorf("not strict: %v", err)
	}
}

func TestNearestStaysInRange(t *testing.T) {
	tail := &blockdev.AlignError{Block: 512, Off: 0, Len: 1000, Size: 1000}
	if off, n := tail.Nearest(); off != 0 || n != 512 {
		t.Errorf("at the end of a file of 1000 bytes: %d at %d", n, off)
	}
	e := &blockdev.AlignError{
		Block: 4096, Off: math.MaxInt64 - 100, Len: 50, Size: math.MaxInt64,
	}
	if off, n := e.Nearest(); off < 0 || n < 0 || off > math.MaxInt64-n {
		t.Errorf("%d at %d", n, off)
	}
}
