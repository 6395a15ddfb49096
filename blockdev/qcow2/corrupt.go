package qcow2

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// corrupt reports metadata that cannot be. Of a writable image it sets the corrupt bit and makes it
// unusable, for every further write could make things worse. It returns EIO.
func (q *image) corrupt(ctx context.Context, format string, args ...any) error {
	return q.corruptBy(ctx, fmt.Errorf(format, args...))
}

// corruptBy is corrupt for an error that tells what is wrong.
func (q *image) corruptBy(ctx context.Context, what error) error {
	q.report(ctx, !q.readOnly, what)
	return syscall.EIO
}

// corruptMildly reports what does no further harm.
func (q *image) corruptMildly(ctx context.Context, format string, args ...any) {
	q.report(ctx, false, fmt.Errorf(format, args...))
}

func (q *image) report(ctx context.Context, fatal bool, what error) {
	if q.signalled && (!fatal || q.hdr.Incompatible&featCorrupt != 0) {
		return
	}
	q.signalled = true
	q.Notify(driver.ImageCorrupt{Format: "qcow2", Marked: fatal, What: what})
	if !fatal {
		return
	}
	q.hdr.Incompatible |= featCorrupt
	_ = q.writeHeader(ctx) // the image is unusable in any case
	q.dead.Store(true)
}

// guardMetadata refuses a write that would hit metadata, but for the kinds in own. It does not rely
// on refcounts, which may be what is wrong.
func (q *image) guardMetadata(ctx context.Context, own overlap, off, n int64) error {
	hit, err := q.overlaps(ctx, q.settings.check&^own, off, n)
	if err != nil || hit == 0 {
		return err
	}
	return q.corrupt(ctx, "Preventing invalid write on metadata (overlaps with %s)", hit)
}

// overlaps is the first kind of metadata in check that shares a cluster with the range, 0 for none.
func (q *image) overlaps(ctx context.Context, check overlap, off, n int64) (overlap, error) {
	if n == 0 || check == 0 {
		return 0, nil
	}
	if check&overHeader != 0 && off < q.cluster {
		return overHeader, nil
	}
	end := q.roundUp(off + n)
	off = q.startOf(off)
	touches := func(at, length int64) bool { return length > 0 && at < end && off < at+length }
	h := q.hdr
	switch {
	case check&overL1 != 0 && touches(int64(h.L1Off), int64(len(q.l1))*l1EntrySize):
		return overL1, nil
	case check&overReftable != 0 &&
		touches(int64(h.ReftableOff), int64(len(q.reftable))*reftableEntrySize):
		return overReftable, nil
	case check&overSnapshots != 0 && touches(int64(h.SnapshotsOff), q.snapBytes):
		return overSnapshots, nil
	case check&overBitmaps != 0 && h.bitmaps != nil && h.Autoclear&autoBitmaps != 0 &&
		touches(int64(h.bitmaps.dirOff), int64(h.bitmaps.dirSize)):
		return overBitmaps, nil
	}
	if check&overInactiveL1 != 0 {
		i := sort.Search(len(q.inactiveL1), func(i int) bool { return q.inactiveL1[i].End() > off })
		if i < len(q.inactiveL1) && q.inactiveL1[i].Off < end {
			return overInactiveL1, nil
		}
	}
	if check&overL2 != 0 && pointsInto(q.l1, offsetMask, off, end, q.cluster) {
		return overL2, nil
	}
	if check&overRefblock != 0 &&
		pointsInto(q.reftable[:q.reftableEnd], reftableMask, off, end, q.cluster) {
		return overRefblock, nil
	}
	if check&overInactiveL2 != 0 {
		return q.overlapsInactiveL2(ctx, off, end)
	}
	return 0, nil
}

// pointsInto says whether a table refers to a cluster in [off, end).
func pointsInto(table []uint64, mask uint64, off, end, cluster int64) bool {
	span := uint64(end - off + cluster - 1)
	base := uint64(off - cluster + 1)
	for _, e := range table {
		if at := e & mask; at-base < span && at != 0 {
			return true
		}
	}
	return false
}

// overlapsInactiveL2 reads the L1 tables of all snapshots.
func (q *image) overlapsInactiveL2(ctx context.Context, off, end int64) (overlap, error) {
	for _, s := range q.snapshots {
		if err := q.hdr.checkTable("Snapshot L1 table", uint64(s.l1Off), uint64(s.l1Size),
			l1EntrySize, maxL1Bytes); err != nil {
			return 0, err
		}
		err := q.eachWord(ctx, s.l1Off, int64(s.l1Size), func(_ int64, w uint64, err error) error {
			if at := int64(w & offsetMask); at != 0 && at < end && off < at+q.cluster {
				return errEnough
			}
			return err
		})
		switch {
		case errors.Is(err, errEnough):
			return overInactiveL2, nil
		case err != nil:
			return 0, err
		}
	}
	return 0, nil
}

// hex prints a number as C's %#x does.
func hex[T int | int64 | uint64](n T) string { return driver.Hex(n) }
