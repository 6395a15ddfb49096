package qcow2

import (
	"context"
	"math"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// maxSnapshotName is the longest name, in bytes, that QEMU keeps.
const maxSnapshotName = 255

var errNoSnapshots error = &driver.Refusal{
	Text: "An image with a data file has no snapshots",
	Err:  syscall.ENOTSUP,
}

// Snapshots lists the snapshots in the order of their table.
func (q *image) Snapshots(ctx context.Context) ([]driver.Snapshot, error) {
	if err := q.Lock(ctx); err != nil {
		return nil, err
	}
	defer q.Unlock()
	if q.external() {
		return nil, errNoSnapshots
	}
	list := make([]driver.Snapshot, 0, len(q.snapshots))
	for _, s := range q.snapshots {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		d, err := q.describeSnapshot(ctx, s)
		if err != nil {
			return nil, refuseWith(err, "Failed to read snapshot table")
		}
		list = append(list, d)
	}
	return list, nil
}

// CreateSnapshot keeps what the guest sees. Nothing is copied but the L1 table: all that it leads
// to gets one more reference, and is copied when it is written.
func (q *image) CreateSnapshot(
	ctx context.Context, name string, now time.Time,
) (s driver.Snapshot, err error) {
	switch {
	case len(name) > maxSnapshotName:
		return s, invalid("The name of a snapshot has at most %d bytes",
			maxSnapshotName)
	case slices.Contains([]byte(name), 0):
		return s, invalid("The name of a snapshot has no zero bytes")
	}
	err = q.changeSnapshots(ctx, func(ctx context.Context) (err error) {
		s, err = q.createSnapshot(ctx, name, now)
		return err
	})
	return s, err
}

// ApplySnapshot makes the guest's disk what it was, its length included.
func (q *image) ApplySnapshot(ctx context.Context, which string) (s driver.Snapshot, err error) {
	err = q.changeSnapshots(ctx, func(ctx context.Context) (err error) {
		var i int
		if i, s, err = q.findSnapshot(ctx, which); err != nil {
			return err
		}
		return q.applySnapshot(ctx, q.snapshots[i], s.Size)
	})
	return s, err
}

// DeleteSnapshot gives a snapshot up, and all that only it refers to.
func (q *image) DeleteSnapshot(ctx context.Context, which string) (s driver.Snapshot, err error) {
	err = q.changeSnapshots(ctx, func(ctx context.Context) (err error) {
		var i int
		if i, s, err = q.findSnapshot(ctx, which); err != nil {
			return err
		}
		return q.deleteSnapshot(ctx, i)
	})
	return s, err
}

// LoadSnapshot shows the disk as it was, its length included, until the image is closed. The image
// must be read-only.
func (q *image) LoadSnapshot(ctx context.Context, which string) (s driver.Snapshot, err error) {
	if err := q.Lock(ctx); err != nil {
		return s, err
	}
	defer q.Unlock()
	switch {
	case q.external():
		return s, errNoSnapshots
	case !q.readOnly:
		return s, refuse(syscall.EACCES, "A snapshot can only be opened read-only")
	}
	i, s, err := q.findSnapshot(ctx, which)
	if err != nil {
		return s, err
	}
	if err := q.checkDisk(s.Size); err != nil {
		return s, err
	}
	l1, err := q.snapshotL1(ctx, q.snapshots[i])
	if err != nil {
		return s, err
	}
	q.l1, q.loaded = copiedCleared(l1, q.l1Entries(s.Size)), true
	q.findLostL1(q.snapshots[i].l1Off)
	return s, q.installSize(ctx, s.Size)
}

// changeSnapshots calls do with nothing under way and all tables in the file.
func (q *image) changeSnapshots(ctx context.Context, do func(ctx context.Context) error) error {
	if err := q.Lock(ctx); err != nil {
		return err
	}
	defer q.Unlock()
	if q.external() {
		return errNoSnapshots
	}
	ctx = format.Uncancelled(ctx)
	if err := q.beginChanges(ctx); err != nil {
		return err
	}
	if err := q.WaitIdle(ctx, 0, math.MaxInt64); err != nil {
		return err
	}
	return inOrder(ctx, q.flushCaches, q.barrier, do, q.flushCaches, q.barrier)
}

// unbalanced calls do, which changes refcounts and copied flags that lie in different clusters of
// the file. The dirty bit is set meanwhile: the next program to open what a crash leaves repairs
// it. Version 2 has no such bit, and a crash may leave copied flags there that do no harm and that
// a check finds wrong. If do cannot leave everything in order it sets q.unrepaired, and the bit
// stays.
func (q *image) unbalanced(ctx context.Context, do func() error) error {
	if q.version < 3 {
		return do()
	}
	if err := q.markDirty(ctx); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if q.settings.lazy {
		return nil
	}
	return q.markClean(ctx)
}

// createSnapshot enters a new snapshot behind the others.
func (q *image) createSnapshot(
	ctx context.Context, name string, now time.Time,
) (s driver.Snapshot, err error) {
	if len(q.snapshots) >= maxSnapshots {
		return s, refuse(syscall.EFBIG, "An image has at most %d snapshots", maxSnapshots)
	}
	s = driver.Snapshot{Name: name, Size: q.size.Load(), Time: now.Round(0)}
	if s.ID, err = q.nextID(ctx); err != nil {
		return s, err
	}
	return s, q.unbalanced(ctx, func() error {
		if err := q.share(ctx, q.l1); err != nil {
			return err
		}
		q.l1 = copiedCleared(q.l1, 0)
		err := q.enterSnapshot(ctx, s)
		if err != nil && !unsettled(err) {
			q.undoShare(ctx, q.l1, math.MaxInt)
		}
		return err
	})
}

// enterSnapshot writes the L1 table of a new snapshot, which is the active one, and a snapshot
// table with it.
func (q *image) enterSnapshot(ctx context.Context, s driver.Snapshot) error {
	entries, err := q.wholeSnapshots(ctx)
	if err == nil {
		err = q.writeL1(ctx)
	}
	if err != nil {
		return err
	}
	at, err := q.storeL1(ctx, q.l1)
	if err != nil {
		return err
	}
	err = q.replaceSnapshots(ctx, append(entries, marshalSnapshot(s, at, len(q.l1))))
	if err != nil && !unsettled(err) {
		q.free(ctx, at, int64(len(q.l1))*l1EntrySize, discardNever)
	}
	return err
}

// deleteSnapshot takes the i-th snapshot out of the table, and only then gives back what it refers
// to.
func (q *image) deleteSnapshot(ctx context.Context, i int) error {
	s := q.snapshots[i]
	l1, err := q.snapshotL1(ctx, s)
	if err != nil {
		return err
	}
	entries, err := q.wholeSnapshots(ctx)
	if err != nil {
		return err
	}
	return q.unbalanced(ctx, func() error {
		err := q.replaceSnapshots(ctx, slices.Delete(entries, i, i+1))
		if err != nil && !unsettled(err) {
			return err
		}
		if err == nil {
			err = q.unshare(ctx, l1)
		}
		if err == nil {
			q.free(ctx, s.l1Off, int64(s.l1Size)*l1EntrySize, discardSnapshot)
			err = q.updateCopied(ctx)
		}
		if err != nil {
			q.unrepaired = true
		}
		return err
	})
}

// applySnapshot makes the tree of a snapshot, counted once more, the active one. One write of the
// header switches to it, and to the length that the disk had.
func (q *image) applySnapshot(ctx context.Context, s snapshot, size int64) error {
	switch {
	case q.hasBitmaps():
		return refuse(syscall.EBUSY, "Device has active dirty bitmaps")
	case size != q.size.Load() && q.version < 3:
		return errResizeV2
	}
	if err := q.checkDisk(size); err != nil {
		return err
	}
	l1, err := q.snapshotL1(ctx, s)
	if err != nil {
		return err
	}
	if err := q.share(ctx, l1); err != nil {
		return err
	}
	old, oldAt := q.l1, int64(q.hdr.L1Off)
	err = q.switchL1(ctx, copiedCleared(l1, q.l1Entries(size)), size)
	switch {
	case unsettled(err):
		return err
	case err != nil:
		q.undoShare(ctx, l1, math.MaxInt)
		return err
	}
	if err := q.unshare(ctx, old); err != nil {
		return prefix(err,
			"The snapshot was applied, but not all that the image had before was given back; "+
				"check -r leaks does that")
	}
	q.free(ctx, oldAt, int64(len(old))*l1EntrySize, discardOther)
	return nil
}

// switchL1 makes a table the active L1 table of a disk of size bytes.
func (q *image) switchL1(ctx context.Context, table []uint64, size int64) error {
	at, err := q.storeL1(ctx, table)
	if err != nil {
		return err
	}
	err = q.writeFields(ctx, offSize, size, q.hdr.Crypt, uint32(len(table)), at)
	if err != nil && !unsettled(err) {
		q.free(ctx, at, int64(len(table))*l1EntrySize, discardNever)
		return err
	}
	q.l1, q.hdr.L1Off, q.hdr.L1Size, q.hdr.Size = table, uint64(at), uint32(len(table)),
		uint64(size)
	if resized := q.installSize(ctx, size); err == nil {
		err = resized
	}
	return err
}

// checkDisk refuses a length that no disk in this image can have.
func (q *image) checkDisk(size int64) error {
	if size < 0 || size%driver.SectorSize != 0 || size > q.maxDisk() {
		return invalid("The snapshot is said to be of a disk of %d bytes", size)
	}
	return nil
}

// nextID is one more than the largest number that an id begins with.
func (q *image) nextID(ctx context.Context) (string, error) {
	largest := uint64(0)
	for _, s := range q.snapshots {
		if err := format.Interrupted(ctx); err != nil {
			return "", err
		}
		id, _, err := q.names(ctx, s)
		if err != nil {
			return "", err
		}
		digits := 0
		for digits < len(id) && id[digits] >= '0' && id[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseUint(id[:digits], 10, 64)
		if digits > 0 && (err != nil || n == math.MaxUint64) {
			return "", refuse(syscall.EFBIG, "There is no id behind that of the snapshot %q", id)
		}
		largest = max(largest, n)
	}
	return strconv.FormatUint(largest+1, 10), nil
}

// findSnapshot is the snapshot with that id or, if none has it, the first one with that name.
func (q *image) findSnapshot(ctx context.Context, which string) (int, driver.Snapshot, error) {
	named := -1
	for i, s := range q.snapshots {
		if err := format.Interrupted(ctx); err != nil {
			return 0, driver.Snapshot{}, err
		}
		id, name, err := q.names(ctx, s)
		if err != nil {
			return 0, driver.Snapshot{}, err
		}
		if id == which {
			named = i
			break
		}
		if name == which && named < 0 {
			named = i
		}
	}
	if named < 0 {
		return 0, driver.Snapshot{}, format.Advise(
			refuse(syscall.ENOENT, "There is no snapshot with the id or name '%s'", which),
			"snapshot list shows those that there are\n",
		)
	}
	s, err := q.describeSnapshot(ctx, q.snapshots[named])
	return named, s, err
}
