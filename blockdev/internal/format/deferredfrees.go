package format

import (
	"cmp"
	"slices"
)

// DeferredFrees are clusters whose last reference is gone from memory but perhaps not from the
// file: after a crash a table may still refer to them. They are neither taken again nor punched out
// before the tables are in the file and it was flushed. The zero value has none.
type DeferredFrees struct {
	list  []deferredFree // sorted by offset, apart from each other
	epoch uint64         // of the last mark
}

type deferredFree struct {
	Span
	punch bool   // punch a hole into the file there
	epoch uint64 // given back behind this mark
}

// alike says whether two ranges can be one where they touch.
func (d deferredFree) alike(other deferredFree) bool {
	return d.punch == other.punch && d.epoch == other.epoch
}

// Len is the number of separate ranges.
func (d *DeferredFrees) Len() int { return len(d.list) }

// Add notes a range that was given back. Neighbours of the same sort become one.
func (d *DeferredFrees) Add(off, n int64, punch bool) {
	e := deferredFree{Span{off, n}, punch, d.epoch}
	i, _ := slices.BinarySearchFunc(d.list, off,
		func(e deferredFree, off int64) int { return cmp.Compare(e.Off, off) })
	if i > 0 && d.list[i-1].End() == e.Off && d.list[i-1].alike(e) {
		i--
		e.Off, e.Len = d.list[i].Off, d.list[i].Len+e.Len
		d.list = slices.Delete(d.list, i, i+1)
	}
	if i < len(d.list) && e.End() == d.list[i].Off && d.list[i].alike(e) {
		e.Len += d.list[i].Len
		d.list = slices.Delete(d.list, i, i+1)
	}
	d.list = slices.Insert(d.list, i, e)
}

// Cover says whether any of the range was given back and is not yet free for good.
func (d *DeferredFrees) Cover(off, n int64) bool {
	i, _ := slices.BinarySearchFunc(d.list, off, func(e deferredFree, off int64) int {
		if e.End() <= off {
			return -1
		}
		return 1
	})
	return i < len(d.list) && d.list[i].Overlaps(off, n)
}

// Mark tells what was given back so far from what follows. It is 0 if there is nothing.
func (d *DeferredFrees) Mark() uint64 {
	if len(d.list) == 0 {
		return 0
	}
	d.epoch++
	return d.epoch
}

// Drop takes a range out again.
func (d *DeferredFrees) Drop(off, n int64) {
	if !d.Cover(off, n) {
		return
	}
	var kept []deferredFree
	for _, e := range d.list {
		if !e.Overlaps(off, n) {
			kept = append(kept, e)
			continue
		}
		before, behind := e, e
		before.Len = off - e.Off
		behind.Off = max(e.Off, off+n)
		behind.Len = e.End() - behind.Off
		if before.Len > 0 {
			kept = append(kept, before)
		}
		if behind.Len > 0 {
			kept = append(kept, behind)
		}
	}
	d.list = kept
}

// Settle makes what was given back before mark free for good, since the file was flushed. punch is
// called with what is to become a hole.
func (d *DeferredFrees) Settle(mark uint64, punch func(Span)) {
	d.list = slices.DeleteFunc(d.list, func(e deferredFree) bool {
		if e.epoch >= mark {
			return false
		}
		if e.punch {
			punch(e.Span)
		}
		return true
	})
}
