package qcow2

import (
	"context"
	"errors"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// findFree is the offset of n free clusters in a row, the first ones from where the last search
// ended; all within limit. Gaps that are too small are passed over for good, until something is
// given back before them. It counts nothing.
func (q *image) findFree(ctx context.Context, n, limit int64) (int64, error) {
	if q.skipped >= 0 && !q.Pins.Cover(q.skipped<<q.clusterBits, q.cluster) {
		q.nextFree, q.skipped = min(q.nextFree, q.skipped), -1
	}
	s := search{q: q, want: n, last: limit >> q.clusterBits}
	if err := s.run(ctx); err != nil {
		return 0, err
	}
	off := (q.nextFree - n) << q.clusterBits
	return off, q.reusable(ctx, off, n<<q.clusterBits)
}

// search is one search for free clusters in a row. It reads a refcount block once at most, however
// often the refcount table of a damaged image refers to it, and so it ends.
type search struct {
	q     *image
	want  int64
	last  int64          // cluster that may be taken
	found int64          // free clusters right before q.nextFree
	known map[int64]gaps // by host offset of their refcount blocks
}

// gaps sums up the free clusters of a refcount block: how many at its start, in its longest run and
// at its end.
type gaps struct{ head, longest, tail int64 }

// run moves q.nextFree behind the clusters that it finds. It fails with EFBIG if there are none.
func (s *search) run(ctx context.Context) error {
	q := s.q
	for s.found < s.want {
		if err := format.Interrupted(ctx); err != nil {
			q.nextFree -= s.found
			return err
		}
		if q.nextFree > s.last {
			return syscall.EFBIG
		}
		skipped, err := s.skip(ctx)
		if err == nil && !skipped {
			err = s.walk(ctx)
		}
		if err != nil {
			return err
		}
	}
	if q.nextFree-1 > s.last {
		return syscall.EFBIG
	}
	return nil
}

// skip passes over a refcount block as a whole if the search reaches its first cluster and will not
// end in it.
func (s *search) skip(ctx context.Context) (bool, error) {
	q := s.q
	at, err := q.blockAt(ctx, q.nextFree)
	if err != nil || at == 0 || q.inBlock(q.nextFree) != 0 {
		return false, err
	}
	g, ok := s.known[at]
	if !ok {
		block, err := q.refs.Get(ctx, at)
		if err != nil {
			return false, err
		}
		g = q.gapsOf(block.Data)
		q.refs.Put(block)
		if s.known == nil {
			s.known = map[int64]gaps{}
		}
		s.known[at] = g
	}
	size := int64(1) << q.blockBits
	switch {
	case s.found+g.head >= s.want, g.longest >= s.want:
		return false, nil
	case g.head == size:
		s.found += size
	default:
		s.found = g.tail
	}
	q.nextFree += size
	return true, nil
}

// gapsOf looks through a refcount block.
func (q *image) gapsOf(block []byte) gaps {
	var g gaps
	size := int64(1) << q.blockBits
	for i := range size {
		if q.refcount(block, i) != 0 {
			g.tail = 0
			continue
		}
		g.tail++
		g.longest = max(g.longest, g.tail)
		if g.tail == i+1 {
			g.head = g.tail
		}
	}
	return g
}

// walk goes on cluster by cluster, until enough are found or the refcount block ends.
func (s *search) walk(ctx context.Context) error {
	q := s.q
	block, err := q.blockOf(ctx, q.nextFree)
	if err != nil {
		return err
	}
	defer q.refs.Put(block)
	for left := int64(1)<<q.blockBits - q.inBlock(q.nextFree); left > 0 &&
		s.found < s.want; left-- {
		used := block != nil && q.refcount(block.Data, q.inBlock(q.nextFree)) != 0
		if used || q.pinned(q.nextFree) {
			s.found = 0
		} else {
			s.found++
		}
		q.nextFree++
	}
	return nil
}

// pinned says whether a free cluster is still under I/O, and remembers that it was passed over.
func (q *image) pinned(cluster int64) bool {
	if !q.Pins.Cover(cluster<<q.clusterBits, q.cluster) {
		return false
	}
	if q.skipped < 0 || cluster < q.skipped {
		q.skipped = cluster
	}
	return true
}

// reusable makes sure that nothing in the file refers to free clusters any more.
func (q *image) reusable(ctx context.Context, off, n int64) error {
	if !q.deferred.Cover(off, n) {
		return nil
	}
	return q.barrier(ctx)
}

// allocate takes clusters for n bytes in a row and counts them.
func (q *image) allocate(ctx context.Context, n int64) (int64, error) {
	if err := q.Fire(ctx, driver.EvClusterAlloc); err != nil {
		return 0, err
	}
	for {
		off, err := q.findFree(ctx, q.clustersIn(n), maxHostOffset)
		if err != nil {
			return 0, err
		}
		if err = q.adjust(ctx, off, n, oneMore, discardNever); !errors.Is(err, errSearchAgain) {
			return off, err
		}
	}
}

// allocateAt takes at most n clusters that are free at exactly off, and returns how many.
func (q *image) allocateAt(ctx context.Context, off, n int64) (int64, error) {
	for {
		var free int64
		for ; free < n; free++ {
			if free&(countPage-1) == countPage-1 {
				if err := format.Interrupted(ctx); err != nil {
					return 0, err
				}
			}
			cluster := off>>q.clusterBits + free
			count, err := q.refcountOf(ctx, cluster)
			if err != nil {
				return 0, err
			}
			if count != 0 || q.pinned(cluster) {
				break
			}
		}
		if free == 0 {
			return 0, nil
		}
		if err := q.reusable(ctx, off, free<<q.clusterBits); err != nil {
			return 0, err
		}
		if err := q.adjust(ctx, off, free<<q.clusterBits, oneMore,
			discardNever); !errors.Is(err, errSearchAgain) {
			return free, err
		}
	}
}

// allocateBytes takes n bytes, at most a cluster, for a compressed cluster: behind the last ones if
// there is room, also over the end of their cluster if the next is free. It is so, as in QEMU, also
// if they were given back since, unless something else has taken their cluster.
func (q *image) allocateBytes(ctx context.Context, n int64) (int64, error) {
	if err := q.Fire(ctx, driver.EvClusterAllocBytes); err != nil {
		return 0, err
	}
	off := q.byteOff
	if off != 0 {
		count, err := q.refcountOf(ctx, off>>q.clusterBits)
		if err != nil {
			return 0, err
		}
		if count == q.refMax || count == 0 && q.pinned(off>>q.clusterBits) {
			off = 0
		}
	}
	room := q.cluster - q.within(off)
	for {
		if off == 0 || room < n {
			fresh, err := q.findFree(ctx, 1, min(int64(1)<<q.csizeShift-1, maxHostOffset))
			if err != nil {
				return 0, err
			}
			if fresh == 0 {
				return 0, q.corrupt(ctx,
					"Preventing invalid allocation of compressed cluster at offset 0")
			}
			if off == 0 || q.roundUp(off) != fresh {
				off, room = fresh, q.cluster
			} else {
				room += q.cluster
			}
		}
		err := q.reusable(ctx, off, n)
		if err == nil {
			err = q.adjust(ctx, off, n, oneMore, discardNever)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errSearchAgain) {
			return 0, err
		}
		off = 0
	}
	q.byteOff = off + n
	if q.within(q.byteOff) == 0 {
		q.byteOff = 0
	}
	return off, nil
}

// free gives clusters back. That it cannot be done is reported; the clusters then leak, and that is
// all.
func (q *image) free(ctx context.Context, off, n int64, why discardType) {
	err := q.Fire(ctx, driver.EvClusterFree)
	if err == nil {
		err = q.adjust(ctx, off, n, oneLess, why)
	}
	if err != nil {
		q.Notify(driver.ClusterUnfreed{Err: err})
	}
}

// spanOf is the part of the file that an L2 entry refers to, an empty one if it refers to none.
func (q *image) spanOf(e entry) format.Span {
	switch q.clusterType(e) {
	case compressed:
		off, n := q.compressedAt(e.desc)
		return format.Span{Off: off, Len: n}
	case normal, zeroHost:
		return format.Span{Off: e.host(), Len: q.cluster}
	}
	return format.Span{}
}

// freeEntry gives back what an L2 entry refers to.
func (q *image) freeEntry(ctx context.Context, e entry, why discardType) {
	if q.clusterType(e) != compressed && q.within(e.host()) != 0 {
		q.corruptMildly(ctx, "Cannot free unaligned cluster %s", hex(e.host()))
		return
	}
	if q.external() {
		if q.clusterType(e).hasHost() && q.settings.punch[why] {
			q.punch(ctx, e.host())
		}
		return
	}
	if place := q.spanOf(e); place.Len > 0 {
		q.free(ctx, place.Off, place.Len, why)
	}
}
