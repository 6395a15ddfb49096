package format

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Zero makes guest bytes read as zeroes by the tables alone. The edges of a unit are only possible
// where the rest of it reads as zeroes already.
func (i *Image) Zero(ctx context.Context, off, n int64, f driver.Flags) error {
	head, tail := off&(i.Unit-1), -(off+n)&(i.Unit-1)
	if off+n == i.Size() {
		tail = 0
	}
	if head|tail != 0 {
		if head+n+tail > i.Unit {
			return driver.ErrNotSupported
		}
		zero, err := i.readsZero(ctx, Span{off - head, head}, Span{off + n, i.inside(off+n, tail)})
		if err != nil {
			return err
		}
		if !zero {
			return driver.ErrNotSupported
		}
		off, n = off-head, i.Unit
	}
	if err := i.Lock(ctx); err != nil {
		return err
	}
	defer i.Unlock()
	if err := i.prepareChange(ctx, off, n); err != nil {
		return err
	}
	if head|tail != 0 { // a write may have ended there meanwhile
		m, err := i.Lookup(ctx, off, n)
		if err != nil {
			return err
		}
		if m.Kind != Zero && m.Kind != Absent {
			return driver.ErrNotSupported
		}
	}
	return i.ZeroMap(ctx, off, n, f&driver.MayUnmap != 0)
}

// inside is how many of n bytes from off lie within the image.
func (i *Image) inside(off, n int64) int64 { return max(0, min(n, i.Size()-off)) }

// Discard gives whole clusters back, and the last one of the image also in part. Parts of others
// are refused.
func (i *Image) Discard(ctx context.Context, off, n int64, _ driver.Flags) error {
	if i.within(off) != 0 || i.within(n) != 0 && off+n != i.Size() {
		return driver.ErrNotSupported
	}
	if err := i.Lock(ctx); err != nil {
		return err
	}
	defer i.Unlock()
	if err := i.prepareChange(ctx, off, n); err != nil {
		return err
	}
	return i.Unmap(ctx, off, n)
}

// prepareChange waits for writes under way in a range, and makes the image ready for a change
// without data.
func (i *Image) prepareChange(ctx context.Context, off, n int64) error {
	if err := i.WaitIdle(ctx, i.startOf(off), i.within(off)+n); err != nil {
		return err
	}
	return i.BeginChange(Uncancelled(ctx), off, n)
}
