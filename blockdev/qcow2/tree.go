package qcow2

import (
	"context"
	"errors"
	"math"
	"slices"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// errUncounted says that a table refers to a cluster that is counted as free. To share it would
// lose it.
var errUncounted error = &driver.Refusal{
	Text: "The image refers to clusters that are counted as free; it must be checked and repaired first",
	Err:  syscall.EIO,
}

// eachReference calls do for all clusters that an L1 table leads to: those that the entries of an
// L2 table refer to, run by run, and then the table itself. visit is called for each part of an L2
// table before, and may change it; nil leaves all as it is. A walk that is repeated meets the same
// runs in the same order.
func (q *image) eachReference(
	ctx context.Context, l1 []uint64, visit func(slice), do func(format.Span) error,
) error {
	for i, w := range l1 {
		at, err := q.tableAt(ctx, w, int64(i))
		if err != nil {
			return err
		}
		if at == 0 {
			continue
		}
		err = q.eachPart(ctx, at, func(s slice) error {
			if visit != nil {
				visit(s)
			}
			return q.eachInSlice(ctx, s, do)
		})
		if err == nil {
			err = do(format.Span{Off: at, Len: q.cluster})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eachPart calls do for one part after the other of the L2 table at at.
func (q *image) eachPart(ctx context.Context, at int64, do func(slice) error) error {
	for part := at; part < at+q.cluster; part += q.l2.Unit {
		if err := format.Interrupted(ctx); err != nil {
			return err
		}
		t, err := q.l2.Get(ctx, part)
		if err != nil {
			return err
		}
		err = do(slice{t, &q.geometry, at})
		q.l2.Put(t)
		if err != nil {
			return err
		}
	}
	return nil
}

// eachInSlice calls do for what the entries of a part of an L2 table refer to, run by run.
func (q *image) eachInSlice(ctx context.Context, s slice, do func(format.Span) error) error {
	var run format.Span
	for i := range s.slots() {
		e := s.entry(i)
		place := q.spanOf(e)
		if place.Len == 0 {
			continue
		}
		if q.clusterType(e) != compressed && q.within(place.Off) != 0 {
			return q.corruptBy(ctx, &driver.ClusterOffsetError{
				Offset: place.Off, Table: s.tableAt, Index: (s.Off-s.tableAt)/q.entrySize + i,
			})
		}
		if run.Len > 0 && run.End() == place.Off && q.within(place.Off) == 0 &&
			q.clusterType(e) != compressed {
			run.Len += place.Len
			continue
		}
		if run.Len > 0 {
			if err := do(run); err != nil {
				return err
			}
		}
		run = place
	}
	if run.Len == 0 {
		return nil
	}
	return do(run)
}

// share counts one more reference to all that an L1 table leads to. Nothing there is anybody's
// alone any more, which the copied flags of its L2 tables then say. If it fails all is as it was.
func (q *image) share(ctx context.Context, l1 []uint64) error {
	counted := 0
	err := q.eachReference(ctx, l1, q.clearCopied, func(s format.Span) error {
		if err := q.adjust(ctx, s.Off, s.Len, oneMoreUser, discardNever); err != nil {
			return err
		}
		counted++
		return nil
	})
	if err == nil {
		return nil
	}
	q.undoShare(ctx, l1, counted)
	if driver.Errno(err) == syscall.EINVAL {
		return invalid("Refcounts of %d bits cannot count one more snapshot",
			1<<q.refOrder)
	}
	return err
}

// errEnough ends a walk.
var errEnough = errors.New("enough")

// undoShare gives back the first n runs that share has counted, and sets the copied flags again. If
// that fails the dirty bit stays where it is.
func (q *image) undoShare(ctx context.Context, l1 []uint64, n int) {
	ctx = context.WithoutCancel(format.Caller(ctx))
	err := q.eachReference(ctx, l1, nil, func(s format.Span) error {
		if n == 0 {
			return errEnough
		}
		n--
		return q.adjust(ctx, s.Off, s.Len, oneLess, discardNever)
	})
	if err == nil || errors.Is(err, errEnough) {
		err = q.updateCopied(ctx)
	}
	if err != nil {
		q.unrepaired = true
	}
}

// unshare gives back all that an L1 table leads to. What it cannot give back leaks.
func (q *image) unshare(ctx context.Context, l1 []uint64) error {
	return q.eachReference(ctx, l1, nil, func(s format.Span) error {
		q.free(ctx, s.Off, s.Len, discardSnapshot)
		return nil
	})
}

// clearCopied takes the copied flags out of a part of an L2 table.
func (q *image) clearCopied(s slice) {
	changed := false
	for i := range s.slots() {
		if e := s.entry(i); e.desc&flagCopied != 0 && q.clusterType(e).hasHost() {
			e.desc &^= flagCopied
			s.set(i, e)
			changed = true
		}
	}
	if changed {
		q.l2.Changed(s.Table)
	}
}

// updateCopied makes the copied flags of the active tables say which refcounts are one.
func (q *image) updateCopied(ctx context.Context) error {
	r := refcounts{q: q}
	defer r.drop()
	changed := false
	for i, w := range q.l1 {
		at := int64(w & offsetMask)
		if at == 0 {
			continue
		}
		err := q.eachPart(ctx, at, func(s slice) error { return q.updateSlice(ctx, &r, s) })
		if err != nil {
			return err
		}
		want, err := r.flagged(ctx, w, at)
		if err != nil {
			return err
		}
		changed = changed || want != w
		q.l1[i] = want
	}
	if !changed {
		return nil
	}
	return q.writeL1(ctx)
}

// updateSlice is updateCopied for a part of an L2 table.
func (q *image) updateSlice(ctx context.Context, r *refcounts, s slice) error {
	for i := range s.slots() {
		e := s.entry(i)
		if !q.clusterType(e).hasHost() {
			continue
		}
		want, err := r.flagged(ctx, e.desc, e.host())
		if err != nil {
			return err
		}
		if want != e.desc {
			s.set(i, entry{want, e.bitmap})
			q.l2.Changed(s.Table)
		}
	}
	return nil
}

// flagged is an entry for the cluster at at with the copied flag that its refcount asks for.
func (r *refcounts) flagged(ctx context.Context, entry uint64, at int64) (uint64, error) {
	n, err := r.of(ctx, at>>r.q.clusterBits)
	if n == 1 {
		return entry | flagCopied, err
	}
	return entry &^ flagCopied, err
}

// writeL1 writes the whole active L1 table where it is. Only flags may have changed: a crash may
// leave some of its sectors as they were.
func (q *image) writeL1(ctx context.Context) error {
	return q.writeTable(ctx, overL1, q.l1, int64(q.hdr.L1Off))
}

// copiedCleared is an L1 table without copied flags, with n entries.
func copiedCleared(l1 []uint64, n int64) []uint64 {
	table := append(slices.Clone(l1), make([]uint64, max(0, n-int64(len(l1))))...)
	for i := range table {
		table[i] &^= flagCopied
	}
	return table
}

// storeL1 writes an L1 table to clusters of its own, counted and flushed before anything refers to
// them.
func (q *image) storeL1(ctx context.Context, l1 []uint64) (at int64, err error) {
	n := int64(len(l1)) * l1EntrySize
	if n == 0 {
		return 0, nil
	}
	if at, err = q.allocate(ctx, n); err != nil {
		return 0, err
	}
	if err = q.writeTable(ctx, 0, l1, at); err == nil {
		err = inOrder(ctx, q.flushCaches, q.file.Flush)
	}
	if err != nil {
		q.free(ctx, at, n, discardNever)
		return 0, err
	}
	return at, nil
}

// snapshotL1 reads the L1 table of a snapshot, which must not be longer than an active one.
func (q *image) snapshotL1(ctx context.Context, s snapshot) ([]uint64, error) {
	err := q.hdr.checkTable("Snapshot L1 table", uint64(s.l1Off), uint64(s.l1Size), l1EntrySize,
		maxL1Bytes)
	if err != nil {
		return nil, err
	}
	l1, err := q.readTable(ctx, s.l1Off, int64(s.l1Size))
	if err != nil {
		return nil, refuseWith(err, "Failed to read the L1 table of the snapshot")
	}
	return l1, nil
}

// maxDisk is the longest disk whose L1 table may be, in bytes.
func (g *geometry) maxDisk() int64 {
	if maxL1Bytes/l1EntrySize > math.MaxInt64>>g.l1Shift() {
		return math.MaxInt64
	}
	return maxL1Bytes / l1EntrySize << g.l1Shift()
}
