package qcow2

import (
	"context"
	"encoding/binary"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// load reads the header and all tables that stay in memory, and repairs a dirty image. For a check
// it leaves out the snapshot table, which the check reads, and takes what could not be used
// otherwise.
func (q *image) load(
	ctx context.Context, openData func(context.Context, *header) (driver.Node, error),
) error {
	if err := q.loadHeader(ctx); err != nil {
		return err
	}
	if err := q.loadTables(ctx); err != nil {
		return err
	}
	if err := q.loadRest(ctx, openData); err != nil {
		return err
	}
	q.mayWrite = q.hdr.Autoclear == 0
	q.unrepaired = q.hdr.Incompatible&featDirty != 0
	if q.checking {
		return nil
	}
	q.repairDue = q.unrepaired && q.readOnly
	err := q.loadSnapshots(ctx)
	if err == nil && q.unrepaired && !q.readOnly {
		err = q.repairDirty(ctx)
	}
	return damaged(err)
}

// loadTables reads the L1 table and the refcount table, and makes the caches of the others.
func (q *image) loadTables(ctx context.Context) error {
	h := q.hdr
	q.geometry = h.geometry()
	q.Cluster, q.Unit = q.cluster, q.sub
	if err := h.checkTables(q.checking); err != nil {
		return err
	}
	if err := q.loadL1(ctx); err != nil {
		return err
	}
	s, err := q.parseSettings(q.size.Load())
	if err != nil {
		return err
	}
	q.settings = s
	if q.unlocker != nil {
		if err := q.unlocker.checkFormat(h); err != nil {
			return err
		}
	}
	if h.Crypt > cryptLUKS {
		return invalid("Unsupported encryption method %d", int32(h.Crypt))
	}
	q.makeCaches()
	return refuseWith(q.loadReftable(ctx), "Could not initialize refcount handling")
}

// loadRest reads what lies behind the fields of the header, and opens what that asks for: the data
// file and the cipher.
func (q *image) loadRest(
	ctx context.Context, openData func(context.Context, *header) (driver.Node, error),
) error {
	h := q.hdr
	first := &firstCluster{ctx, q.file, h}
	h.bare = true // until they are found
	if err := first.extensions(nil); err != nil {
		return err
	}
	if h.staleBitmaps {
		q.Notify(driver.BitmapsStale{Version: h.Version})
	}
	data, err := openData(ctx, h)
	if err == nil {
		err = q.attachData(data)
	}
	if err != nil {
		return err
	}
	if err := q.unlock(ctx); err != nil {
		return err
	}
	return first.backingName()
}

// damaged marks an error that a check may put right. nil stays nil.
func damaged(err error) error {
	if err == nil {
		return nil
	}
	return &driver.DamagedError{Err: err}
}

// loadHeader reads and checks the header, as far as geometry allows nothing else.
func (q *image) loadHeader(ctx context.Context) error {
	buf := make([]byte, headerLenFull)
	if err := readAt(ctx, q.file, buf, 0); err != nil {
		return refuseWith(err, "Could not read qcow2 header")
	}
	h, err := parseHeader(buf)
	if err != nil {
		return err
	}
	if h.Length > headerLenFull {
		h.unknown = make([]byte, h.Length-headerLenFull)
		if err := readAt(ctx, q.file, h.unknown, headerLenFull); err != nil {
			return refuseWith(err, "Could not read unknown qcow2 header fields")
		}
	}
	if err := h.checkCompression(); err != nil {
		return err
	}
	if mask := h.Incompatible &^ knownIncompatible; mask != 0 {
		return (&firstCluster{ctx, q.file, h}).unsupported(mask)
	}
	if h.Incompatible&featCorrupt != 0 && !q.readOnly && !q.checking {
		return damaged(
			refuse(syscall.EACCES, "qcow2: Image is corrupt; cannot be opened read/write"))
	}
	if sub := int64(1) << h.ClusterBits / subclusters; h.Incompatible&featExtendedL2 != 0 &&
		sub < 1<<minClusterBits {
		return invalid("Unsupported subcluster size: %d", sub)
	}
	if h.RefOrder > 6 {
		return invalid("Reference count entry width too large; may not exceed 64 bits")
	}
	q.hdr = h
	return nil
}

// loadL1 reads the L1 table, whose size was checked.
func (q *image) loadL1(ctx context.Context) error {
	h := q.hdr
	if h.Size > math.MaxInt64 {
		return refuse(syscall.EFBIG, "Image is too big")
	}
	need := q.l1Entries(int64(h.Size))
	if need > math.MaxInt32 {
		return refuse(syscall.EFBIG, "Image is too big")
	}
	if int64(h.L1Size) < need {
		return invalid("L1 table is too small")
	}
	q.size.Store(int64(h.Size) &^ (driver.SectorSize - 1))
	q.vmState.Store(need << q.l1Shift())
	var err error
	q.l1, err = q.readTable(ctx, int64(h.L1Off), int64(h.L1Size))
	q.findLostL1(int64(h.L1Off))
	return refuseWith(err, "Could not read L1 table")
}

// findLostL1 notes where the file ends within the L1 table at off, or before it: from there on
// there are zeroes.
func (q *image) findLostL1(off int64) {
	q.l1Cut, q.l1Held = q.file.Info().Size, math.MaxInt64
	if q.l1Cut < off+int64(len(q.l1))*l1EntrySize {
		q.l1Held = max(0, q.l1Cut-off) / l1EntrySize
	}
}

// readTable reads n big-endian words in pieces, so that a table takes its own memory only.
func (q *image) readTable(ctx context.Context, off, n int64) ([]uint64, error) {
	words := make([]uint64, n)
	buf := make([]byte, min(8*n, 64<<10))
	for done := int64(0); done < n; {
		part := buf[:min(int64(len(buf)), 8*(n-done))]
		if err := readAt(ctx, q.file, part, off+8*done); err != nil {
			return nil, err
		}
		for ; len(part) > 0; part = part[8:] {
			words[done] = binary.BigEndian.Uint64(part)
			done++
		}
	}
	return words, nil
}

// loadReftable reads the refcount table, whose size was checked.
func (q *image) loadReftable(ctx context.Context) error {
	entries := int64(q.hdr.ReftableClusters) << (q.clusterBits - 3)
	if entries == 0 {
		return nil
	}
	if err := q.Fire(ctx, driver.EvReftableLoad); err != nil {
		return err
	}
	words, err := q.readTable(ctx, int64(q.hdr.ReftableOff), entries)
	if err == nil {
		q.setReftable(words)
	}
	return err
}

func (q *image) makeCaches() {
	q.endCaches()
	s := q.settings
	q.l2 = q.newTables(overL2, format.TablesConfig{
		Name: "L2 table", Unit: s.l2Unit, Limit: s.l2Tables, Load: driver.EvL2Load,
		Store: driver.EvL2Update, Sync: q.sync,
		Lost: q.TellCut,
	})
	q.refs = q.newTables(overRefblock, format.TablesConfig{
		Name: "refcount block", Unit: q.cluster, Limit: s.refBlocks,
		Store: driver.EvRefblockUpdatePart,
	})
}

// newTables makes a cache of tables, which may be written to what own says and to no other
// metadata.
func (q *image) newTables(own overlap, c format.TablesConfig) *format.Tables {
	c.File = q.file
	c.Guard = func(ctx context.Context, off, n int64) error {
		return q.guardMetadata(ctx, own, off, n)
	}
	c.Unaligned = func(ctx context.Context, off int64) error {
		return q.corrupt(ctx, "Cannot get entry from %s cache: Offset %s is unaligned", c.Name,
			hex(off))
	}
	return format.NewTables(c)
}

// caches are both of them, in the order in which they are written.
func (q *image) caches() [2]*format.Tables { return [...]*format.Tables{q.l2, q.refs} }

// endCaches gives the memory of both caches back.
func (q *image) endCaches() {
	for _, c := range q.caches() {
		if c != nil {
			c.End()
		}
	}
}

// openBacking opens the backing file that the options or the image name.
func (q *image) openBacking(ctx context.Context, o *driver.Opening) (err error) {
	backing := o.Config.(*config).Backing
	if q.checking || o.NoChild(backing) || q.hdr.backing == "" && !o.HasChild(backing) {
		return nil
	}
	q.Backing, err = o.Backing(ctx, backing,
		driver.Link{Name: q.hdr.backing, Format: q.hdr.backingFormat})
	return err
}
