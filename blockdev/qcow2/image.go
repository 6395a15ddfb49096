package qcow2

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// Driver reads and writes qcow2 images.
var Driver = driver.Driver{
	Name:         "qcow2",
	Doc:          "QEMU's copy-on-write format, versions 2 and 3",
	Kind:         driver.Format,
	Resolves:     driver.OverProtocol,
	Purpose:      driver.TemporaryOverlay,
	Config:       config{},
	Probe:        probe,
	Open:         open,
	CreateConfig: createConfig{},
	AmendConfig:  amendConfig{},
	CheckCreate:  checkCreate,
	Measure:      measure,
	Create:       create,
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
	format.Image
	geometry
	file     driver.Node // the image file, where all metadata is
	readOnly bool
	checking bool // opened with Mode.Check
	loaded   bool // a snapshot is shown, see LoadSnapshot
	claimed  driver.Claim
	// the claim on the file includes writing: not readOnly, and ahead of it while a reopen is
	// prepared
	claims bool

	likeQEMU   bool
	unlocker   *unlocker   // nil for a new image, which is not encrypted yet
	encryption *encryption // nil if guest data is as it is, or no key was needed

	size, vmState atomic.Int64 // guest bytes, and where the machine state begins
	dead          atomic.Bool  // found corrupt while writable: every request fails

	// The lock of Image guards what follows.
	settings    settings
	unmap       bool // discard=unmap, for settings that follow it
	given       given
	hdr         *header
	l1          []uint64
	l1Held      int64 // entries from there on were lost, with the end of a file of l1Cut bytes
	l1Cut       int64
	reftable    []uint64
	reftableEnd int // behind the last entry in use
	l2, refs    *format.Tables
	snapshots   []snapshot
	snapBytes   int64 // length of the snapshot table
	// where the L1 tables of snapshots are, sorted and apart from each other
	inactiveL1   []format.Span
	deferred     format.DeferredFrees
	tracked      []*trackedBitmap
	trackedBytes int64          // of bits in memory
	viewed       *trackedBitmap // that was looked at last and is not tracked
	view         []byte         // the cluster of bits that was looked at last,
	viewAt       int64          // and where it is, 0 for nowhere
	// whether holes of the file are looked for, once that was found out, see preallocated
	holesKnown, holes bool
	nextFree          int64 // cluster at which the search for free ones goes on
	skipped           int64 // lowest cluster passed over because it was pinned, -1 if none
	byteOff           int64 // where the next compressed cluster may start, 0: in a new cluster
	signalled         bool  // a corruption was reported
	mayWrite          bool  // autoclear bits that we do not keep are off in the file
	// the dirty bit was found, and the image could not be repaired yet or not wholly: the bit stays
	unrepaired bool
	// it was found while nothing could be written, so the repair comes before the first write
	repairDue bool
	cleaner   *time.Timer
}

var _ interface {
	driver.Node
	driver.Claimer
	driver.VMStater
	driver.Describer
	driver.Reopener
	driver.ClusterChecker
	driver.Amender
	driver.Overlay
	driver.Bitmapper
	driver.Encrypted
	driver.Snapshotter
} = (*image)(nil)

