package qcow2

import (
	"context"
	"encoding/binary"
	"math/bits"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// Bits of L1 and L2 entries.
const (
	flagCopied     = 1 << 63 // the refcount is exactly one: may be written in place
	flagCompressed = 1 << 62
	flagZero       = 1 // reads as zeroes; not with extended L2 tables
	offsetMask     = 0x00fffffffffffe00

	l1Reserved       = 0x7f000000000001ff
	l2Reserved       = 0x3f000000000001fe
	reftableReserved = 0x1ff
	reftableMask     = ^uint64(reftableReserved)

	allAlloc = 1<<32 - 1      // bitmap: all subclusters have data
	allZero  = allAlloc << 32 // bitmap: all subclusters read as zeroes
)

// entry is an L2 entry: the descriptor and, with extended L2 tables, the bitmap. The low half of
// the bitmap says which subclusters have data, the high half which read as zeroes.
type entry struct{ desc, bitmap uint64 }

// host is the offset of the host cluster, 0 if there is none.
func (e entry) host() int64 { return int64(e.desc & offsetMask) }

// clusterType is what a cluster or a subcluster is, as QEMU's cluster types.
type clusterType uint8

const (
	unallocated     clusterType = iota // read from the backing file
	unallocatedHost                    // the same, but its cluster has a place in the file
	zeroPlain                          // reads as zeroes
	zeroHost                           // the same, and its cluster has a place in the file
	normal                             // data at its place
	compressed                         // data, compressed with its whole cluster
	invalidEntry                       // no such entry may be
)

// zero says whether the bytes are known to be zeroes.
func (t clusterType) zero() bool { return t == zeroPlain || t == zeroHost }

// absent says whether the bytes are the backing file's.
func (t clusterType) absent() bool { return t == unallocated || t == unallocatedHost }

// hasHost says whether the cluster has a place in the file that data can be written to.
func (t clusterType) hasHost() bool { return t == normal || t == zeroHost || t == unallocatedHost }

// clusterType classifies a whole cluster. With extended L2 tables it is unallocated, normal or
// compressed.
func (g *geometry) clusterType(e entry) clusterType {
	switch {
	case e.desc&flagCompressed != 0:
		return compressed
	case e.desc&flagZero != 0 && !g.extended:
		if e.host() != 0 {
			return zeroHost
		}
		return zeroPlain
	case e.host() == 0 && (!g.dataFile || e.desc&flagCopied == 0): // a data file has a cluster at 0
		return unallocated
	}
	return normal
}

// subclusterType classifies one subcluster. The whole entry is invalid if any part of its bitmap
// is.
func (g *geometry) subclusterType(e entry, sub int) clusterType {
	k := g.clusterType(e)
	if !g.extended || k == compressed {
		return k
	}
	alloc, zero := e.bitmap>>sub&1 != 0, e.bitmap>>(32+sub)&1 != 0
	if k == normal {
		switch {
		case e.bitmap>>32&e.bitmap != 0:
			return invalidEntry
		case zero:
			return zeroHost
		case alloc:
			return normal
		}
		return unallocatedHost
	}
	switch {
	case e.bitmap&allAlloc != 0:
		return invalidEntry
	case zero:
		return zeroPlain
	}
	return unallocated
}

// subRun is the kind of subcluster sub, and how many from there on in the cluster are of that kind.
func (g *geometry) subRun(e entry, sub int) (clusterType, int) {
	k := g.subclusterType(e, sub)
	if !g.extended || k == compressed || k == invalidEntry {
		return k, g.subs - sub
	}
	alloc, zero := uint32(e.bitmap), uint32(e.bitmap>>32)
	var same uint32
	switch {
	case k == normal:
		same = alloc
	case k.zero():
		same = zero
	default:
		same = ^(alloc | zero)
	}
	return k, min(bits.TrailingZeros32(^(same >> sub)), subclusters-sub)
}

// run of subclusters [from, to) in the data half of a bitmap.
func subMask(from, to int) uint64 { return 1<<to - 1<<from }

// slice is a cached part of an L2 table.
type slice struct {
	*format.Table
	g       *geometry
	tableAt int64 // host offset of the L2 table that it belongs to
}

// slots is the number of entries of the slice.
func (s slice) slots() int64 { return int64(len(s.Data)) / s.g.entrySize }

func (s slice) entry(i int64) entry {
	b := s.Data[i*s.g.entrySize:]
	e := entry{desc: binary.BigEndian.Uint64(b)}
	if s.g.extended {
		e.bitmap = binary.BigEndian.Uint64(b[8:])
	}
	return e
}

func (s slice) set(i int64, e entry) {
	b := s.Data[i*s.g.entrySize:]
	binary.BigEndian.PutUint64(b, e.desc)
	if s.g.extended {
		binary.BigEndian.PutUint64(b[8:], e.bitmap)
	}
}

// slotOf is the index of the entry for off in its slice.
func (q *image) slotOf(off int64) int64 {
	return off >> q.clusterBits & (q.l2.Unit/q.entrySize - 1)
}

// tableAt is where the L2 table of an L1 entry, which has an index, is; 0 if there is none.
func (q *image) tableAt(ctx context.Context, entry uint64, index int64) (int64, error) {
	at := int64(entry & offsetMask)
	if q.within(at) != 0 {
		return 0, q.corrupt(ctx, "L2 table offset %s unaligned (L1 index: %s)", hex(at), hex(index))
	}
	return at, nil
}

// openSlice loads the part for off of the L2 table at tableAt.
func (q *image) openSlice(ctx context.Context, off, tableAt int64) (slice, error) {
	start := q.l2Index(off) * q.entrySize &^ (q.l2.Unit - 1)
	t, err := q.l2.Get(ctx, tableAt+start)
	return slice{t, &q.geometry, tableAt}, err
}

// mapping is a run of guest bytes that are alike.
type mapping struct {
	clusterType
	n int64 // bytes
	// host is where the first of them is in the file; meaningful if hasHost says so.
	host int64
	desc uint64 // the L2 entry of a compressed cluster
}

// lookup maps at most n bytes from off. It needs the lock.
func (q *image) lookup(ctx context.Context, off, n int64) (mapping, error) {
	unit := q.l2.Unit / q.entrySize
	room := (unit-q.slotOf(off))<<q.clusterBits - q.within(off) // to the end of the slice
	n = min(n, room)
	m := mapping{clusterType: unallocated, n: n}
	l1 := q.l1Index(off)
	if l1 >= int64(len(q.l1)) {
		return m, nil
	}
	tableAt, err := q.tableAt(ctx, q.l1[l1], l1)
	if err != nil || tableAt == 0 {
		if l1 >= q.l1Held {
			q.TellCut(q.l1Cut)
		}
		return m, err
	}
	s, err := q.openSlice(ctx, off, tableAt)
	if err != nil {
		return m, err
	}
	defer q.l2.Put(s.Table)
	slot := q.slotOf(off)
	e := s.entry(slot)
	m.clusterType = q.subclusterType(e, q.subIndex(off))
	if q.version < 3 && m.clusterType.zero() {
		return m, q.corrupt(ctx,
			"Zero cluster entry found in pre-v3 image (L2 offset: %s, L2 index: %s)", hex(tableAt),
			hex(slot))
	}
	switch {
	case m.clusterType == compressed && q.external():
		return m, q.corrupt(ctx, "Compressed cluster entry found in image with external data file "+
			"(L2 offset: %s, L2 index: %s)", hex(tableAt), hex(slot))
	case m.clusterType == compressed:
		m.desc = e.desc
	case m.clusterType.hasHost():
		m.host = e.host() + q.within(off)
		if q.within(e.host()) != 0 {
			return m, q.corruptBy(ctx,
				&driver.ClusterOffsetError{Offset: e.host(), Table: tableAt, Index: int64(slot)})
		}
		if err := q.placed(ctx, e, off, slot); err != nil {
			return m, err
		}
	}
	run, bad := q.countAlike(s, slot, q.subIndex(off), q.clustersIn(n+q.within(off)))
	if bad >= 0 {
		return m, q.corrupt(ctx, "Invalid cluster entry found  (L2 offset: %s, L2 index: %s)",
			hex(tableAt), hex(bad))
	}
	m.n = min(n, run<<q.subBits-off&(q.sub-1))
	return m, nil
}

// placed finds an entry corrupt that leads elsewhere in a data file than to the guest's offset: it
// would show another part of the disk, and have that written.
func (q *image) placed(ctx context.Context, e entry, off, slot int64) error {
	if !q.external() || e.host() == q.startOf(off) {
		return nil
	}
	return q.corrupt(ctx, "External data file host cluster offset %s does not match guest "+
		"cluster offset: %s, L2 index: %s)", hex(e.host()), hex(q.startOf(off)), hex(slot))
}

// countAlike counts subclusters of one kind from slot on, over at most max clusters; where they
// have a place they must lie one behind the other. bad is the slot of an invalid entry, or -1.
func (q *image) countAlike(s slice, slot int64, sub int, clusters int64) (count, bad int64) {
	var first clusterType
	var host int64
	for i := range clusters {
		e := s.entry(slot + i)
		k, n := q.subRun(e, sub)
		switch {
		case k == invalidEntry:
			return 0, slot + i
		case i == 0:
			if k == compressed {
				return int64(n), -1
			}
			first, host = k, e.host()
		case k != first, k.hasHost() && e.host() != host+i<<q.clusterBits:
			return count, -1
		}
		count += int64(n)
		if sub+n < q.subs {
			break
		}
		sub = 0
	}
	return count, -1
}

// writable is the slice for off in an L2 table that only the active L1 table refers to. Tables that
// are missing or shared are made or copied, the L1 table grows as needed.
func (q *image) writable(ctx context.Context, off int64) (slice, int64, error) {
	l1 := q.l1Index(off)
	if l1 >= int64(len(q.l1)) {
		if err := q.growL1(ctx, l1+1, false); err != nil {
			return slice{}, 0, err
		}
	}
	at, err := q.tableAt(ctx, q.l1[l1], l1)
	if err != nil {
		return slice{}, 0, err
	}
	if at == 0 || q.l1[l1]&flagCopied == 0 {
		if err := q.newL2(ctx, l1); err != nil {
			return slice{}, 0, err
		}
		if at != 0 {
			q.free(ctx, at, q.cluster, discardOther)
		}
		at = int64(q.l1[l1] & offsetMask)
	}
	s, err := q.openSlice(ctx, off, at)
	return s, q.slotOf(off), err
}

// newL2 gives an L1 entry a table of its own: a copy of the one it has, or an empty one.
func (q *image) newL2(ctx context.Context, l1 int64) (err error) {
	old := q.l1[l1]
	at, err := q.allocate(ctx, q.cluster)
	if err != nil {
		return err
	}
	if at == 0 {
		return q.corrupt(ctx, "Preventing invalid allocation of L2 table at offset 0")
	}
	if at == int64(old&offsetMask) { // it is in use and counted as free
		return q.corrupt(ctx,
			"Preventing invalid allocation of L2 table at offset %s (overlaps with itself)",
			hex(at))
	}
	defer func() {
		if err == nil {
			return
		}
		q.l1[l1] = old
		if !unsettled(err) {
			q.free(ctx, at, q.cluster, discardAlways)
		}
	}()
	if err := q.refs.Flush(ctx); err != nil {
		return err
	}
	for part := int64(0); part < q.cluster; part += q.l2.Unit {
		if err := q.copySlice(ctx, int64(old&offsetMask), at, part); err != nil {
			return err
		}
	}
	if err := q.l2.Flush(ctx); err != nil {
		return err
	}
	q.l1[l1] = uint64(at) | flagCopied
	return q.writeL1Entry(ctx, l1)
}

// copySlice fills one part of the new L2 table at to, from the one at from if that is not 0.
func (q *image) copySlice(ctx context.Context, from, to, part int64) error {
	t, err := q.l2.Fresh(ctx, to+part)
	if err != nil {
		return err
	}
	defer q.l2.Put(t)
	if from != 0 {
		if err := q.Fire(ctx, driver.EvL2AllocCowRead); err != nil {
			return err
		}
		old, err := q.l2.Get(ctx, from+part)
		if err != nil {
			return err
		}
		copy(t.Data, old.Data)
		q.l2.Put(old)
	}
	if err := q.Fire(ctx, driver.EvL2AllocWrite); err != nil {
		return err
	}
	q.l2.Changed(t)
	return nil
}
