package blockdevtest_test

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	. "github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

// openFaulty opens a faulty node over memory of 64 KiB.
func openFaulty(t *testing.T, fail func(Request) error) *blockdev.Device {
	t.Helper()
	o := over("file")(t, 64<<10)
	o.Set("driver", FaultyName)
	d, err := blockdev.Open(t.Context(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{Faulty(fail), MemoryDriver}, Options: o,
		Mode: driver.Mode{Unmap: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Going through all faults fails each request of a run once, and ends.
func TestFault(t *testing.T) {
	ctx := t.Context()
	run := func(d *blockdev.Device) error {
		return errors.Join(
			d.Read(ctx, driver.Vec{make([]byte, 512)}, 0, 0),
			d.Write(ctx, driver.Vec{bytes.Repeat([]byte{1}, 1024)}, 0, 0),
			d.Zero(ctx, 4096, 512, 0),
			d.Discard(ctx, 8192, 512),
			d.Truncate(ctx, 32<<10, driver.PreallocOff),
			d.Flush(ctx),
		)
	}
	var at int64
	for ; ; at++ {
		f := &Fault{At: at, Err: syscall.ENOSPC}
		d := openFaulty(t, f.Fail)
		err := errors.Join(run(d), d.Close())
		if at >= f.Seen() {
			if err != nil {
				t.Errorf("no fault, and yet %v", err)
			}
			break
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("fault %d of %d: %v", at, f.Seen(), err)
		}
	}
	if at < 5 {
		t.Errorf("%d places for faults", at)
	}
}

// A torn write leaves its first part.
func TestTorn(t *testing.T) {
	d := openFaulty(t, (&Fault{Err: Torn(512, syscall.EIO)}).Fail)
	if err := d.Write(t.Context(), driver.Vec{bytes.Repeat([]byte{1}, 1024)}, 0,
		0); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	got := make([]byte, 1024)
	if _, err := d.ReadAt(got, 0); err != nil || got[511] != 1 || got[512] != 0 {
		t.Errorf("%v, %d, %d", err, got[511], got[512])
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
