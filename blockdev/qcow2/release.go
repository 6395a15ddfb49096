package qcow2

import (
	"context"
	"slices"
)

// maxReleases is how many separate ranges may wait to be free for good before the file is flushed for them.
const maxReleases = 1024

// releases are clusters whose last reference is gone from memory but perhaps not from the file: after a crash an L2 table may still
// refer to them. They are neither taken again nor punched out before the tables are in the file and it was flushed.
type releases struct {
	list  []release // sorted by offset, apart from each other
	epoch uint64    // of the last mark
}

type release struct {
	span
	punch bool   // punch a hole into the file there
	epoch uint64 // given back behind this mark
}

// add notes a range that was given back. Neighbours of the same sort become one.
func (r *releases) add(off, n int64, punch bool) {
	i, _ := slices.BinarySearchFunc(r.list, off, func(e release, off int64) int {
		switch {
		case e.off < off:
			return -1
		case e.off > off:
			return 1
		}
		return 0
	})
	if i > 0 {
		if p := &r.list[i-1]; p.end() == off && p.punch == punch && p.epoch == r.epoch {
			p.n += n
			if i < len(r.list) && r.list[i].off == p.end() && r.list[i].punch == punch && r.list[i].epoch == r.epoch {
				p.n += r.list[i].n
				r.list = slices.Delete(r.list, i, i+1)
			}
			return
		}
	}
	if i < len(r.list) {
		if p := &r.list[i]; p.off == off+n && p.punch == punch && p.epoch == r.epoch {
			p.off, p.n = off, p.n+n
			return
		}
	}
	r.list = slices.Insert(r.list, i, release{span{off, n}, punch, r.epoch})
}

// cover says whether any of the range was given back and is not yet free for good.
func (r *releases) cover(off, n int64) bool {
	i, _ := slices.BinarySearchFunc(r.list, off, func(e release, off int64) int {
		if e.end() <= off {
			return -1
		}
		return 1
	})
	return i < len(r.list) && r.list[i].overlaps(off, n)
}

// mark tells what was given back so far from what follows. It is 0 if there is nothing.
func (r *releases) mark() uint64 {
	if len(r.list) == 0 {
		return 0
	}
	r.epoch++
	return r.epoch
}

// drop takes a range out again.
func (r *releases) drop(off, n int64) {
	if !r.cover(off, n) {
		return
	}
	var kept []release
	for _, e := range r.list {
		if !e.overlaps(off, n) {
			kept = append(kept, e)
			continue
		}
		before, behind := e, e
		before.n = off - e.off
		behind.off = max(e.off, off+n)
		behind.n = e.end() - behind.off
		if before.n > 0 {
			kept = append(kept, before)
		}
		if behind.n > 0 {
			kept = append(kept, behind)
		}
	}
	r.list = kept
}

// release notes a cluster without references.
func (q *image) release(ctx context.Context, off int64, why freeKind) {
	q.released.add(off, q.cluster, q.settings.punch[why])
	if len(q.released.list) >= maxReleases {
		_ = q.barrier(ctx) // tried again when one of them is wanted
	}
}

// settleReleases makes what was given back before mark free for good: the file was flushed since.
func (q *image) settleReleases(ctx context.Context, mark uint64) {
	q.released.list = slices.DeleteFunc(q.released.list, func(r release) bool {
		if r.epoch >= mark {
			return false
		}
		if r.punch && !q.pins.cover(r.off, r.n) {
			_ = q.file.Discard(ctx, r.off, r.n, 0) // a hole saves space, nothing depends on it
		}
		return true
	})
}

// barrier makes everything that was given back free for good.
func (q *image) barrier(ctx context.Context) error {
	mark := q.released.mark()
	if mark == 0 {
		return nil
	}
	if err := q.l2.flush(ctx); err != nil {
		return err
	}
	q.settleReleases(ctx, mark)
	return nil
}
