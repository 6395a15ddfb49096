package file

import (
	"context"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

// Status asks the file system for data and holes. All of a raw file counts as allocated.
func (n *node) Status(ctx context.Context, off, size int64) (driver.Extent, error) {
	e := driver.Extent{Off: off, Len: size, Allocated: true, Data: true, HostOff: off, Node: "file"}
	end, asOf := n.known.until(off)
	if end > off {
		e.Len = min(size, end-off)
		return e, nil
	}
	err := n.With(func(fd int) error {
		data, err := unix.Seek(fd, off, unix.SEEK_DATA)
		switch {
		case err == unix.ENXIO: // a hole up to the end, wherever that is now
			e.Data, e.Zero = false, true
			return n.Measure()
		case err != nil: // the file system does not say: data
			return nil
		case data > off:
			e.Data, e.Zero, e.Len = false, true, min(size, data-off)
			return nil
		}
		if hole, err := unix.Seek(fd, off, unix.SEEK_HOLE); err == nil && hole > off {
			e.Len = min(size, hole-off)
			n.known.note(off, hole, asOf)
		}
		return nil
	})
	return e, err
}

// knownData is the run of data that the file system told of last. A file system may look at every
// page to find the end of a run, which a format that asks for one cluster after the other would pay
// for each time. What makes holes forgets it; holes that other programs make are found later, as in
// QEMU.
type knownData struct {
	mu       sync.Mutex
	off, end int64
	changes  uint64
}

// until is where the run of data ends that holds off, at most off itself if none is known. asOf is
// for note.
func (k *knownData) until(off int64) (end int64, asOf uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if off < k.off {
		return off, k.changes
	}
	return k.end, k.changes
}

// note keeps a run, unless holes were made since the file system was asked.
func (k *knownData) note(off, end int64, asOf uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changes == asOf {
		k.off, k.end = off, end
	}
}

// forget is called when holes were made.
func (k *knownData) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.off, k.end = 0, 0
	k.changes++
}
