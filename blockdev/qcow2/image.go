package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev"
)

// Driver reads and writes qcow2 images.
var Driver = blockdev.Driver{
	Name:       "qcow2",
	Doc:        "QEMU's copy-on-write format, versions 2 and 3",
	Kind:       blockdev.Format,
	Keys:       keys,
	Probe:      probe,
	Open:       open,
	CreateKeys: createKeys,
	Create:     create,
}

// probe knows an image by its magic number and a version that some qcow2 has or will have.
func probe(head []byte, _ string) int {
	be := binary.BigEndian
	if len(head) >= headerLenFull && be.Uint32(head) == magic && be.Uint32(head[4:]) >= 2 {
		return 100
	}
	return 0
}

// image is an open qcow2 image.
type image struct {
	blockdev.Leaf
	geometry
	file     blockdev.Node // the image file
	backing  blockdev.Node // nil without one
	notify   func(blockdev.Notice)
	readOnly bool
	creating bool // no backing file, no repair

	size, vmState atomic.Int64 // guest bytes, and where the machine state begins
	dead          atomic.Bool  // found corrupt while writable: every request fails
	pins          pins
	codec         codec

	mu          blockdev.Mutex // guards what follows
	settings    settings
	unmap       bool // discard=unmap, for settings that follow it
	given       given
	hdr         *header
	l1          []uint64
	reftable    []uint64
	reftableEnd int // behind the last entry in use
	l2, refs    *cache
	snapshots   []snapshot
	snapBytes   int64 // length of the snapshot table
	links       []*link
	released    releases
	nextFree    int64 // cluster at which the search for free ones goes on
	skipped     int64 // lowest cluster passed over because it was pinned, -1 if none
	byteOff     int64 // where the next compressed cluster may start, 0: in a new cluster
	signalled   bool  // a corruption was reported
	mayWrite    bool  // autoclear bits that we do not keep are off in the file
	cleaner     *time.Timer
}

var (
	_ blockdev.Node      = (*image)(nil)
	_ blockdev.Claimer   = (*image)(nil)
	_ blockdev.VMStater  = (*image)(nil)
	_ blockdev.Describer = (*image)(nil)
	_ blockdev.Reopener  = (*image)(nil)
	_ blockdev.Checker   = (*image)(nil)
)

// open opens the image in its file child. Steps and errors come in QEMU's order.
func open(ctx context.Context, o *blockdev.Opening) (blockdev.Node, error) {
	file, err := o.Child(ctx, "file", blockdev.RoleFile)
	if err != nil {
		return nil, err
	}
	q := &image{file: file, notify: o.Notify, readOnly: o.Mode.ReadOnly, unmap: o.Mode.Unmap, given: given{Values: o.Values}, skipped: -1}
	if err := q.Claim(ctx, blockdev.Claim{Use: blockdev.PermRead, Share: blockdev.PermAll}); err != nil {
		return nil, err
	}
	if err := q.load(ctx, false); err != nil {
		return nil, err
	}
	if err := q.openBacking(ctx, o); err != nil {
		return nil, err
	}
	q.startCleaner()
	return q, nil
}

// load reads the header and all tables that stay in memory, and repairs a dirty image. A checker may load what could not be used.
func (q *image) load(ctx context.Context, checking bool) error {
	first, err := q.loadHeader(ctx, checking)
	if err != nil {
		return err
	}
	h := q.hdr
	q.geometry = newGeometry(h.version, uint(h.clusterBits), uint(h.refOrder), h.incompatible&featExtendedL2 != 0)
	if err := h.checkTables(checking); err != nil {
		return err
	}
	if err := q.loadL1(ctx); err != nil {
		return err
	}
	if q.settings, err = parseSettings(&q.geometry, q.given, q.size.Load(), q.unmap, h.compatible&compatLazyRefcounts != 0); err != nil {
		return err
	}
	if err := h.checkEncryption(); err != nil {
		return err
	}
	q.makeCaches()
	if err := q.loadReftable(ctx); err != nil {
		return refuseWith(err, "Could not initialize refcount handling")
	}
	if err := h.readExtensions(first, nil); err != nil {
		return err
	}
	if h.incompatible&featDataFile != 0 {
		return h.unsupported(first, featDataFile)
	}
	if err := h.readBackingName(first); err != nil {
		return err
	}
	if !checking {
		if err := q.loadSnapshots(ctx); err != nil {
			return err
		}
	}
	q.mayWrite = h.autoclear == 0
	if !checking && !q.readOnly && h.incompatible&featDirty != 0 {
		return q.repairDirty(ctx)
	}
	return nil
}