// open opens the image in its file child. Steps and errors come in QEMU's order.
func open(ctx context.Context, o *driver.Opening) (_ driver.Node, err error) {
	c := o.Config.(*config)
	file, err := o.Child(ctx, c.File, driver.RoleFile)
	if err != nil {
		return nil, err
	}
	q := newImage(file, c, o.Notify)
	q.readOnly, q.checking, q.claims, q.unmap = o.Mode.ReadOnly, o.Mode.Check, !o.Mode.ReadOnly,
		o.Mode.Unmap
	q.likeQEMU, q.unlocker = o.LikeQEMU(), &unlocker{o, &c.Encrypt}
	defer func() {
		if err != nil {
			q.forget()
		}
	}()
	if err := q.Claim(ctx, driver.Claim{Use: driver.PermRead, Share: driver.PermAll}); err != nil {
		return nil, err
	}
	err = q.load(ctx, func(ctx context.Context, h *header) (driver.Node, error) {
		return openDataFile(ctx, o, h)
	})
	if err == nil {
		err = q.claimData(ctx, driver.Claim{Use: driver.PermRead, Share: driver.PermAll})
	}
	if err != nil {
		return nil, err
	}
	if err := q.openBacking(ctx, o); err != nil {
		return nil, err
	}
	if q.likeQEMU && !q.checking {
		if err := q.judgeBitmaps(ctx); err != nil {
			return nil, err
		}
		if !q.readOnly {
			err = q.takeBitmaps(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
	q.startCleaner()
	return q, nil
}

// newImage is an image in file whose header has not been read.
func newImage(file driver.Node, c *config, notify func(driver.Notice)) *image {
	q := &image{file: file, given: given{*c, *c}, skipped: -1}
	q.Config = format.Config{
		Mapper: q, Name: "qcow2", Data: file, Events: file, Overlay: true, Size: q.size.Load,
		Usable: q.usable, Holes: q.preallocated, Notify: notify, Reach: q.reach,
		Ahead: format.MaxParallel, // as QEMU has under way, so that clusters lie where its lie
	}
	return q
}

// Info describes the image. Any byte may be read or written: what is no whole cluster is merged
// here.
func (q *image) Info() driver.Info {
	i := driver.Info{
		Driver:     "qcow2",
		KnowsSizes: true,
		VMStateOff: q.vmState.Load(),
		NoMedium:   q.dead.Load(),
		Limits: driver.Limits{
			Size: q.size.Load(), RequestAlign: 1, ZeroAlign: q.sub, DiscardAlign: q.cluster,
			Cluster:    q.cluster,
			WriteTakes: driver.Compressed,
		},
	}
	if q.dataFile {
		i.WriteTakes = 0
	}
	if q.hdr.Crypt != cryptNone {
		i.RequestAlign = driver.SectorSize
	}
	if q.version >= 3 {
		i.ZeroTakes = driver.MayUnmap | driver.NoFallback
	}
	return i
}

// Primary is the image file.
func (q *image) Primary() driver.Node { return q.file }

// Claim takes what the parent asks for of the file, and besides what metadata needs: nobody else
// may write or resize, and a writable image may be written and resized at any time. A backing file
// is only read.
func (q *image) Claim(ctx context.Context, c driver.Claim) error {
	if err := q.claimData(ctx, c); err != nil {
		return err
	}
	err := format.Claim(ctx, q.file, c, q.claims)
	if err == nil {
		q.claimed = c
	} else {
		_ = q.claimData(ctx, q.claimed) // as it was: nobody else can have got in the way
	}
	return err
}

var errOnlyChecked error = &driver.Refusal{
	Text: "The image is open for a check only",
	Err:  syscall.EBADF,
}

// usable fails once the image was found corrupt, and where its tables were never looked at.
func (q *image) usable() error {
	switch {
	case q.dead.Load():
		return syscall.ENOMEDIUM
	case q.checking:
		return errOnlyChecked
	}
	return nil
}

// writeFile writes p into the image file.
func (q *image) writeFile(ctx context.Context, p []byte, off int64) error {
	return q.file.WriteVec(ctx, driver.Vec{p}, off, 0)
}

// inOrder does one step after the other until one fails.
func inOrder(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// writeFields is writeSync for integers, as the file has them.
func (q *image) writeFields(ctx context.Context, off int64, fields ...any) error {
	return q.writeSync(ctx, appendFields(nil, fields...), off)
}

// writeSync is writeFile with the file flushed behind it.
func (q *image) writeSync(ctx context.Context, p []byte, off int64) error {
	err := q.writeFile(ctx, p, off)
	if err == nil {
		err = q.file.Flush(ctx)
	}
	if err != nil && q.mayHold(ctx, p, off) {
		return &unsettledError{err}
	}
	return err
}

// unsettledError is the error of a write, or of the sync behind it, that may have reached the file
// all the same. What was written refers to something: that must not be freed.
type unsettledError struct{ error }

func (u *unsettledError) Unwrap() error { return u.error }

// unsettled says whether a write that failed with err may have reached the file.
func unsettled(err error) bool { return errors.As(err, new(*unsettledError)) }

// mayHold says whether the file has p at off, as far as can be seen.
func (q *image) mayHold(ctx context.Context, p []byte, off int64) bool {
	there := make([]byte, len(p))
	return q.file.ReadVec(ctx, driver.Vec{there}, off, 0) != nil || bytes.Equal(there, p)
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
	err := q.writeFields(ctx, offIncompatible, features)
	if err == nil {
		q.hdr.Incompatible = features
	}
	return err
}

// BeginChange prepares for the first change, and records each in the dirty bitmaps.
func (q *image) BeginChange(ctx context.Context, off, n int64) error {
	if err := q.beginChanges(ctx); err != nil {
		return err
	}
	q.recordChange(ctx, off, n)
	return nil
}

// beginChanges prepares for the first change. It begins to track bitmaps and clears the autoclear
// bits of what will be out of date, and repairs a dirty image that was opened read-only and
// reopened for writing since.
func (q *image) beginChanges(ctx context.Context) error {
	if q.repairDue {
		if err := q.repairDirty(ctx); err != nil {
			return err
		}
		q.repairDue = false // once: later there are clusters that nothing refers to yet
	}
	if q.mayWrite {
		return nil
	}
	keep, err := q.trackBitmaps(ctx, false)
	if err != nil {
		return err
	}
	if q.external() {
		keep |= autoRawData
	}
	if q.hdr.Autoclear&^keep != 0 {
		err = q.changeHeaderSync(ctx, func(h *header) { h.clearAuto(keep) })
	}
	q.mayWrite = err == nil
	return err
}

// clearAuto leaves of the autoclear bits those in keep, and forgets bitmaps that do not count any
// more.
func (h *header) clearAuto(keep uint64) {
	if h.Autoclear &= keep; h.Autoclear&autoBitmaps == 0 {
		h.bitmaps = nil
	}
}

// dropUnknownAutoclear clears the autoclear bits that are not known before a repair, which guest
// data and bitmaps are none the worse for.
func (q *image) dropUnknownAutoclear(ctx context.Context) error {
	const known = autoBitmaps | autoRawData
	if q.hdr.Autoclear&^known == 0 {
		return nil
	}
	return q.changeHeader(ctx, func(h *header) { h.clearAuto(known) })
}

// markDirty sets the dirty bit: from here on refcounts in the file may be too low.
func (q *image) markDirty(ctx context.Context) error {
	if q.hdr.Incompatible&featDirty != 0 {
		return nil
	}
	return q.setFeatures(ctx, q.hdr.Incompatible|featDirty)
}

// accurate says whether refcounts in the file must never be too low.
func (q *image) accurate() bool { return q.hdr.Incompatible&featDirty == 0 }

// markClean writes all tables and takes the dirty bit away.
func (q *image) markClean(ctx context.Context) error {
	if q.hdr.Incompatible&featDirty == 0 || q.unrepaired {
		return nil
	}
	if err := inOrder(ctx, q.l2.Flush, q.refs.Flush); err != nil {
		return err
	}
	return q.rewriteFeatures(ctx, q.hdr.Incompatible&^featDirty)
}

// rewriteFeatures writes a new header with other incompatible features.
func (q *image) rewriteFeatures(ctx context.Context, features uint64) error {
	return q.changeHeader(ctx, func(h *header) { h.Incompatible = features })
}

// changeHeader writes a new header, or leaves it as it was in memory.
func (q *image) changeHeader(ctx context.Context, change func(*header)) error {
	old := *q.hdr
	change(q.hdr)
	err := q.writeHeader(ctx)
	if err != nil {
		*q.hdr = old
	}
	return err
}

// changeHeaderSync is changeHeader with the file flushed behind it.
func (q *image) changeHeaderSync(ctx context.Context, change func(*header)) error {
	err := q.changeHeader(ctx, change)
	if err == nil {
		err = q.file.Flush(ctx)
	}
	return err
}

// writeCaches brings all changed tables to the file. Of a dirty image the refcounts can wait.
func (q *image) writeCaches(ctx context.Context) error {
	err := q.l2.WriteBack(ctx)
	if err == nil && q.accurate() {
		err = q.refs.WriteBack(ctx)
	}
	return err
}

// Flush writes the tables and flushes the file.
func (q *image) Flush(ctx context.Context) error {
	settle, err := q.WriteBack(ctx)
	if err != nil {
		return err
	}
	if err := q.file.Flush(ctx); err != nil || settle == nil {
		return err
	}
	return settle(ctx)
}

// WriteBack writes the tables. What was given back before may be taken again when the file was
// flushed behind it.
func (q *image) WriteBack(ctx context.Context) (settle func(context.Context) error, err error) {
	if q.checking { // a check leaves nothing in the caches
		return nil, nil
	}
	if err := q.Lock(ctx); err != nil {
		return nil, err
	}
	defer q.Unlock()
	if err := inOrder(ctx, q.syncData, q.writeCaches); err != nil {
		return nil, err
	}
	mark := q.deferred.Mark()
	if mark == 0 {
		return nil, nil
	}
	return func(ctx context.Context) error {
		if err := q.LockAnyway(ctx); err != nil {
			return err
		}
		defer q.Unlock()
		q.settleFrees(ctx, mark)
		return nil
	}, nil
}

// Close writes what is left. What cannot be written is reported, and the image stays as it is.
func (q *image) Close() error {
	ctx := context.Background()
	q.stopCleaner()
	if err := q.LockAnyway(ctx); err != nil {
		return err
	}
	defer q.Unlock()
	defer q.forget()
	if q.readOnly || q.dead.Load() || q.l2 == nil {
		return nil
	}
	failed := q.storeBitmaps(ctx)
	for _, c := range q.caches() {
		if err := c.Flush(ctx); err != nil {
			q.Notify(driver.CacheUnwritten{Cache: c.Name, Err: err})
			failed = err
		}
	}
	if failed == nil {
		q.settleFrees(ctx, q.deferred.Mark())
		failed = q.markClean(ctx)
	}
	return failed
}

// forget ends the caches and wipes the key.
func (q *image) forget() {
	q.endCaches()
	if q.encryption != nil {
		q.encryption.Wipe()
	}
}

// startCleaner drops metadata that is not used for a while, again and again.
func (q *image) startCleaner() {
	after := q.settings.cleanAfter
	if after <= 0 {
		return
	}
	q.cleaner = time.AfterFunc(after, func() {
		ctx := context.Background()
		if q.LockAnyway(ctx) != nil {
			return
		}
		defer q.Unlock()
		if q.cleaner == nil {
			return
		}
		q.l2.Clean()
		q.refs.Clean()
		q.cleaner.Reset(after)
	})
}

func (q *image) stopCleaner() {
	if q.LockAnyway(context.Background()) != nil {
		return
	}
	defer q.Unlock()
	if q.cleaner != nil {
		q.cleaner.Stop()
		q.cleaner = nil
	}
}
