package qcow2_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// Giving a cluster back finds a refcount block that cannot be. The rest of the same discard, though
// it is part of a cluster and would stay as it is, must fail like everything else that comes after,
// as with qemu-io 7.2.22.
func TestDiscardFindsCorruption(t *testing.T) {
	ctx := t.Context()
	d, o := newDisk("unaligned refblock", bytes.Clone(seeds(t)["bits"]))
	dev := openDisk(t, o, shape{})
	if err := dev.Write(ctx, driver.Vec{make([]byte, 128<<10)}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	reftable := binary.BigEndian.Uint64(d.data[48:])
	binary.BigEndian.PutUint64(d.data[reftable:], 0x2a01)

	dev = openDisk(t, options("file.driver", "test-disk", "file.name", "unaligned refblock"),
		shape{})
	defer dev.Close()
	if err := dev.Discard(ctx, 0, 64<<10+1); !errors.Is(err, syscall.ENOMEDIUM) {
		t.Errorf("discard: %v", err)
	}
	if err := dev.Write(ctx, driver.Vec{make([]byte, 512)}, 0,
		0); !errors.Is(err, syscall.ENOMEDIUM) {
		t.Errorf("write: %v", err)
	}
	if incompatible := binary.BigEndian.Uint64(d.data[72:]); incompatible&2 == 0 {
		t.Error("the image is not marked as corrupt")
	}
}

// After an image was found corrupt there is no medium any more, whatever is asked for: no length,
// no request of nothing or behind the end.
func TestNoMediumAfterCorruption(t *testing.T) {
	ctx := t.Context()
	image := bytes.Clone(seeds(t)["v3"])
	l1 := binary.BigEndian.Uint64(image[40:])
	binary.BigEndian.PutUint64(image[l1:], 1<<63|0x200|1<<20|2) // an L2 table that lies nowhere
	binary.BigEndian.PutUint64(image[binary.BigEndian.Uint64(image[48:]):], 0x2a01)
	_, o := newDisk("no medium", image)
	dev := openDisk(t, o, shape{})
	defer dev.Close()
	if err := dev.Usable(); err != nil {
		t.Fatal(err)
	}
	end := dev.Size()
	if err := dev.Write(ctx, driver.Vec{make([]byte, 512)}, 0, 0); !errors.Is(err, syscall.EIO) {
		t.Fatalf("a write that finds the corruption: %v", err)
	}
	some := driver.Vec{make([]byte, 512)}
	usable := dev.Usable()
	_, status := dev.Status(ctx, end+1<<20, 512)
	_, check := dev.Check(ctx, 0)
	for what, err := range map[string]error{
		"usable": usable, "status": status, "check": check,
		"read":               dev.Read(ctx, some, 0, 0),
		"read of nothing":    dev.Read(ctx, nil, 0, 0),
		"read behind":        dev.Read(ctx, some, end, 0),
		"write":              dev.Write(ctx, some, 0, 0),
		"write of nothing":   dev.Write(ctx, nil, 0, 0),
		"write behind":       dev.Write(ctx, some, end, 0),
		"compressed write":   dev.Write(ctx, some, 0, driver.Compressed),
		"zero behind":        dev.Zero(ctx, end, 512, 0),
		"discard behind":     dev.Discard(ctx, end, 512),
		"truncate":           dev.Truncate(ctx, end/2, driver.PreallocOff),
		"flush":              dev.Flush(ctx),
		"read of the state":  dev.ReadVMState(ctx, some, 0),
		"write of the state": dev.WriteVMState(ctx, some, 0),
	} {
		if !errors.Is(err, syscall.ENOMEDIUM) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
