package qcow2

import (
	"context"
	"math/bits"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// WriteVec writes guest bytes, compressed if the flag says so.
func (q *image) WriteVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	if f&driver.Compressed != 0 {
		return q.writeCompressed(ctx, v, off)
	}
	return q.Image.WriteVec(ctx, v, off, f)
}

// Guard refuses a write of guest bytes that would hit metadata.
func (q *image) Guard(ctx context.Context, off, n int64) error {
	if q.external() {
		return nil
	}
	return q.guardMetadata(ctx, 0, off, n)
}

// Target finds clusters that guest bytes can be written to: those that are ours alone, else new
// ones.
func (q *image) Target(ctx context.Context, off, n, after int64) (format.Target, error) {
	t, fresh, err := q.inPlace(ctx, off, n, after)
	if err == nil && fresh {
		t, err = q.inNewPlace(ctx, off, n, after)
	}
	return t, err
}

// InPlace finds clusters in a row that are ours alone and hold data in all that is written.
func (q *image) InPlace(ctx context.Context, off, n int64) (host int64, ok bool, err error) {
	l1 := q.l1Index(off)
	if l1 >= int64(len(q.l1)) || q.l1[l1]&flagCopied == 0 {
		return 0, false, nil
	}
	m, err := q.lookup(ctx, off, n)
	if err != nil || m.clusterType != normal || m.n < n {
		return 0, false, err
	}
	s, err := q.openSlice(ctx, off, int64(q.l1[l1]&offsetMask))
	if err != nil {
		return 0, false, err
	}
	defer q.l2.Put(s.Table)
	for slot, left := q.slotOf(off), q.clustersIn(
		q.within(off)+n); left > 0; slot, left = slot+1, left-1 {
		if s.entry(slot).desc&flagCopied == 0 {
			return 0, false, nil
		}
	}
	return m.host, true, nil
}

// inPlace is Target for clusters that are ours alone. fresh: the first cluster needs a new place.
func (q *image) inPlace(
	ctx context.Context, off, n, after int64,
) (t format.Target, fresh bool, err error) {
	s, slot, err := q.writable(ctx, off)
	if err != nil {
		return t, false, err
	}
	defer q.l2.Put(s.Table)
	e := s.entry(slot)
	if q.needsNewCluster(e) {
		return t, true, nil
	}
	if q.within(e.host()) != 0 {
		what := "Data"
		if e.desc&flagZero != 0 {
			what = "Preallocated zero"
		}
		return t, false, q.corrupt(ctx, "%s cluster offset %s unaligned (guest offset: %s)", what,
			hex(e.host()), hex(off))
	}
	if err := q.placed(ctx, e, off, slot); err != nil {
		return t, false, err
	}
	if after >= 0 && e.host() != after {
		return t, false, nil
	}
	clusters := int64(1)
	for most := min(q.clustersIn(q.within(off)+n), s.slots()-slot); clusters < most; clusters++ {
		next := s.entry(slot + clusters)
		if q.needsNewCluster(next) || next.host() != e.host()+clusters<<q.clusterBits {
			break
		}
	}
	n = min(n, clusters<<q.clusterBits-q.within(off))
	t = format.Target{Host: e.host() + q.within(off), Len: n}
	t.Allocation, err = q.allocation(ctx, s, slot, format.Span{Off: off, Len: n}, e.host(), true)
	return t, false, err
}

// needsNewCluster says whether a write must take a new host cluster: there is none, or others refer
// to it too.
func (q *image) needsNewCluster(e entry) bool {
	k := q.clusterType(e)
	return k != normal && k != zeroHost || e.desc&flagCopied == 0
}

// inNewPlace is Target for clusters that must be taken.
func (q *image) inNewPlace(ctx context.Context, off, n, after int64) (t format.Target, err error) {
	s, slot, err := q.writable(ctx, off)
	if err != nil {
		return t, err
	}
	defer q.l2.Put(s.Table)
	clusters := int64(1)
	for most := min(q.clustersIn(q.within(off)+n), s.slots()-slot); clusters < most &&
		q.needsNewCluster(s.entry(slot+clusters)); {
		clusters++
	}
	var host int64
	if q.external() {
		host = q.startOf(off)
		if after >= 0 && after != off {
			clusters = 0
		}
	} else if after < 0 {
		host, err = q.allocate(ctx, clusters<<q.clusterBits)
	} else {
		host = q.startOf(after)
		clusters, err = q.allocateAt(ctx, host, clusters)
	}
	if err != nil || clusters == 0 {
		return t, err
	}
	n = min(n, clusters<<q.clusterBits-q.within(off))
	t = format.Target{Host: host + q.within(off), Len: n}
	t.Allocation, err = q.allocation(ctx, s, slot, format.Span{Off: off, Len: n}, host, false)
	return t, err
}

