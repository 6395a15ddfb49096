package file

import (
	"context"
	"errors"
	"math"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/arena"
)

// fillSize is how much of a file is written at once to preallocate it in full, in bytes.
const fillSize = 1 << 20

// syncEvery is how much of it is written before it is synced, in bytes: a sync that has begun
// cannot be stopped.
const syncEvery = 128 << 20

// Truncate sets the length, and gives what is added its space as p says. If that fails, the file is
// as long as before.
func (n *node) Truncate(ctx context.Context, size int64, p driver.Prealloc, _ driver.Flags) error {
	n.length.Lock()
	defer n.length.Unlock()
	defer n.known.forget()
	if err := n.Measure(); err != nil {
		return err
	}
	old := n.Size()
	if size < old && p != driver.PreallocOff {
		return driver.Refuse("Cannot use preallocation for shrinking files")
	}
	var err error
	switch p {
	case driver.PreallocOff:
		err = n.setLength(size)
	case driver.PreallocFalloc:
		err = n.allocate(ctx, old, size)
	case driver.PreallocFull:
		err = n.fill(ctx, old, size)
	default:
		return driver.Refuse("Unsupported preallocation mode: %s", p)
	}
	if err != nil {
		return errors.Join(err, n.restore(old, size))
	}
	n.SetSize(size)
	return nil
}

func (n *node) setLength(size int64) error {
	return driver.Because(n.With(func(fd int) error { return unix.Ftruncate(fd, size) }),
		"Could not resize file")
}

// restore takes back what a failed growth has left.
func (n *node) restore(old, size int64) error {
	if size <= old {
		return nil
	}
	return driver.Because(n.With(func(fd int) error { return unix.Ftruncate(fd, old) }),
		"Failed to restore old file length")
}

// allocate adds space that reads as zeroes without writing it. A file system that cannot is filled
// instead.
func (n *node) allocate(ctx context.Context, old, size int64) error {
	if size == old {
		return nil
	}
	err := n.With(func(fd int) error { return mayHold(fd, old, size) })
	if err == nil {
		err = n.Fallocate(ctx, 0, old, size-old)
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		return n.fill(ctx, old, size)
	}
	return driver.Because(err, "Could not preallocate new data")
}

// mayHold refuses at once to make a file longer than any, or by more than the whole file system
// holds. What is allocated in pieces would show it only when the disk is full.
func mayHold(fd int, old, size int64) error {
	if err := unix.Fallocate(fd, 0, size-1, 1); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return err
	}
	if unit := int64(st.Bsize); unit > 0 && st.Blocks > 0 &&
		(size-old)/unit > int64(min(st.Blocks, math.MaxInt64)) {
		return unix.ENOSPC
	}
	return nil
}

// fill writes zeroes and syncs them.
func (n *node) fill(ctx context.Context, old, size int64) error {
	if err := n.setLength(size); err != nil {
		return err
	}
	mem, err := arena.New(1, fillSize)
	if err != nil {
		return err
	}
	defer mem.Free()
	align := n.Info().RequestAlign
	// The rest of a block in which the file ended is left to the file system: requests may be
	// writing to that block.
	for at, unsynced := driver.RoundUp(old, align), 0; at < size; at += fillSize {
		piece := mem.Slot(0)[:min(fillSize, driver.RoundUp(size-at, align))]
		if err := n.File.WriteVec(ctx, driver.Vec{piece}, at, 0); err != nil {
			return driver.Because(err, "Could not write zeros for preallocation")
		}
		if unsynced += len(piece); unsynced >= syncEvery {
			if err := n.Flush(ctx); err != nil {
				return driver.Because(err, "Could not flush file to disk")
			}
			unsynced = 0
		}
	}
	if size%align != 0 { // whole blocks were written
		if err := n.setLength(size); err != nil {
			return err
		}
	}
	return driver.Because(n.Flush(ctx), "Could not flush file to disk")
}
