package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Discard gives clusters back; they read as zeroes afterwards. Parts of clusters stay, but for the
// last of the image. Version 2 cannot hide a backing file that way and leaves everything as it is.
func (q *image) Discard(ctx context.Context, off, n int64, f driver.Flags) error {
	if err := q.usable(); err != nil {
		return err
	}
	if q.version < 3 && q.Backing != nil {
		return driver.ErrNotSupported
	}
	return q.Image.Discard(ctx, off, n, f)
}

// Unmap gives whole clusters back.
func (q *image) Unmap(ctx context.Context, off, n int64) error {
	if err := q.zeroRaw(ctx, off, n, driver.MayUnmap); err != nil {
		return err
	}
	return q.discardRange(ctx, off, n, discardRequest, false)
}

// discardRange gives all clusters of a range back. With fallThrough they are unallocated afterwards
// and show what is in the backing file.
func (q *image) discardRange(
	ctx context.Context, off, n int64, why discardType, fallThrough bool,
) error {
	return q.eachSlice(ctx, off, n, func(ctx context.Context, s slice, slot, clusters int64) {
		for i := slot; i < slot+clusters; i++ {
			q.discardCluster(ctx, s, i, why, fallThrough)
		}
	})
}

func (q *image) discardCluster(
	ctx context.Context, s slice, slot int64, why discardType, fallThrough bool,
) {
	old := s.entry(slot)
	k := q.clusterType(old)
	keep := q.settings.keepRefs && k != compressed && !fallThrough && why == discardRequest
	e := q.discarded(old, keep)
	if fallThrough {
		e = entry{}
	}
	if e == old {
		return
	}
	s.set(slot, e)
	q.l2.Changed(s.Table)
	if !keep {
		q.freeEntry(ctx, old, why)
	} else if k.hasHost() {
		q.punchKept(ctx, old)
	}
}

// discarded is the entry of a cluster after a discard. What reads as zeroes because nothing is
// there stays so.
func (q *image) discarded(old entry, keep bool) entry {
	k := q.clusterType(old)
	if q.Backing == nil && k != compressed && !k.hasHost() {
		return old
	}
	e := old
	if !keep {
		e.desc = 0
	}
	switch {
	case q.extended:
		e.bitmap = allZero
	case q.version >= 3:
		e.desc |= flagZero
	}
	return e
}