// allocation is what a part of a write enters into the tables, nil if all of it goes to data that
// is there already. host is the place of the first cluster; with inPlace the clusters had it
// before.
func (q *image) allocation(
	ctx context.Context, s slice, slot int64, part format.Span, host int64, inPlace bool,
) (*format.Allocation, error) {
	from := q.within(part.Off)
	to := from + part.Len
	clusters := q.clustersIn(to)
	plain := inPlace // whether all subclusters that are written have data
	for i := range clusters {
		e := s.entry(slot + i)
		k := q.subclusterType(e, 0)
		if plain {
			first := q.subIndex(max(from, i<<q.clusterBits))
			last := q.subIndex(min(to, (i+1)<<q.clusterBits) - 1)
			var n int
			k, n = q.subRun(e, first)
			plain = k == normal && first+n > last
		}
		if k == invalidEntry {
			return nil, q.corrupt(ctx, "Invalid cluster entry found (L2 offset: %s, L2 index: %s)",
				hex(s.tableAt), hex(slot+i))
		}
	}
	if plain {
		return nil, nil
	}
	copyFrom := q.copyFrom(s.entry(slot), from, inPlace)
	copyTo := q.copyTo(s.entry(slot+clusters-1), to, inPlace)
	if left := q.size.Load() - q.startOf(part.Off); q.external() && left > 0 {
		copyTo = max(to, min(copyTo, left)) // a data file ends where the disk does
	}
	return &format.Allocation{
		Guest: q.startOf(part.Off), Host: host, Len: clusters << q.clusterBits, InPlace: inPlace,
		Head: format.Span{Off: copyFrom, Len: from - copyFrom},
		Tail: format.Span{Off: to, Len: copyTo - to},
	}, nil
}

// copyFrom is where copying must begin in a cluster that is written from byte from on.
func (q *image) copyFrom(e entry, from int64, inPlace bool) int64 {
	sub := q.subIndex(from)
	k := q.subclusterType(e, sub)
	switch {
	case inPlace && k == normal:
		return from
	case inPlace, k == unallocated, k == zeroPlain:
		return int64(sub) << q.subBits
	case k != compressed && q.extended: // leading subclusters without data need no copy
		return int64(min(sub, bits.TrailingZeros32(uint32(e.bitmap)))) << q.subBits
	}
	return 0
}

// copyTo is where copying must end behind a write that ends at byte to, counted from the first
// cluster of the write, of which e is the last.
func (q *image) copyTo(e entry, to int64, inPlace bool) int64 {
	sub := q.subIndex(to - 1)
	k := q.subclusterType(e, sub)
	switch {
	case inPlace && k == normal:
		return to
	case inPlace, k == unallocated, k == zeroPlain:
		return driver.RoundUp(to, q.sub)
	case k != compressed && q.extended:
		return q.roundUp(to) - int64(
			min(q.subs-1-sub, bits.LeadingZeros32(uint32(e.bitmap))))<<q.subBits
	}
	return q.roundUp(to)
}

// orderCommit has the refcounts and all data written so far reach the file before the next L2 table
// does.
func (q *image) orderCommit(ctx context.Context) error {
	if q.settings.lazy {
		if err := q.markDirty(ctx); err != nil {
			return err
		}
	}
	q.l2.Barrier()
	if !q.accurate() {
		return nil
	}
	return q.l2.After(ctx, q.refs)
}

// Abort gives back clusters that get no data after all.
func (q *image) Abort(ctx context.Context, a *format.Allocation) {
	if !a.InPlace && !q.external() {
		q.free(ctx, a.Host, a.Len, discardNever)
	}
}

// Commit enters an allocation into its L2 table, and gives back what was there before.
func (q *image) Commit(ctx context.Context, a *format.Allocation) error {
	if err := q.orderCommit(ctx); err != nil {
		return err
	}
	s, slot, err := q.writable(ctx, a.Guest)
	if err != nil {
		return err
	}
	var old []entry
	for i := range a.Len >> q.clusterBits {
		e := s.entry(slot + i)
		place := q.spanOf(e)
		// else it was in use and counted as free
		if !a.InPlace && place.Len > 0 && !place.Overlaps(a.Host, a.Len) {
			old = append(old, e)
		}
		e.desc = uint64(a.Host+i<<q.clusterBits) | flagCopied
		if q.extended && !a.Empty {
			from := max(a.Head.Off, i<<q.clusterBits)
			to := min(a.Tail.End(), (i+1)<<q.clusterBits)
			mask := subMask(q.subIndex(from), q.subIndex(to-1)+1)
			e.bitmap = (e.bitmap | mask) &^ (mask << 32)
		}
		s.set(slot+i, e)
	}
	q.l2.Changed(s.Table)
	q.l2.Put(s.Table)
	for _, e := range old {
		q.freeEntry(ctx, e, discardNever) // the next write takes them again
	}
	return nil
}