// loadHeader reads and checks the first cluster, which it returns, as far as geometry allows nothing else.
func (q *image) loadHeader(ctx context.Context, checking bool) ([]byte, error) {
	buf := make([]byte, headerLenFull)
	if err := readAt(ctx, q.file, buf, 0); err != nil {
		return nil, refuseWith(err, "Could not read qcow2 header")
	}
	h, err := parseHeader(buf)
	if err != nil {
		return nil, err
	}
	first := make([]byte, 1<<h.clusterBits)
	if err := readAt(ctx, q.file, first, 0); err != nil {
		return nil, refuseWith(err, "Could not read qcow2 header")
	}
	if h.length > headerLenFull {
		h.unknown = append([]byte(nil), first[headerLenFull:h.length]...)
	}
	if err := h.checkCompression(); err != nil {
		return nil, err
	}
	if mask := h.incompatible &^ knownIncompatible; mask != 0 {
		return nil, h.unsupported(first, mask)
	}
	if h.incompatible&featCorrupt != 0 && !q.readOnly && !checking {
		return nil, refuse(syscall.EACCES, "qcow2: Image is corrupt; cannot be opened read/write")
	}
	if sub := int64(1) << h.clusterBits / subclusters; h.incompatible&featExtendedL2 != 0 && sub < 1<<minClusterBits {
		return nil, refuse(syscall.EINVAL, "Unsupported subcluster size: %d", sub)
	}
	if h.refOrder > 6 {
		return nil, refuse(syscall.EINVAL, "Reference count entry width too large; may not exceed 64 bits")
	}
	q.hdr = h
	return first, nil
}

// checkEncryption refuses what we have no keys for.
func (h *header) checkEncryption() error {
	switch h.crypt {
	case 0:
		return nil
	case cryptAES, cryptLUKS:
		return refuse(syscall.EINVAL, "Parameter 'encrypt.key-secret' is required for cipher")
	}
	return refuse(syscall.EINVAL, "Unsupported encryption method %d", h.crypt)
}

// loadL1 reads the L1 table, whose size was checked.
func (q *image) loadL1(ctx context.Context) error {
	h := q.hdr
	need := q.l1Entries(int64(h.size))
	if need > 1<<31-1 {
		return refuse(syscall.EFBIG, "Image is too big")
	}
	if int64(h.l1Size) < need {
		return refuse(syscall.EINVAL, "L1 table is too small")
	}
	q.size.Store(int64(h.size) &^ (blockdev.SectorSize - 1))
	q.vmState.Store(need << q.l1Shift())
	var err error
	if q.l1, err = q.readTable(ctx, int64(h.l1Off), int64(h.l1Size)); err != nil {
		return refuseWith(err, "Could not read L1 table")
	}
	return nil
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
	entries := int64(q.hdr.reftableClusters) << (q.clusterBits - 3)
	if entries == 0 {
		return nil
	}
	if err := q.fire(ctx, blockdev.EvReftableLoad); err != nil {
		return err
	}
	words, err := q.readTable(ctx, int64(q.hdr.reftableOff), entries)
	if err != nil {
		return err
	}
	q.setReftable(words)
	return nil
}

func (q *image) makeCaches() {
	s := q.settings
	q.l2 = newCache(q, "L2 table", overL2, blockdev.EvL2Load, blockdev.EvL2Update, s.l2Unit, s.l2Tables)
	q.refs = newCache(q, "refcount block", overRefblock, "", blockdev.EvRefblockUpdatePart, q.cluster, s.refBlocks)
}

