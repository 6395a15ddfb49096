package file

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/hostfile"
)

// Zero gives the space back if it may, else zeroes it in place, else by a hole that is filled
// again; behind the end of the file it is enough to allocate. Which way is taken is what QEMU 7.2
// does.
func (n *node) Zero(ctx context.Context, off, size int64, f driver.Flags) error {
	defer n.known.forget()
	if off+size > n.Size() {
		n.length.Lock()
		defer n.length.Unlock()
	}
	err := driver.ErrNotSupported
	if f&driver.MayUnmap != 0 {
		err = n.zeroByHole(ctx, off, size)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EBUSY) {
			err = driver.ErrNotSupported
		}
	}
	if errors.Is(err, driver.ErrNotSupported) {
		err = n.zero.Try(
			func() error { return n.Fallocate(ctx, unix.FALLOC_FL_ZERO_RANGE, off, size) })
	}
	if errors.Is(err, driver.ErrNotSupported) || errors.Is(err, unix.EINVAL) {
		err = n.zeroByRefill(ctx, off, size)
	}
	if err == nil {
		n.Grow(off + size)
	}
	return err
}

// zeroByHole punches a hole, and lengthens a file that ends before it, for which the caller holds
// the length.
func (n *node) zeroByHole(ctx context.Context, off, size int64) error {
	if err := n.hole.Try(
		func() error { return n.Fallocate(ctx, hostfile.Punch, off, size) }); err != nil {
		return err
	}
	if off+size <= n.Size() {
		return nil
	}
	if err := n.Measure(); err != nil || off+size <= n.Size() {
		return err
	}
	return n.With(func(fd int) error { return unix.Ftruncate(fd, off+size) })
}

// zeroByRefill is for file systems without ZERO_RANGE.
func (n *node) zeroByRefill(ctx context.Context, off, size int64) error {
	if off < n.Size() {
		if err := n.hole.Try(
			func() error { return n.Fallocate(ctx, hostfile.Punch, off, size) }); err != nil {
			return err
		}
	}
	var refill hostfile.Ability
	return refill.Try(func() error { return n.Fallocate(ctx, 0, off, size) })
}

// Discard punches a hole.
func (n *node) Discard(ctx context.Context, off, size int64, _ driver.Flags) error {
	defer n.known.forget()
	return n.hole.Try(func() error { return n.Fallocate(ctx, hostfile.Punch, off, size) })
}
