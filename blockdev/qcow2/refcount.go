package qcow2

import (
	"context"
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// errSearchAgain says that clusters were taken for refcount metadata, perhaps the very ones that
// the caller had found.
var errSearchAgain = errors.New("refcount metadata was allocated")

// refcount reads the i-th refcount of a block. Those smaller than a byte start at its low bits.
func (g *geometry) refcount(block []byte, i int64) uint64 {
	switch g.refOrder {
	case 3:
		return uint64(block[i])
	case 4:
		return uint64(binary.BigEndian.Uint16(block[2*i:]))
	case 5:
		return uint64(binary.BigEndian.Uint32(block[4*i:]))
	case 6:
		return binary.BigEndian.Uint64(block[8*i:])
	}
	bit := i << g.refOrder
	return uint64(block[bit>>3]>>(bit&7)) & g.refMax
}

// setRefcount changes the i-th refcount of a block.
func (g *geometry) setRefcount(block []byte, i int64, n uint64) {
	switch g.refOrder {
	case 3:
		block[i] = byte(n)
	case 4:
		binary.BigEndian.PutUint16(block[2*i:], uint16(n))
	case 5:
		binary.BigEndian.PutUint32(block[4*i:], uint32(n))
	case 6:
		binary.BigEndian.PutUint64(block[8*i:], n)
	default:
		bit := i << g.refOrder
		p := &block[bit>>3]
		*p = *p&^(byte(g.refMax)<<(bit&7)) | byte(n)<<(bit&7)
	}
}

// setReftable installs a refcount table.
func (q *image) setReftable(words []uint64) {
	q.reftable = words
	q.reftableEnd = len(words)
	for q.reftableEnd > 0 && words[q.reftableEnd-1]&reftableMask == 0 {
		q.reftableEnd--
	}
}

// inBlock is the index of a cluster's refcount in its block.
func (q *image) inBlock(cluster int64) int64 { return cluster & (1<<q.blockBits - 1) }

// blockAt is where the refcount block for cluster is, 0 if there is none.
func (q *image) blockAt(ctx context.Context, cluster int64) (int64, error) {
	i := cluster >> q.blockBits
	if i >= int64(len(q.reftable)) {
		return 0, nil
	}
	at := q.reftable[i] & reftableMask
	if at&uint64(q.cluster-1) != 0 {
		return 0, q.corrupt(ctx, "Refblock offset %s unaligned (reftable index: %s)", hex(at),
			hex(i))
	}
	return int64(at), nil
}

// blockOf loads the refcount block for cluster, nil if there is none.
func (q *image) blockOf(ctx context.Context, cluster int64) (*format.Table, error) {
	at, err := q.blockAt(ctx, cluster)
	if err != nil || at == 0 {
		return nil, err
	}
	return q.refs.Get(ctx, at)
}

// refcountOf is the refcount of a cluster, 0 where no block covers it.
func (q *image) refcountOf(ctx context.Context, cluster int64) (uint64, error) {
	r := refcounts{q: q}
	defer r.drop()
	return r.of(ctx, cluster)
}

// refcounts looks up clusters one after the other. It holds the block that it used last, until
// drop.
type refcounts struct {
	q     *image
	block *format.Table // nil for none
	index int64         // of the block in the refcount table
}

// of is the refcount of a cluster, 0 where no block covers it.
func (r *refcounts) of(ctx context.Context, cluster int64) (uint64, error) {
	q := r.q
	if i := cluster >> q.blockBits; r.block == nil || i != r.index {
		r.drop()
		var err error
		if r.block, err = q.blockOf(ctx, cluster); r.block == nil {
			return 0, err
		}
		r.index = i
	}
	return q.refcount(r.block.Data, q.inBlock(cluster)), nil
}

func (r *refcounts) drop() {
	r.q.refs.Put(r.block)
	r.block = nil
}

// delta is a change of refcounts.
type delta struct {
	by      uint64
	down    bool
	counted bool // only of clusters whose refcount is not 0
}

func (d delta) inverse() delta { return delta{by: d.by, down: !d.down} }

// apply is n changed by d, and whether that is a number that fits.
func (d delta) apply(n, limit uint64) (uint64, bool) {
	if d.down {
		return n - d.by, n >= d.by
	}
	return n + d.by, n+d.by >= n && n+d.by <= limit
}

var (
	oneMore     = delta{by: 1}
	oneMoreUser = delta{by: 1, counted: true}
	oneLess     = delta{by: 1, down: true}
)

// adjust changes the refcounts of all clusters that a range touches: all of them, or none if it
// fails. It may take clusters for new refcount blocks and then returns errSearchAgain.
func (q *image) adjust(ctx context.Context, off, n int64, d delta, why discardType) error {
	if n <= 0 {
		return nil
	}
	if d.down {
		if err := q.refs.After(ctx, q.l2); err != nil {
			return err
		}
	}
	first := q.startOf(off)
	at := first
	err := q.adjustFrom(ctx, &at, q.startOf(off+n-1), d, why)
	if errors.Is(err, errSearchAgain) {
		q.nextFree = min(q.nextFree, first>>q.clusterBits) // try the same ones first
	}
	if err != nil && at > off {
		_ = q.adjust(ctx, off, at-off, d.inverse(), discardNever) // else they leak
	}
	return err
}

// adjustFrom changes clusters from *at to last; *at is left at the one that failed.
func (q *image) adjustFrom(
	ctx context.Context, at *int64, last int64, d delta, why discardType,
) error {
	var block *format.Table
	defer func() { q.refs.Put(block) }()
	covered := int64(-1)
	for ; *at <= last; *at += q.cluster {
		cluster := *at >> q.clusterBits
		if i := cluster >> q.blockBits; i != covered {
			q.refs.Put(block)
			var err error
			if block, err = q.blockToChange(ctx, cluster, d); err != nil {
				return err
			}
			covered = i
		}
		i := q.inBlock(cluster)
		old := q.refcount(block.Data, i)
		count, ok := d.apply(old, q.refMax)
		switch {
		case d.counted && old == 0:
			return errUncounted
		case !ok:
			return syscall.EINVAL
		}
		q.refs.Changed(block)
		q.setRefcount(block.Data, i, count)
		if count > 0 {
			if count == d.by && !d.down {
				q.deferred.Drop(*at, q.cluster) // a change that is undone
				q.taken(*at)
			}
			continue
		}
		q.nextFree = min(q.nextFree, cluster)
		q.l2.Forget(*at, q.cluster)
		if block.Off == *at { // the block counted itself
			covered = -1
		}
		q.refs.Forget(*at, q.cluster)
		q.deferFree(ctx, *at, why)
	}
	return nil
}

// taken has no compressed cluster placed in a cluster of the file that was free and is in use now.
func (q *image) taken(cluster int64) {
	if q.startOf(q.byteOff) == cluster {
		q.byteOff = 0
	}
}

// blockToChange loads the refcount block for a cluster that changes by d. Only more references can
// be interrupted: what was to be given back and is not leaks.
func (q *image) blockToChange(ctx context.Context, cluster int64, d delta) (*format.Table, error) {
	if !d.down {
		if err := format.Interrupted(ctx); err != nil {
			return nil, err
		}
		if !d.counted {
			return q.blockFor(ctx, cluster)
		}
	}
	at, err := q.blockAt(ctx, cluster)
	switch {
	case err != nil || at != 0:
	case d.counted:
		err = errUncounted
	default:
		err = syscall.EINVAL // what nobody counts cannot become less
	}
	if err != nil {
		return nil, err
	}
	return q.blockFor(ctx, cluster)
}

// blockFor loads the refcount block for a cluster. If there is none it makes one, in a larger
// refcount table if need be, and returns errSearchAgain.
func (q *image) blockFor(ctx context.Context, cluster int64) (*format.Table, error) {
	if err := q.Fire(ctx, driver.EvRefblockAlloc); err != nil {
		return nil, err
	}
	at, err := q.blockAt(ctx, cluster)
	if err != nil {
		return nil, err
	}
	if at != 0 {
		if err := q.Fire(ctx, driver.EvRefblockLoad); err != nil {
			return nil, err
		}
		return q.refs.Get(ctx, at)
	}
	if err := q.l2.Flush(ctx); err != nil {
		return nil, err
	}
	if at, err = q.makeBlock(ctx, cluster); err != nil {
		return nil, err
	}
	if i := cluster >> q.blockBits; i < int64(len(q.reftable)) {
		return nil, q.hookBlock(ctx, i, at)
	}
	return nil, q.growReftable(ctx, cluster, at)
}

// makeBlock writes an empty refcount block for cluster and returns where it is. It counts itself,
// or is counted by another.
func (q *image) makeBlock(ctx context.Context, cluster int64) (int64, error) {
	at, err := q.findFree(ctx, 1, maxHostOffset)
	if err != nil {
		return 0, err
	}
	if at == 0 {
		return 0, q.corrupt(ctx, "Preventing invalid allocation of refcount block at offset 0")
	}
	own := at>>q.clusterBits>>q.blockBits == cluster>>q.blockBits
	if !own {
		if err := q.adjust(ctx, at, q.cluster, oneMore, discardNever); err != nil {
			return 0, err
		}
		if err := q.refs.Flush(ctx); err != nil {
			return 0, err
		}
	}
	t, err := q.refs.Fresh(ctx, at)
	if err != nil {
		return 0, err
	}
	defer q.refs.Put(t)
	if own {
		q.setRefcount(t.Data, q.inBlock(at>>q.clusterBits), 1)
		q.taken(at)
	}
	if err := q.Fire(ctx, driver.EvRefblockAllocWrite); err != nil {
		return 0, err
	}
	q.refs.Changed(t)
	return at, q.refs.Flush(ctx)
}

// hookBlock enters a new block into the refcount table.
func (q *image) hookBlock(ctx context.Context, i, at int64) error {
	if err := q.Fire(ctx, driver.EvRefblockAllocHookup); err != nil {
		return err
	}
	if err := q.writeFields(ctx, int64(q.hdr.ReftableOff)+i*reftableEntrySize, at); err != nil {
		return err
	}
	q.reftable[i] = uint64(at)
	q.reftableEnd = max(q.reftableEnd, int(i)+1)
	return errSearchAgain
}

// growReftable makes a larger refcount table that holds the block at newBlock for cluster. It is
// placed behind everything, with refcount blocks that count it and themselves, so that one write
// of the header switches to all of it.
func (q *image) growReftable(ctx context.Context, cluster, newBlock int64) error {
	if err := q.Fire(ctx, driver.EvReftableGrow); err != nil {
		return err
	}
	used := divUp(max(cluster, newBlock>>q.clusterBits)+1, 1<<q.blockBits)
	start := used << q.blockBits << q.clusterBits
	_, err := q.refcountArea(ctx, area{
		start: start, blockIndex: cluster >> q.blockBits, blockAt: newBlock,
	})
	if err != nil {
		return err
	}
	return errSearchAgain
}

// area describes a new refcount table to be made behind the end of everything.
type area struct {
	start      int64 // where the new structures begin; all behind is unused
	clusters   int64 // to be counted besides, behind the structures
	exactly    bool  // no room for growth
	blockAt    int64 // a block to enter besides, 0 for none
	blockIndex int64
}

// refcountArea makes the table that a describes, switches to it, and returns the offset behind it.
func (q *image) refcountArea(ctx context.Context, a area) (int64, error) {
	blocks, _ := q.refcountMeta(a.start>>q.clusterBits+a.clusters, !a.exactly)
	if blocks > maxReftableBytes {
		return 0, syscall.EFBIG
	}
	entries := blocks
	if !a.exactly {
		entries += divUp(blocks, 2)
	}
	perCluster := q.cluster / reftableEntrySize
	entries = divUp(entries, perCluster) * perCluster
	if entries > maxReftableBytes {
		return 0, syscall.EFBIG
	}
	words := make([]uint64, entries)
	copy(words, q.reftable[:q.reftableEnd])
	if a.blockAt != 0 {
		words[a.blockIndex] = uint64(a.blockAt)
	}
	firstBlock := a.start >> q.clusterBits >> q.blockBits
	tableAt := a.start
	for _, w := range words[firstBlock:blocks] {
		if w == 0 {
			tableAt += q.cluster
		}
	}
	end := tableAt + entries*reftableEntrySize
	if err := q.reusable(ctx, a.start, end-a.start); err != nil {
		return 0, err
	}
	if err := q.fillArea(ctx, words[:blocks], firstBlock, a.start, end); err != nil {
		// there are no such blocks, and others may take their clusters
		q.refs.Forget(a.start, end-a.start)
		return 0, err
	}
	if err := q.Fire(ctx, driver.EvRefblockAllocWriteBlk); err != nil {
		return 0, err
	}
	if err := q.refs.Flush(ctx); err != nil {
		return 0, err
	}
	return end, q.switchReftable(ctx, words, tableAt)
}

// fillArea makes the missing blocks of a new refcount table, one behind the other from start on,
// and counts what lies between start and end.
func (q *image) fillArea(ctx context.Context, words []uint64, firstBlock, start, end int64) error {
	next := start
	for i := firstBlock; i < int64(len(words)); i++ {
		if err := format.Interrupted(ctx); err != nil {
			return err
		}
		var t *format.Table
		var err error
		if words[i] != 0 {
			t, err = q.refs.Get(ctx, int64(words[i]&reftableMask))
		} else {
			t, err = q.refs.Fresh(ctx, next)
		}
		if err != nil {
			return err
		}
		if words[i] == 0 {
			words[i] = uint64(next)
			next += q.cluster
		}
		q.refs.Changed(t)
		base := i << q.blockBits
		for c := max(base, start>>q.clusterBits); c < min(base+1<<q.blockBits,
			end>>q.clusterBits); c++ {
			q.setRefcount(t.Data, q.inBlock(c), 1)
			q.taken(c << q.clusterBits)
		}
		q.refs.Put(t)
	}
	return nil
}

// switchReftable writes a new refcount table, points the header to it, and gives the old one back.
func (q *image) switchReftable(ctx context.Context, words []uint64, at int64) error {
	if err := q.Fire(ctx, driver.EvRefblockAllocWriteTab); err != nil {
		return err
	}
	if err := q.writeWordsSync(ctx, words, at); err != nil {
		return err
	}
	if err := q.Fire(ctx, driver.EvRefblockAllocSwitch); err != nil {
		return err
	}
	oldAt, oldLen := int64(q.hdr.ReftableOff), int64(len(q.reftable))*reftableEntrySize
	if err := q.pointToReftable(ctx, words, at); err != nil {
		return err
	}
	q.free(ctx, oldAt, oldLen, discardOther)
	return nil
}

// pointToReftable changes the refcount table in the header and in memory.
func (q *image) pointToReftable(ctx context.Context, words []uint64, at int64) error {
	clusters := uint32(int64(len(words)) * reftableEntrySize >> q.clusterBits)
	err := q.writeFields(ctx, offReftable, at, clusters)
	if err == nil || unsettled(err) { // then the new table is seen, and the caller frees neither
		q.hdr.ReftableOff, q.hdr.ReftableClusters = uint64(at), clusters
		q.setReftable(words)
	}
	return err
}