// readBackingName takes the name of the backing file from the first cluster.
func (h *header) readBackingName(first []byte) error {
	if h.backingOff == 0 {
		return nil
	}
	room := uint64(len(first)) - h.backingOff
	if uint64(h.backingLen) > min(maxBackingName, room) {
		return refuse(syscall.EINVAL, "Backing file name too long")
	}
	h.backing = cString(first[h.backingOff : h.backingOff+uint64(h.backingLen)])
	return nil
}

// openBacking opens the backing file that the options or the image name.
func (q *image) openBacking(ctx context.Context, o *blockdev.Opening) (err error) {
	if o.NoChild("backing") || q.hdr.backing == "" && !o.HasChild("backing") {
		return nil
	}
	q.backing, err = o.Backing(ctx, "backing", blockdev.Link{Name: q.hdr.backing, Format: q.hdr.backingFormat})
	return err
}

// Info describes the image. Any byte may be read or written: what is no whole cluster is merged here.
func (q *image) Info() blockdev.Info {
	i := blockdev.Info{
		Driver:     "qcow2",
		VMStateOff: q.vmState.Load(),
		Limits: blockdev.Limits{
			Size: q.size.Load(), RequestAlign: 1, ZeroAlign: q.sub, DiscardAlign: q.cluster, Cluster: q.cluster,
			WriteTakes: blockdev.Compressed,
		},
	}
	if q.version >= 3 {
		i.ZeroTakes = blockdev.MayUnmap | blockdev.NoFallback
	}
	return i
}

// Primary is the image file.
func (q *image) Primary() blockdev.Node { return q.file }

// Claim takes what the parent asks for of the file, and besides what metadata needs: nobody else may write or resize, and a writable
// image may be written and resized at any time. A backing file is only read.
func (q *image) Claim(ctx context.Context, c blockdev.Claim) error {
	c.Use |= blockdev.PermRead
	if !q.readOnly {
		c.Use |= blockdev.PermWrite | blockdev.PermResize
	} else {
		c.Use &^= blockdev.PermWrite | blockdev.PermResize
	}
	c.Share &^= blockdev.PermWrite | blockdev.PermResize
	return blockdev.ClaimOn(ctx, q.file, c)
}

