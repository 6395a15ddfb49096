package file

import (
	"context"
	"errors"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
)

// ability is an operation that a file system may lack. What it refuses once as not supported is not tried again.
type ability struct{ missing atomic.Bool }

// try calls do unless it is known to be missing. Only "not supported" becomes ErrNotSupported; other errors are errors.
func (a *ability) try(do func() error) error {
	if a.missing.Load() {
		return blockdev.ErrNotSupported
	}
	err := do()
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOTTY) {
		a.missing.Store(true)
		return blockdev.ErrNotSupported
	}
	return err
}

// maxRange is the most that one fallocate changes, in bytes. Between calls the context is looked at.
const maxRange = 64 << 20

const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE

// fallocate does one kind of allocation on a range, piece by piece.
func (n *node) fallocate(ctx context.Context, mode uint32, off, size int64) error {
	for size > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		piece := min(size, maxRange)
		if err := n.With(func(fd int) error { return unix.Fallocate(fd, mode, off, piece) }); err != nil {
			return err
		}
		off, size = off+piece, size-piece
	}
	return nil
}

// Zero gives the space back if it may, else zeroes it in place, else by a hole that is filled again; behind the end of the file it
// is enough to allocate. Which way is taken is what QEMU 7.2 does.
func (n *node) Zero(ctx context.Context, off, size int64, f blockdev.Flags) error {
	err := blockdev.ErrNotSupported
	if f&blockdev.MayUnmap != 0 {
		err = n.zeroByHole(ctx, off, size)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EBUSY) {
			err = blockdev.ErrNotSupported
		}
	}
	if errors.Is(err, blockdev.ErrNotSupported) {
		err = n.zero.try(func() error { return n.fallocate(ctx, unix.FALLOC_FL_ZERO_RANGE, off, size) })
	}
	if errors.Is(err, blockdev.ErrNotSupported) || errors.Is(err, unix.EINVAL) {
		err = n.zeroByRefill(ctx, off, size)
	}
	if err == nil {
		n.Grow(off + size)
	}
	return err
}

// zeroByHole punches a hole, and lengthens a file that ends before it.
func (n *node) zeroByHole(ctx context.Context, off, size int64) error {
	if err := n.hole.try(func() error { return n.fallocate(ctx, punch, off, size) }); err != nil {
		return err
	}
	if off+size <= n.Size() {
		return nil
	}
	return n.With(func(fd int) error { return unix.Ftruncate(fd, off+size) })
}

// zeroByRefill is for file systems without ZERO_RANGE.
func (n *node) zeroByRefill(ctx context.Context, off, size int64) error {
	if off < n.Size() {
		if err := n.hole.try(func() error { return n.fallocate(ctx, punch, off, size) }); err != nil {
			return err
		}
	}
	var refill ability
	return refill.try(func() error { return n.fallocate(ctx, 0, off, size) })
}

// Discard punches a hole.
func (n *node) Discard(ctx context.Context, off, size int64, _ blockdev.Flags) error {
	return n.hole.try(func() error { return n.fallocate(ctx, punch, off, size) })
}
