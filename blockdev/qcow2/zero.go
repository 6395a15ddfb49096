package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// ZeroMap marks subclusters as zeroes. The range is aligned to them, or ends with the image.
func (q *image) ZeroMap(ctx context.Context, off, n int64, unmap bool) error {
	if q.version < 3 {
		if q.Backing != nil {
			return driver.ErrNotSupported
		}
		return q.discardRange(ctx, off, n, discardRequest, false)
	}
	f := driver.Flags(0)
	if unmap {
		f = driver.MayUnmap
	}
	if err := q.zeroRaw(ctx, off, n, f); err != nil {
		return err
	}
	end := off + n
	first := min(end, q.roundUp(off))
	last := max(first, q.startOf(end))
	if end >= q.size.Load() {
		last = end
	}
	if err := q.zeroSubclusters(format.Uncancelled(ctx), off, first); err != nil {
		return err
	}
	err := q.eachSlice(ctx, first, last-first,
		func(ctx context.Context, s slice, slot, clusters int64) {
			q.zeroClusters(ctx, s, slot, clusters, unmap)
		})
	if err != nil {
		return err
	}
	return q.zeroSubclusters(format.Uncancelled(ctx), last, end)
}

// eachSlice calls do for every part of an L2 table that holds entries of a range of clusters. It
// ends between two of them when ctx does.
func (q *image) eachSlice(
	ctx context.Context, off, n int64, do func(ctx context.Context, s slice, slot, clusters int64),
) error {
	for left := q.clustersIn(n); left > 0; {
		if err := format.Interrupted(ctx); err != nil {
			return err
		}
		s, slot, err := q.writable(format.Uncancelled(ctx), off)
		if err != nil {
			return err
		}
		clusters := min(left, s.slots()-slot)
		do(format.Uncancelled(ctx), s, slot, clusters)
		q.l2.Put(s.Table)
		left -= clusters
		off += clusters << q.clusterBits
	}
	return nil
}

// zeroClusters marks whole clusters. What they had is given back if unmap says so; compressed data
// always is.
func (q *image) zeroClusters(ctx context.Context, s slice, slot, clusters int64, unmap bool) {
	for i := slot; i < slot+clusters; i++ {
		old := s.entry(i)
		k := q.clusterType(old)
		drop := k == compressed || unmap && k.hasHost()
		keep := q.settings.keepRefs && k != compressed
		e := old
		if drop && !keep {
			e.desc = 0
		}
		if q.extended {
			e.bitmap = allZero
		} else {
			e.desc |= flagZero
		}
		if e == old {
			continue
		}
		s.set(i, e)
		q.l2.Changed(s.Table)
		switch {
		case drop && keep:
			q.punchKept(ctx, old)
		case drop:
			q.freeEntry(ctx, old, discardRequest)
		}
	}
}

// punchKept punches out a cluster that keeps its place although its contents are gone, unless a
// snapshot has it too.
func (q *image) punchKept(ctx context.Context, e entry) {
	if q.settings.punch[discardRequest] && e.desc&flagCopied != 0 && q.within(e.host()) == 0 {
		q.punch(ctx, e.host())
	}
}

// zeroSubclusters marks part of one cluster, with extended L2 tables.
func (q *image) zeroSubclusters(ctx context.Context, from, to int64) error {
	if from == to {
		return nil
	}
	s, slot, err := q.writable(ctx, from)
	if err != nil {
		return err
	}
	defer q.l2.Put(s.Table)
	e := s.entry(slot)
	if q.clusterType(e) == compressed {
		return driver.ErrNotSupported
	}
	mask := subMask(q.subIndex(from), q.subIndex(to-1)+1)
	if changed := e.bitmap&^mask | mask<<32; changed != e.bitmap {
		s.set(slot, entry{e.desc, changed})
		q.l2.Changed(s.Table)
	}
	return nil
}
