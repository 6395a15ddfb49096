package qcow2

import (
	"context"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// Truncate changes the guest's length. What is added reads as zeroes, whatever a longer backing
// file has there.
func (q *image) Truncate(ctx context.Context, size int64, p driver.Prealloc, _ driver.Flags) error {
	if size%driver.SectorSize != 0 {
		return &driver.WholeSectorsError{Sector: driver.SectorSize}
	}
	if err := q.Lock(ctx); err != nil {
		return err
	}
	ctx = format.Uncancelled(ctx)
	defer q.Unlock()
	if len(q.snapshots) > 0 && q.version < 3 {
		return errResizeV2
	}
	if err := q.beginChanges(ctx); err != nil {
		return err
	}
	if _, err := q.trackBitmaps(ctx, true); err != nil {
		return err
	}
	old := q.size.Load()
	var err error
	if size < old {
		err = q.shrink(ctx, old, size, p)
	} else {
		err = q.grow(ctx, old, size, p)
	}
	if err != nil {
		return err
	}
	if err := q.setSize(ctx, size); err != nil {
		return err
	}
	q.resizeBitmaps(ctx, size)
	return nil
}

// errResizeV2 is because a snapshot of version 2 need not know how long its disk was.
var errResizeV2 error = &driver.Refusal{
	Text: "Can't resize a v2 image which has snapshots",
	Err:  syscall.ENOTSUP,
}

// setSize writes the new length into the header and takes it over.
func (q *image) setSize(ctx context.Context, size int64) error {
	if err := q.writeFields(ctx, offSize, size); err != nil {
		return refuseWith(err, "Failed to update the image size")
	}
	q.hdr.Size = uint64(size)
	return q.installSize(ctx, size)
}

// installSize takes a new length over, and adapts the caches to it.
func (q *image) installSize(ctx context.Context, size int64) error {
	q.size.Store(size)
	q.vmState.Store(q.l1Entries(size) << q.l1Shift())
	s, err := q.parseSettings(size)
	if err != nil {
		return err
	}
	return q.adopt(ctx, s)
}

// shrink gives back what lies behind the new end, then what the tables need no more, then the end
// of the file.
func (q *image) shrink(ctx context.Context, old, size int64, p driver.Prealloc) error {
	if p != driver.PreallocOff {
		return invalid("Preallocation can't be used for shrinking an image")
	}
	from := q.roundUp(size)
	if err := q.WaitIdle(ctx, from, old-from); err != nil {
		return err
	}
	err := q.discardRange(ctx, from, old-from, discardAlways, true)
	if err == nil {
		err = q.dropState(ctx, int64(len(q.l1)))
	}
	if err != nil {
		return refuseWith(err, "Failed to discard cropped clusters")
	}
	if err := q.shrinkL1(ctx, q.l1Entries(size)); err != nil {
		return refuseWith(err, "Failed to reduce the number of L2 tables")
	}
	// No table in the file may refer to what the refcount table drops and the file loses.
	if err := q.l2.Flush(ctx); err != nil {
		return refuseWith(err, "Failed to discard cropped clusters")
	}
	if err := inOrder(ctx, q.shrinkReftable, q.barrier); err != nil {
		return refuseWith(err, "Failed to discard unused refblocks")
	}
	end := q.fileLength()
	last, err := q.lastCluster(ctx, end)
	if err != nil {
		return refuseWith(err, "Failed to find the last cluster")
	}
	if keep := (last + 1) << q.clusterBits; keep < end {
		if err := q.file.Truncate(ctx, keep, driver.PreallocOff, 0); err != nil {
			q.Notify(driver.TailKept{Err: err})
		}
	}
	return q.shrinkData(ctx, size)
}

// fileLength is the length of the file in whole sectors.
func (q *image) fileLength() int64 {
	return driver.WholeSectors(q.file.Info().Size)
}

// lastCluster is the last cluster in use of a file of n bytes, which may end in a hole far longer
// than all that is in use.
func (q *image) lastCluster(ctx context.Context, n int64) (int64, error) {
	for c := min(q.clustersIn(n), int64(q.reftableEnd)<<q.blockBits) - 1; c >= 0; {
		if err := format.Interrupted(ctx); err != nil {
			return 0, err
		}
		count, err := q.lastInBlock(ctx, c)
		if err != nil {
			q.Notify(driver.RefcountUnread{Cluster: c, Err: err})
			return 0, err
		}
		if count >= 0 {
			return c - q.inBlock(c) + count, nil
		}
		c -= q.inBlock(c) + 1
	}
	return 0, q.corrupt(ctx, "There are no references in the refcount table.")
}

// lastInBlock is the index of the last cluster in use, up to cluster, that its refcount block
// counts; -1 if there is none.
func (q *image) lastInBlock(ctx context.Context, cluster int64) (int64, error) {
	block, err := q.blockOf(ctx, cluster)
	if block == nil {
		return -1, err
	}
	defer q.refs.Put(block)
	i := q.inBlock(cluster)
	for i >= 0 && q.refcount(block.Data, i) == 0 {
		i--
	}
	return i, nil
}

// shrinkReftable drops refcount blocks that count nothing but themselves.
func (q *image) shrinkReftable(ctx context.Context) error {
	words := make([]uint64, len(q.reftable))
	for i, w := range q.reftable[:q.reftableEnd] {
		if err := format.Interrupted(ctx); err != nil {
			return err
		}
		t, err := q.blockOf(ctx, int64(i)<<q.blockBits)
		if err != nil {
			return err
		}
		if t != nil && !q.countsNothing(t, int64(i)) {
			words[i] = w
		}
		q.refs.Put(t)
	}
	err := q.writeWordsSync(ctx, words, int64(q.hdr.ReftableOff))
	for i, w := range q.reftable {
		if w == 0 || words[i] != 0 {
			continue
		}
		if err == nil {
			err = q.dropBlock(ctx, int64(w&reftableMask))
		}
		q.reftable[i] = 0 // also if it failed: the file may have it or not
	}
	q.setReftable(q.reftable)
	return err
}

// countsNothing says whether all counts of the i-th block are 0, but for its own.
func (q *image) countsNothing(t *format.Table, i int64) bool {
	if t.Off>>q.clusterBits>>q.blockBits != i {
		return driver.AllZero(t.Data)
	}
	own := q.inBlock(t.Off >> q.clusterBits)
	count := q.refcount(t.Data, own)
	q.setRefcount(t.Data, own, 0)
	defer q.setRefcount(t.Data, own, count)
	return driver.AllZero(t.Data)
}

// dropBlock gives back a refcount block that the file's refcount table no longer has.
func (q *image) dropBlock(ctx context.Context, at int64) error {
	cluster := at >> q.clusterBits
	holder, err := q.blockOf(ctx, cluster)
	if err != nil {
		return err
	}
	if holder != nil {
		q.setRefcount(holder.Data, q.inBlock(cluster), 0)
		q.refs.Changed(holder)
		q.refs.Put(holder)
	}
	q.nextFree = min(q.nextFree, cluster)
	q.refs.Forget(at, q.cluster)
	q.deferFree(ctx, at, discardAlways)
	return nil
}

// grow makes room in the L1 table, places clusters if asked to, and hides what a longer backing
// file has in the part that is added.
func (q *image) grow(ctx context.Context, old, size int64, p driver.Prealloc) error {
	hide := size > old && q.Backing != nil && q.Backing.Info().Size > old
	if hide && q.version < 3 && p <= driver.PreallocMetadata && q.firstNew(old) < size {
		// before the machine state is given up for it
		return refuseWith(driver.ErrNotSupported, "Failed to zero out new clusters")
	}
	if err := q.growL1(ctx, q.l1Entries(size), true); err != nil {
		return refuseWith(err, "Failed to grow the L1 table")
	}
	if err := q.dropState(ctx, q.l1Entries(size)); err != nil {
		return refuseWith(err, "Failed to discard cropped clusters")
	}
	if err := q.zeroEdge(ctx, old, size); err != nil {
		return refuseWith(err, "Failed to zero out the new area")
	}
	if p == driver.PreallocOff && q.rawData() {
		p = driver.PreallocMetadata
	}
	var err error
	switch {
	case p == driver.PreallocMetadata:
		err = q.preallocate(ctx, old, size, driver.PreallocOff)
	case p != driver.PreallocOff && q.external():
		err = q.preallocate(ctx, old, size, p)
	case p != driver.PreallocOff:
		err = q.preallocateData(ctx, old, size, p, hide)
		hide = false
	}
	if err == nil {
		err = q.growData(ctx, size)
	}
	if err == nil && hide {
		err = q.hide(ctx, old, size)
	}
	if err == nil && p != driver.PreallocOff {
		err = refuseWith(q.writeCaches(ctx), "Failed to flush the preallocated area to disk")
	}
	return err
}

// dropState gives back the machine state below the L1 entries before end. Without this it would
// become visible to the guest of a grown image, and leak when an image is shrunk.
func (q *image) dropState(ctx context.Context, end int64) error {
	for i := q.vmState.Load() >> q.l1Shift(); i < end; i++ {
		if q.l1[i]&offsetMask == 0 {
			continue
		}
		if err := q.discardRange(ctx, i<<q.l1Shift(), 1<<q.l1Shift(), discardAlways,
			true); err != nil {
			return err
		}
	}
	return nil
}

// firstNew is where the first whole subcluster begins that an image of old bytes does not have.
func (q *image) firstNew(old int64) int64 { return driver.RoundUp(old, q.sub) }

// hide makes the guest bytes from old to size read as zeroes.
func (q *image) hide(ctx context.Context, old, size int64) error {
	q.size.Store(size) // zeroes may end with the image, and data is only read inside it
	defer q.size.Store(old)
	start := q.firstNew(old)
	if start < size {
		if err := q.ZeroMap(ctx, start, size-start, false); err != nil {
			return refuseWith(err, "Failed to zero out new clusters")
		}
	}
	return refuseWith(q.writeZeroes(ctx, old, min(start, size)-old),
		"Failed to zero out the new area")
}

// zeroEdge clears what the last cluster holds behind the old end: a program that shrank the image
// may have left data there.
func (q *image) zeroEdge(ctx context.Context, old, size int64) error {
	edge := min(q.roundUp(old), size)
	for off := old; off < edge; {
		m, err := q.lookup(ctx, off, edge-off)
		if err != nil {
			return err
		}
		if m.clusterType == normal || m.clusterType == compressed {
			if err := q.writeZeroes(ctx, off, m.n); err != nil {
				return err
			}
		}
		off += m.n
	}
	return nil
}

// writeZeroes writes n zeroes, less than a cluster, with the lock given up meanwhile.
func (q *image) writeZeroes(ctx context.Context, off, n int64) error {
	if n == 0 {
		return nil
	}
	q.Unlock()
	defer func() { _ = q.LockAnyway(ctx) }() // its context never ends
	return q.WriteVec(ctx, driver.Vec{make([]byte, n)}, off, 0)
}

// preallocate gives the guest bytes from old to size places in the file that are not written, but
// for what p says of the part that the file grows by.
func (q *image) preallocate(
	ctx context.Context, old, size int64, p driver.Prealloc,
) (err error) {
	end, off := int64(0), old
	defer func() {
		if err != nil {
			q.takeBack(ctx, old, off)
		}
	}()
	for off < size {
		if err := format.Interrupted(ctx); err != nil {
			return err
		}
		run, err := q.Collect(ctx, off, min(size-off, driver.MaxRequest&^(q.cluster-1)))
		if err != nil {
			q.Abandon(ctx, run.Allocations)
			return refuseWith(err, "Allocating clusters failed")
		}
		if err := q.commitEmpty(ctx, run); err != nil {
			return refuseWith(err, "Mapping clusters failed")
		}
		off += run.Len
		end = max(end, run.Host+run.Len)
	}
	if end > q.dataLength() {
		return q.Data.Truncate(ctx, end, p, 0)
	}
	return nil
}

// takeBack makes the guest bytes from old to end, which lie behind the end of the image,
// unallocated once more. Else their places, of which some may lie behind the end of the file, would
// show when the image grows again. What cannot be taken back leaks.
func (q *image) takeBack(ctx context.Context, old, end int64) {
	if from := q.roundUp(old); from < end {
		_ = q.discardRange(context.WithoutCancel(ctx), from, q.roundUp(end)-from, discardAlways,
			true)
	}
}

// commitEmpty commits allocations without data. Places that were used before are made zero first.
func (q *image) commitEmpty(ctx context.Context, p format.WriteRun) error {
	left := p.Allocations
	for _, a := range left {
		a.Empty = true
		err := q.zeroOld(ctx, a)
		if err == nil {
			err = q.copyAndCommit(ctx, a)
		}
		if err != nil {
			q.Abandon(ctx, left)
			return err
		}
		q.Finish(a)
		left = left[1:]
	}
	return nil
}

// zeroOld clears what the file holds where an allocation without data lies.
func (q *image) zeroOld(ctx context.Context, a *format.Allocation) error {
	n := min(a.Host+a.Len, q.dataLength()) - a.Host
	if q.extended || a.InPlace || n <= 0 {
		return nil
	}
	return q.Data.Zero(ctx, a.Host, n, driver.MayUnmap)
}

// preallocateData puts the guest bytes from old to size in one run behind all that the file has,
// and has the file system allocate it.
func (q *image) preallocateData(
	ctx context.Context, old, size int64, p driver.Prealloc, hide bool,
) error {
	end := q.roundUp(q.fileLength())
	if last, err := q.lastCluster(ctx, end); err == nil {
		end = (last + 1) << q.clusterBits
	} else if err := format.Interrupted(ctx); err != nil {
		return err
	}
	clusters := (q.roundUp(size) - q.startOf(old)) >> q.clusterBits
	tables := divUp(clusters, 1<<q.l2Bits) + 1
	start, err := q.refcountArea(ctx, area{start: end, clusters: clusters + tables, exactly: true})
	if err != nil {
		return refuseWith(err, "Failed to resize refcount structures")
	}
	got, err := q.allocateAt(ctx, start, clusters)
	if err == nil && got != clusters {
		err = syscall.EIO
	}
	if err != nil {
		return refuseWith(err, "Failed to allocate data clusters")
	}
	end = start + clusters<<q.clusterBits
	if err := q.extendFile(format.Caller(ctx), start, end, p); err != nil {
		q.free(ctx, start, end-start, discardOther)
		return prefix(err, resizeFailed)
	}
	return q.enterReserved(ctx, format.Span{Off: start, Len: end - start}, old, hide)
}

// enterReserved enters a run of clusters that the file has in store into the L2 tables, for the
// guest bytes from old on. hide: they read as zeroes, whatever a backing file has there. If it
// fails the run is given back.
func (q *image) enterReserved(
	ctx context.Context, reserved format.Span, old int64, hide bool,
) error {
	clusters := reserved.Len >> q.clusterBits
	for host, guest := reserved.Off, old; clusters > 0; {
		n := min(clusters, q.l2.Unit/q.entrySize-q.slotOf(guest))
		a := &format.Allocation{
			Guest: q.startOf(guest), Host: host, Len: n << q.clusterBits, Empty: !hide,
			Head: format.Span{Len: q.within(guest)}, Tail: format.Span{Off: n << q.clusterBits},
		}
		q.Begin(a)
		err := format.Interrupted(ctx)
		if err == nil {
			err = q.copyAndCommit(ctx, a)
		}
		if err != nil {
			q.Finish(a)
			q.free(ctx, host, reserved.End()-host, discardOther)
			q.takeBack(ctx, old, a.Guest)
			return refuseWith(err, "Failed to update L2 tables")
		}
		q.Finish(a)
		clusters -= n
		host += n << q.clusterBits
		guest = a.Guest + n<<q.clusterBits
	}
	return nil
}

// copyAndCommit commits an allocation whose clusters read as zeroes, but for what must be copied.
func (q *image) copyAndCommit(ctx context.Context, a *format.Allocation) error {
	q.Unlock()
	err := q.CopyAround(ctx, a, nil)
	_ = q.LockAnyway(ctx) // its context never ends
	if err != nil {
		return err
	}
	return q.Commit(ctx, a)
}

// extendFile makes the file end at end, and clears what it already had from start on. Nothing
// refers to that part yet.
func (q *image) extendFile(ctx context.Context, start, end int64, p driver.Prealloc) error {
	if old := min(q.fileLength(), end) - start; old > 0 {
		if err := q.file.Zero(ctx, start, old, 0); err != nil {
			return err
		}
	}
	if end <= q.file.Info().Size {
		return nil // the clusters were free ones inside the file
	}
	return q.file.Truncate(ctx, end, p, 0)
}
