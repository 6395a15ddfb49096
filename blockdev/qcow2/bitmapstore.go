package qcow2

import (
	"context"
	"slices"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// storeBitmaps writes the tracked bitmaps and only then calls them valid. They are not tracked any
// more afterwards; those that could not be stored stay in use. As QEMU does it, all that are valid
// then move: bits and table of one after the other, and the directory behind them. Nothing in the
// file refers to any of it before one write to the header takes the new directory for the old one,
// so that a crash leaves either of the two, and may leak clusters.
func (q *image) storeBitmaps(ctx context.Context) error {
	list := q.tracked
	q.tracked, q.trackedBytes = nil, 0
	q.forgetView()
	if len(list) == 0 {
		return nil
	}
	all, err := q.directory(ctx)
	if err != nil {
		return prefix(err, "Failed to store the bitmaps")
	}
	var old, moved []*bitmap
	var failed error
	var directory []byte
	for _, b := range all {
		if t := q.toStore(ctx, b, list); t != nil {
			next, err := q.storeBitmap(ctx, t)
			if err == nil {
				old, moved, b = append(old, b), append(moved, next), next
			} else if failed == nil {
				failed = refuseWith(err, "Failed to store the bitmap '"+t.name+"'")
			}
		}
		directory = append(directory, b.marshal()...)
	}
	if len(moved) == 0 {
		return failed
	}
	if err := q.switchDirectory(ctx, directory, q.referToDirectory); err != nil {
		if !unsettled(err) {
			q.freeBitmaps(ctx, moved)
		}
		return prefix(err, "Failed to store the bitmaps")
	}
	q.freeBitmaps(ctx, old)
	return failed
}

// toStore is what is to be stored for an entry of the directory: the one of list that was tracked,
// or a valid one that did not change. It is nil for an entry that stays as it is.
func (q *image) toStore(ctx context.Context, b *bitmap, list []*trackedBitmap) *trackedBitmap {
	i := slices.IndexFunc(list, func(t *trackedBitmap) bool { return t.name == b.name })
	switch {
	case i >= 0 && list[i].size != q.size.Load(): // a truncate failed on its way
		q.lose(list[i])
	case i >= 0:
		return list[i]
	case b.valid() && q.fits(b):
		if t := q.untracked(ctx, b); t.table != nil {
			return t
		}
	}
	return nil
}

// storeBitmap writes bits and table to new places, and returns the entry that refers to them. The
// caller flushes the file.
func (q *image) storeBitmap(ctx context.Context, t *trackedBitmap) (*bitmap, error) {
	next := *t.bitmap
	next.flags &^= bitmapInUse
	next.tableSize = int64(len(t.table))
	table, err := q.storeParts(ctx, t)
	if err == nil {
		next.tableOff, err = q.allocate(ctx, next.tableSize*8)
	}
	if err == nil {
		if err = q.writeTable(ctx, 0, table, next.tableOff); err != nil {
			q.free(ctx, next.tableOff, next.tableSize*8, discardOther)
		}
	}
	if err != nil {
		q.freeParts(ctx, table)
		return nil, err
	}
	return &next, nil
}

// storeParts writes the bits, and returns the table that refers to them; also if it fails. Where
// none is set the table refers to nothing.
func (q *image) storeParts(ctx context.Context, t *trackedBitmap) ([]uint64, error) {
	table := make([]uint64, len(t.table))
	buf := make([]byte, q.cluster)
	for i, p := range t.parts {
		if p == nil && t.table[i] == 0 {
			continue
		}
		if p == nil {
			p = buf
			if err := q.readPart(ctx, t, int64(i), p); err != nil {
				return table, err
			}
		}
		if driver.AllZero(p) {
			continue
		}
		at, err := q.allocate(ctx, q.cluster)
		if err != nil {
			return table, err
		}
		table[i] = uint64(at)
		if err := q.guardMetadata(ctx, 0, at, q.cluster); err != nil {
			return table, err
		}
		if err := q.writeFile(ctx, p, at); err != nil {
			return table, err
		}
	}
	return table, nil
}

func (q *image) freeBitmaps(ctx context.Context, list []*bitmap) {
	for _, b := range list {
		q.freeBitmap(ctx, b)
	}
}

// freeBitmap gives back the table of a bitmap and what it refers to; that leaks if the table cannot
// be read or is not to be trusted, of which QEMU says nothing.
func (q *image) freeBitmap(ctx context.Context, b *bitmap) {
	table, err := q.bitmapTable(ctx, b)
	if err != nil && !q.likeQEMU {
		q.Notify(driver.ClusterUnfreed{Err: err})
	}
	q.freeParts(ctx, table)
	q.free(ctx, b.tableOff, b.tableSize*8, discardOther)
}

// freeParts gives back the clusters that a table refers to.
func (q *image) freeParts(ctx context.Context, table []uint64) {
	for _, e := range table {
		if at := int64(e & bitmapTableMask); at != 0 {
			q.free(ctx, at, q.cluster, discardOther)
		}
	}
}

// writeDirectory replaces the directory by one of other entries.
func (q *image) writeDirectory(ctx context.Context, list []*bitmap) error {
	var all []byte
	for _, b := range list {
		all = append(all, b.marshal()...)
	}
	if len(all) > maxBitmapDir {
		return refuse(syscall.EFBIG, "Not enough space in the bitmap directory")
	}
	return q.switchDirectory(ctx, all, func(ctx context.Context, at int64) error {
		return q.replaceHeader(ctx, func(h *header) {
			if h.bitmaps, h.Autoclear = nil, h.Autoclear&^autoBitmaps; len(list) > 0 {
				h.Autoclear |= autoBitmaps
				h.bitmaps = &bitmapsExt{
					count: uint32(len(list)), dirSize: uint64(len(all)), dirOff: uint64(at),
				}
			}
		})
	})
}

// switchDirectory writes a directory beside the old one, has refer switch to its place in one step
// and gives the old one back.
func (q *image) switchDirectory(
	ctx context.Context, all []byte, refer func(ctx context.Context, at int64) error,
) error {
	old := q.hdr.bitmaps
	at, err := q.placeDirectory(ctx, all)
	if err != nil {
		return err
	}
	if err := refer(ctx, at); err != nil {
		if at != 0 && !unsettled(err) {
			q.free(ctx, at, int64(len(all)), discardOther)
		}
		return err
	}
	if old != nil {
		q.free(ctx, int64(old.dirOff), int64(old.dirSize), discardOther)
	}
	return nil
}

// placeDirectory writes a directory where nothing is, and returns its place, 0 of an empty one.
func (q *image) placeDirectory(ctx context.Context, all []byte) (int64, error) {
	if len(all) == 0 {
		return 0, nil
	}
	at, err := q.allocate(ctx, int64(len(all)))
	if err != nil {
		return 0, err
	}
	if err = q.refs.Flush(ctx); err == nil {
		err = q.guardMetadata(ctx, 0, at, int64(len(all)))
	}
	if err == nil {
		err = q.writeSync(ctx, all, at)
	}
	if err != nil {
		q.free(ctx, at, int64(len(all)), discardOther)
		return 0, err
	}
	return at, nil
}

// referToDirectory changes the offset of the directory in the header, and nothing else: those 8
// bytes, aligned to 8, reach the disk whole or not at all.
func (q *image) referToDirectory(ctx context.Context, at int64) error {
	fields := make([]byte, headerLenFull)
	if err := readAt(ctx, q.file, fields, 0); err != nil {
		return err
	}
	there, err := parseHeader(fields)
	if err == nil {
		err = (&firstCluster{ctx, q.file, there}).extensions(nil)
	}
	switch {
	case err != nil:
		return err
	case there.bitmaps == nil || there.bitmaps.dirOff != q.hdr.bitmaps.dirOff:
		return invalid("The header was changed by another program")
	}
	err = q.writeFields(ctx, there.bitmaps.at+bitmapsExtDirOff, at)
	if err == nil || unsettled(err) { // then the new directory is seen
		next := *q.hdr.bitmaps
		next.dirOff = uint64(at)
		q.hdr.bitmaps = &next
	}
	return err
}
