package qcow2_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
)

// Giving a cluster back finds a refcount block that cannot be. The rest of the same discard, though it is part of a cluster and would
// stay as it is, must fail like everything else that comes after, as with qemu-io 7.2.22.
func TestDiscardFindsCorruption(t *testing.T) {
	ctx := t.Context()
	d, o := newDisk("unaligned refblock", bytes.Clone(seeds(t)["bits"]))
	dev := openDisk(t, o, shape{})
	if err := dev.Write(ctx, blockdev.Vec{make([]byte, 128<<10)}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	reftable := binary.BigEndian.Uint64(d.data[48:])
	binary.BigEndian.PutUint64(d.data[reftable:], 0x2a01)

	dev = openDisk(t, options("file.driver", "test-disk", "file.name", "unaligned refblock"), shape{})
	defer dev.Close()
	if err := dev.Discard(ctx, 0, 64<<10+1); !errors.Is(err, syscall.ENOMEDIUM) {
		t.Errorf("discard: %v", err)
	}
	if err := dev.Write(ctx, blockdev.Vec{make([]byte, 512)}, 0, 0); !errors.Is(err, syscall.ENOMEDIUM) {
		t.Errorf("write: %v", err)
	}
	if incompatible := binary.BigEndian.Uint64(d.data[72:]); incompatible&2 == 0 {
		t.Error("the image is not marked as corrupt")
	}
}