// steady is ctx without its end: metadata that began to change is changed to the end.
func steady(ctx context.Context) context.Context {
	if ctx.Done() == nil {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// alive fails once the image was found corrupt.
func (q *image) alive() error {
	if q.dead.Load() {
		return syscall.ENOMEDIUM
	}
	return nil
}

// lock takes the metadata lock of an image that is not known to be broken.
func (q *image) lock(ctx context.Context) error {
	if err := q.mu.Lock(ctx); err != nil {
		return err
	}
	err := q.alive()
	if err != nil {
		q.mu.Unlock()
	}
	return err
}

// fire tells blkdebug below of a step.
func (q *image) fire(ctx context.Context, e blockdev.EventName) error {
	return blockdev.Fire(ctx, q.file, e)
}

// writeFile writes p into the image file.
func (q *image) writeFile(ctx context.Context, p []byte, off int64) error {
	return q.file.WriteVec(ctx, blockdev.Vec{p}, off, 0)
}

// writeSync is writeFile with the file flushed behind it.
func (q *image) writeSync(ctx context.Context, p []byte, off int64) error {
	if err := q.writeFile(ctx, p, off); err != nil {
		return err
	}
	return q.file.Flush(ctx)
}

// writeHeader writes the first cluster anew.
func (q *image) writeHeader(ctx context.Context) error {
	b, err := q.hdr.marshal()
	if err != nil {
		return err
	}
	return q.writeFile(ctx, b, 0)
}

// setFeatures changes the incompatible feature bits in the file and only then in memory.
func (q *image) setFeatures(ctx context.Context, features uint64) error {
	if err := q.writeSync(ctx, binary.BigEndian.AppendUint64(nil, features), offIncompatible); err != nil {
		return err
	}
	q.hdr.incompatible = features
	return nil
}

// allowWrites clears autoclear bits before the first change: it will leave behind bitmaps and what else we do not know out of date.
func (q *image) allowWrites(ctx context.Context) error {
	if q.mayWrite {
		return nil
	}
	q.hdr.autoclear = 0
	if err := q.writeHeader(ctx); err != nil {
		return err
	}
	if err := q.file.Flush(ctx); err != nil {
		return err
	}
	q.mayWrite = true
	return nil
}

// markDirty sets the dirty bit: from here on refcounts in the file may be too low.
func (q *image) markDirty(ctx context.Context) error {
	if q.hdr.incompatible&featDirty != 0 {
		return nil
	}
	return q.setFeatures(ctx, q.hdr.incompatible|featDirty)
}

// accurate says whether refcounts in the file must never be too low.
func (q *image) accurate() bool { return q.hdr.incompatible&featDirty == 0 }

// markClean writes all tables and takes the dirty bit away.
func (q *image) markClean(ctx context.Context) error {
	if q.hdr.incompatible&featDirty == 0 {
		return nil
	}
	for _, c := range []*cache{q.l2, q.refs} {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	return q.rewriteFeatures(ctx, q.hdr.incompatible&^featDirty)
}

// rewriteFeatures writes a new header with other incompatible features.
func (q *image) rewriteFeatures(ctx context.Context, features uint64) error {
	old := q.hdr.incompatible
	q.hdr.incompatible = features
	err := q.writeHeader(ctx)
	if err != nil {
		q.hdr.incompatible = old
	}
	return err
}

// writeCaches brings all changed tables to the file. Of a dirty image the refcounts can wait.
func (q *image) writeCaches(ctx context.Context) error {
	if err := q.l2.writeBack(ctx); err != nil {
		return err
	}
	if !q.accurate() {
		return nil
	}
	return q.refs.writeBack(ctx)
}

// Flush writes the tables and flushes the file. What was given back before may be taken again after it.
func (q *image) Flush(ctx context.Context) error {
	if err := q.lock(ctx); err != nil {
		return err
	}
	err := q.writeCaches(ctx)
	mark := q.released.mark()
	q.mu.Unlock()
	if err != nil {
		return err
	}
	if err := q.file.Flush(ctx); err != nil || mark == 0 {
		return err
	}
	if err := q.mu.Lock(ctx); err != nil {
		return err
	}
	defer q.mu.Unlock()
	q.settleReleases(ctx, mark)
	return nil
}

// Close writes what is left. What cannot be written is reported, and the image stays as it is.
func (q *image) Close() error {
	ctx := context.Background()
	q.stopCleaner()
	if q.readOnly || q.dead.Load() || q.l2 == nil {
		return nil
	}
	if err := q.mu.Lock(ctx); err != nil {
		return err
	}
	defer q.mu.Unlock()
	var failed error
	for _, c := range []*cache{q.l2, q.refs} {
		if err := c.flush(ctx); err != nil {
			q.warn(true, "Failed to flush the %s cache: %s", c.name, errnoText(err))
			failed = err
		}
	}
	if failed == nil {
		q.settleReleases(ctx, q.released.mark())
		failed = q.markClean(ctx)
	}
	return failed
}

// warn tells a person; prefixed lines stand behind the name of the program.
func (q *image) warn(prefixed bool, format string, args ...any) {
	q.notify(blockdev.Warning{Text: fmt.Sprintf(format, args...), Prefixed: prefixed})
}

// startCleaner drops metadata that is not used for a while, again and again.
func (q *image) startCleaner() {
	after := q.settings.cleanAfter
	if after <= 0 {
		return
	}
	q.cleaner = time.AfterFunc(after, func() {
		ctx := context.Background()
		if q.mu.Lock(ctx) != nil {
			return
		}
		defer q.mu.Unlock()
		if q.cleaner == nil {
			return
		}
		q.l2.clean()
		q.refs.clean()
		q.cleaner.Reset(after)
	})
}

func (q *image) stopCleaner() {
	if q.mu.Lock(context.Background()) != nil {
		return
	}
	defer q.mu.Unlock()
	if q.cleaner != nil {
		q.cleaner.Stop()
		q.cleaner = nil
	}
}
