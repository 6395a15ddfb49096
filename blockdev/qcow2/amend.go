package qcow2

import (
	"context"
	"slices"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
	"github.com/blksh/blksh/blockdev/internal/luksheader"
)

// amendConfig is what of an image can be another afterwards. What is not given stays.
type amendConfig struct {
	Compat        *string `option:"compat" help:"version of the format: 0.10 or v2, 1.1 or v3"`
	LazyRefcounts *bool   `option:"lazy_refcounts" help:"write refcounts late"`
	RefcountBits  *int64  `option:"refcount_bits" help:"bits of a refcount, from 1 to 64"`
	DataFile      *string `option:"data_file" help:"name of the external data file, as the image records it"`
	DataFileRaw   *bool   `option:"data_file_raw" help:"the data file stays a raw image; can only be turned off"`
	BackingFile   *string `option:"backing_file" help:"only as it is: rebase changes it"`
	BackingFormat *string `option:"backing_fmt" help:"only as it is: rebase changes it"`

	Encrypt luksheader.AmendOptions `option:"encrypt"`
}

// Amend changes the image to what the options say. Steps that are done stay done if a later one
// fails.
func (q *image) Amend(ctx context.Context, a *driver.Amending) error {
	c := a.Config.(*amendConfig)
	if err := q.Lock(ctx); err != nil {
		return err
	}
	ctx = format.Uncancelled(ctx)
	defer q.Unlock()
	to, err := q.judgeAmend(c)
	if err != nil {
		return err
	}
	var steps []func(context.Context) error
	if c.Encrypt.Given() {
		changeKeys, err := q.amendEncryption(ctx, a, c)
		if err != nil {
			return err
		}
		steps = append(steps, changeKeys)
	}
	if to.version > q.version {
		steps = append(steps, q.upgrade)
	}
	if to.refOrder != q.refOrder {
		steps = append(steps,
			func(ctx context.Context) error { return q.changeWidth(ctx, to.refOrder) })
	}
	if to.lazy != q.hdr.lazy() {
		steps = append(steps, func(ctx context.Context) error { return q.setLazy(ctx, to.lazy) })
	}
	if c.DataFile != nil || c.DataFileRaw != nil {
		steps = append(steps, func(ctx context.Context) error { return q.amendDataFile(ctx, c) })
	}
	if to.version < q.version {
		steps = append(steps, q.downgrade)
	}
	if err := q.beginChanges(ctx); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// amendEncryption decides what becomes of the keyslots and returns what does it.
func (q *image) amendEncryption(ctx context.Context, a *driver.Amending, c *amendConfig) (
	func(context.Context) error, error,
) {
	switch {
	case q.hdr.Crypt == cryptNone:
		return nil, invalid("Can't amend encryption options - encryption not present")
	case q.hdr.Crypt != cryptLUKS:
		return nil, invalid("Only LUKS encryption options can be amended")
	case q.encryption == nil || q.encryption.volume == nil:
		return nil, luksheader.ErrLocked
	}
	return q.encryption.volume.Amend(ctx, a, c.Encrypt)
}

// amended is what an image is to be.
type amended struct {
	version  uint32
	refOrder uint
	lazy     bool
}

// judgeAmend refuses what cannot be, before anything is changed.
func (q *image) judgeAmend(c *amendConfig) (to amended, err error) {
	to = amended{q.version, q.refOrder, q.hdr.lazy()}
	if c.Compat != nil {
		if to.version = versionOf(*c.Compat); to.version == 0 {
			return to, invalid("Unknown compatibility level %s", *c.Compat)
		}
	}
	if c.RefcountBits != nil {
		if to.refOrder, err = refcountOrder(*c.RefcountBits); err != nil {
			return to, err
		}
	}
	if c.LazyRefcounts != nil {
		to.lazy = *c.LazyRefcounts
	} else if to.version < 3 {
		to.lazy = false
	}
	l := q.BackingFile()
	raw := c.DataFileRaw != nil && *c.DataFileRaw
	switch {
	case to.version < 3 && to.refOrder != 4:
		return to, invalid(
			"Refcount widths other than 16 bits require compatibility level 1.1 or above (use compat=1.1 or greater)")
	case to.version < 3 && to.lazy:
		return to, invalid(
			"Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 or greater)")
	case c.BackingFile != nil && *c.BackingFile != l.Name, c.BackingFormat != nil &&
		*c.BackingFormat != l.Format:
		return to, invalid("Cannot amend the backing file; 'rebase' does that")
	case (c.DataFile != nil || c.DataFileRaw != nil) && !q.external():
		return to, invalid("data-file can only be set for images that use an external data file")
	case raw && !q.rawData():
		return to, invalid("data-file-raw cannot be set on existing images")
	}
	if to.version < q.version {
		err = q.judgeDowngrade()
	}
	return to, err
}

// judgeDowngrade refuses what version 2 cannot say.
func (q *image) judgeDowngrade() error {
	const dirt = featDirty | featCorrupt
	switch {
	case q.hdr.Incompatible&^dirt != 0:
		return invalid("Cannot downgrade an image with incompatible features set")
	case len(q.snapshots) > 0:
		return invalid("Cannot downgrade an image with snapshots, which may hold zero clusters")
	case q.hdr.bitmaps != nil:
		return invalid("Cannot downgrade an image with bitmaps, which version 2 does not keep true")
	}
	return nil
}

// upgrade makes it an image of version 3.
func (q *image) upgrade(ctx context.Context) error {
	err := q.replaceHeader(ctx, func(h *header) {
		h.Version, h.RefOrder, h.Length = 3, 4, headerLenFull
	})
	q.geometry = q.hdr.geometry()
	return err
}

// downgrade makes it an image of version 2, which knows neither zero clusters nor features.
func (q *image) downgrade(ctx context.Context) error {
	if err := q.expandZeroes(ctx); err != nil {
		return err
	}
	if err := q.settle(ctx); err != nil {
		return err
	}
	err := q.replaceHeader(ctx, func(h *header) {
		h.Version, h.RefOrder, h.Length, h.unknown = 2, 4, headerLenV2, nil
		h.Incompatible, h.Compatible, h.Autoclear = 0, 0, 0
	})
	q.geometry = q.hdr.geometry()
	return err
}

// settle has all tables and refcounts in the file, and no dirty bit.
func (q *image) settle(ctx context.Context) error {
	return inOrder(ctx, q.flushCaches, q.markClean, q.file.Flush)
}

// zeroesAtOnce is how much of a zero cluster is written at once, in bytes.
const zeroesAtOnce = 1 << 20

// expandZeroes replaces zero clusters by what an image of version 2 has: nothing where nothing is
// behind, else zeroes that are written.
func (q *image) expandZeroes(ctx context.Context) error {
	for off, end := int64(0), q.size.Load(); off < end; {
		if err := format.Interrupted(ctx); err != nil {
			return err
		}
		m, err := q.lookup(ctx, off, end-off)
		if err != nil {
			return err
		}
		n := m.n
		switch {
		case !m.clusterType.zero():
		case q.Backing == nil:
			err = q.discardRange(ctx, off, n, discardAlways, true)
		default:
			n = min(n, zeroesAtOnce)
			err = q.writeZeroes(ctx, off, n)
		}
		if err != nil {
			return err
		}
		off += n
	}
	return nil
}

// setLazy changes whether the image asks for late refcounts.
func (q *image) setLazy(ctx context.Context, on bool) error {
	if !on {
		if err := q.settle(ctx); err != nil {
			return err
		}
	}
	err := q.replaceHeader(ctx, func(h *header) {
		if h.Compatible &^= compatLazyRefcounts; on {
			h.Compatible |= compatLazyRefcounts
		}
	})
	if err == nil {
		q.settings.lazy = on
	}
	return err
}

// amendDataFile changes what the image says of its data file.
func (q *image) amendDataFile(ctx context.Context, c *amendConfig) error {
	return q.replaceHeader(ctx, func(h *header) {
		if c.DataFile != nil {
			h.dataFile = *c.DataFile
		}
		if c.DataFileRaw != nil && !*c.DataFileRaw {
			h.Autoclear &^= autoRawData
		}
	})
}

// changeWidth counts all clusters anew in refcounts of another width, behind the end of all that is
// in use, and switches to them in one step. The old ones are counted as free there.
func (q *image) changeWidth(ctx context.Context, order uint) error {
	if err := q.settle(ctx); err != nil {
		return err
	}
	last, err := q.lastCluster(ctx, q.fileLength())
	if err != nil {
		return err
	}
	next := *q.hdr
	next.RefOrder = uint32(order)
	w := widening{q: q, start: last + 1, next: next.geometry()}
	w.blocks, w.table = w.next.refcountMeta(w.start, false)
	if w.table*(q.cluster/reftableEntrySize) > maxReftableBytes {
		return refuse(syscall.EFBIG, "The refcount table would be too large")
	}
	words, err := w.write(ctx)
	if err != nil {
		return err
	}
	err = q.replaceHeader(ctx, func(h *header) {
		h.RefOrder = uint32(order)
		h.ReftableOff, h.ReftableClusters = uint64(w.tableAt()), uint32(w.table)
	})
	if err != nil {
		return err
	}
	q.geometry = q.hdr.geometry()
	q.setReftable(words)
	q.makeCaches()
	q.nextFree, q.byteOff = 0, 0
	return nil
}

// widening is a new set of refcounts: its blocks lie from start on, in clusters, and the table
// behind them.
type widening struct {
	q             *image
	next          geometry
	start         int64
	blocks, table int64
}

func (w *widening) tableAt() int64 { return (w.start + w.blocks) << w.q.clusterBits }

// write writes the new blocks and their table, which it returns.
func (w *widening) write(ctx context.Context) ([]uint64, error) {
	q := w.q
	gone := w.old()
	words := make([]uint64, w.table<<q.clusterBits/reftableEntrySize)
	counts := refcounts{q: q}
	defer counts.drop()
	block := make([]byte, q.cluster)
	end := w.start + w.blocks + w.table
	for i := range w.blocks {
		if err := format.Interrupted(ctx); err != nil {
			return nil, err
		}
		clear(block)
		base := i << w.next.blockBits
		for c := base; c < min(end, base+1<<w.next.blockBits); c++ {
			n, err := w.count(ctx, &counts, gone, c)
			if err != nil {
				return nil, err
			}
			if n > w.next.refMax {
				return nil, invalid(
					"Cannot decrease refcount entry width to %d bits: Cluster at offset %s has a refcount of %d",
					1<<w.next.refOrder, hex(c<<q.clusterBits), n)
			}
			w.next.setRefcount(block, c-base, n)
		}
		words[i] = uint64(w.start+i) << q.clusterBits
		if err := q.writeFile(ctx, block, int64(words[i])); err != nil {
			return nil, err
		}
	}
	return words, q.writeWordsSync(ctx, words, w.tableAt())
}

// count is the refcount that a cluster gets.
func (w *widening) count(ctx context.Context, counts *refcounts, gone []int64,
	cluster int64,
) (uint64, error) {
	if cluster >= w.start {
		return 1, nil
	}
	if _, is := slices.BinarySearch(gone, cluster); is {
		return 0, nil
	}
	return counts.of(ctx, cluster)
}

// old are the clusters of the refcounts as they are, sorted.
func (w *widening) old() []int64 {
	q := w.q
	var list []int64
	for i := range int64(q.hdr.ReftableClusters) {
		list = append(list, int64(q.hdr.ReftableOff)>>q.clusterBits+i)
	}
	for _, e := range q.reftable[:q.reftableEnd] {
		if at := int64(e & reftableMask); at != 0 {
			list = append(list, at>>q.clusterBits)
		}
	}
	slices.Sort(list)
	return list
}
