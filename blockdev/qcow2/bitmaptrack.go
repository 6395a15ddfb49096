package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// maxTrackedBytes bounds the bits of all bitmaps that are in memory, in bytes.
const maxTrackedBytes = 512 << 20

// trackedBitmap is a bitmap that is kept true while the guest's data changes. In the file it is
// marked as in use from before the first change until it is stored, so that a program that is
// killed leaves no bitmap that lies. Its bits are read part by part, a cluster of them at a time,
// as they are needed.
type trackedBitmap struct {
	*bitmap
	size  int64    // of the image, in bytes
	table []uint64 // as it will be in the file
	parts [][]byte // the clusters of bits that are in memory, nil for the others
	freed []int64  // clusters that the table in the file refers to and table does not
}

// partBits is the number of bits in a cluster of them.
func (q *image) partBits() int64 { return q.cluster * bitmapBitsPerByte }

// trackBitmaps begins to track the valid bitmaps that a change concerns: those that record all
// changes, and with all the others too. It marks them as in use in the file. What cannot be tracked
// is told, and stays in use or, if the directory does not hold together, is hidden. keep are the
// autoclear bits that stay.
func (q *image) trackBitmaps(ctx context.Context, all bool) (keep uint64, err error) {
	if !q.hasBitmaps() {
		return 0, nil
	}
	var list []*bitmap
	err = q.eachBitmap(ctx, func(b *bitmap) error {
		if b.valid() && (all || b.flags&bitmapAuto != 0) {
			list = append(list, b)
		}
		return nil
	})
	switch {
	case err != nil && broken(err):
		q.notify(driver.BitmapsRetired{Err: err})
		return 0, nil
	case err != nil || len(list) == 0:
		return autoBitmaps, err
	}
	for _, b := range list {
		if err := q.markInUse(ctx, b); err != nil {
			return 0, err
		}
	}
	if err := q.file.Flush(ctx); err != nil {
		return 0, err
	}
	for _, b := range list {
		q.track(ctx, b)
	}
	return autoBitmaps, nil
}

// track reads the table of a bitmap that is marked as in use.
func (q *image) track(ctx context.Context, b *bitmap) {
	t := &trackedBitmap{bitmap: b, size: q.size.Load()}
	var err error
	if !q.fits(b) {
		err = fmt.Errorf("its table does not fit the image: %w", syscall.EINVAL)
	} else if t.table, err = q.readTable(ctx, b.tableOff, b.tableSize); err == nil {
		for _, e := range t.table {
			if q.badBitmapEntry(e) {
				err = fmt.Errorf("its table has the entry %#x: %w", e, syscall.EINVAL)
			}
		}
	}
	if err != nil {
		q.lose(t)
		return
	}
	t.parts = make([][]byte, len(t.table))
	q.tracked = append(q.tracked, t)
}

// badBitmapEntry says whether no entry of a bitmap's table may be like that.
func (q *image) badBitmapEntry(e uint64) bool {
	at := int64(e & bitmapTableMask)
	return e&bitmapTableBad != 0 || q.within(at) != 0 || at != 0 && e&bitmapTableOnes != 0
}

// lose tells of a bitmap that cannot be kept true. It stays marked as in use.
func (q *image) lose(t *trackedBitmap) { q.notify(driver.BitmapsRetired{Names: []string{t.name}}) }

// recordChange sets the bits for n guest bytes from off in all tracked bitmaps.
func (q *image) recordChange(ctx context.Context, off, n int64) {
	kept := q.tracked[:0]
	for _, t := range q.tracked {
		if t.flags&bitmapAuto != 0 {
			if err := q.setBits(ctx, t, off, min(n, t.size-off)); err != nil {
				q.lose(t)
				continue
			}
		}
		kept = append(kept, t)
	}
	q.tracked = kept
}

// setBits sets the bits for n guest bytes from off.
func (q *image) setBits(ctx context.Context, t *trackedBitmap, off, n int64) error {
	if n <= 0 {
		return nil
	}
	per := q.partBits()
	for bit, last := off>>t.granularity, (off+n-1)>>t.granularity; bit <= last; {
		i := bit / per
		end := min(last+1, (i+1)*per)
		if t.parts[i] != nil || t.table[i]&bitmapTableOnes == 0 {
			p, err := q.bitmapPart(ctx, t, i)
			if err != nil {
				return err
			}
			setBitRange(p, bit-i*per, end-i*per)
		}
		bit = end
	}
	return nil
}

// setBitRange sets the bits from up to, not with, to. The lowest bit of a byte is the first.
func setBitRange(p []byte, from, to int64) {
	for ; from < to && from%8 != 0; from++ {
		p[from/8] |= 1 << (from % 8)
	}
	for ; from+8 <= to; from += 8 {
		p[from/8] = 0xff
	}
	for ; from < to; from++ {
		p[from/8] |= 1 << (from % 8)
	}
}

// bitmapPart is the i-th cluster of bits, in memory.
func (q *image) bitmapPart(ctx context.Context, t *trackedBitmap, i int64) ([]byte, error) {
	if t.parts[i] != nil {
		return t.parts[i], nil
	}
	if q.trackedBytes += q.cluster; q.trackedBytes > maxTrackedBytes {
		return nil, syscall.ENOMEM
	}
	p := make([]byte, q.cluster)
	switch at := int64(t.table[i] & bitmapTableMask); {
	case at != 0:
		if err := readAt(ctx, q.file, p, at); err != nil {
			return nil, err
		}
	case t.table[i]&bitmapTableOnes != 0:
		setBitRange(p, 0, q.partBits())
	}
	t.parts[i] = p
	return p, nil
}

// resizeBitmaps adapts the tracked bitmaps to a new length of the image. What is added is not set.
func (q *image) resizeBitmaps(ctx context.Context, size int64) {
	kept := q.tracked[:0]
	for _, t := range q.tracked {
		if err := q.resizeBitmap(ctx, t, size); err != nil {
			q.lose(t)
			continue
		}
		kept = append(kept, t)
	}
	q.tracked = kept
}

func (q *image) resizeBitmap(ctx context.Context, t *trackedBitmap, size int64) error {
	count := divUp(size, 1<<t.granularity)
	n := q.clustersIn(divUp(count, bitmapBitsPerByte))
	if n > maxBitmapTable || n<<q.clusterBits > maxBitmapBytes {
		return syscall.EFBIG
	}
	old := int64(len(t.table))
	for _, e := range t.table[min(n, old):] {
		if at := int64(e & bitmapTableMask); at != 0 {
			t.freed = append(t.freed, at)
		}
	}
	t.table = append(t.table[:min(n, old)], make([]uint64, max(0, n-old))...)
	t.parts = append(t.parts[:min(n, old)], make([][]byte, max(0, n-old))...)
	shrunk := size < t.size
	t.size = size
	per := q.partBits()
	last := n - 1
	// bits behind the end would come back
	if room := count - last*per; shrunk && n > 0 && room < per {
		p, err := q.bitmapPart(ctx, t, last)
		if err != nil {
			return err
		}
		p[room/8] &= 1<<(room%8) - 1
		clear(p[room/8+1:])
	}
	return nil
}

// storeBitmaps writes the tracked bitmaps and only then calls them valid. They are not tracked any
// more afterwards; those that could not be stored stay in use.
func (q *image) storeBitmaps(ctx context.Context) error {
	list := q.tracked
	q.tracked, q.trackedBytes = nil, 0
	q.forgetView()
	if !q.hasBitmaps() { // a repair removed them
		return nil
	}
	var failed error
	for _, t := range list {
		if t.size != q.size.Load() { // a truncate failed on its way
			q.lose(t)
			continue
		}
		if err := q.storeBitmap(ctx, t); err != nil && failed == nil {
			failed = refuseWith(err, "Failed to store the bitmap '"+t.name+"'")
		}
	}
	return failed
}

// storeBitmap writes bits, table and entry, each behind a flush of what it refers to. Nobody
// believes in any of it before the mark is taken off, in the end; a crash may leak clusters.
func (q *image) storeBitmap(ctx context.Context, t *trackedBitmap) error {
	for i, p := range t.parts {
		if p != nil {
			if err := q.storePart(ctx, t, i, p); err != nil {
				return err
			}
		}
	}
	if err := q.refs.Flush(ctx); err != nil {
		return err
	}
	oldOff, oldSize := t.tableOff, t.tableSize
	moves := int64(len(t.table)) != oldSize
	if moves {
		if err := q.moveBitmapTable(ctx, t); err != nil {
			return err
		}
	} else if err := q.writeBitmapTable(ctx, t, t.tableOff); err != nil {
		return err
	}
	if err := q.file.Flush(ctx); err != nil {
		return err
	}
	flags := t.flags &^ bitmapInUse
	if err := q.writeSync(ctx, binary.BigEndian.AppendUint32(nil, flags),
		t.at+bitmapFlagsAt); err != nil {
		return err
	}
	for _, at := range t.freed {
		q.free(ctx, at, q.cluster, discardOther)
	}
	if moves {
		q.free(ctx, oldOff, oldSize*8, discardOther)
	}
	return nil
}

// storePart writes a cluster of bits: where it was, or to a new place, or nowhere if none is set.
func (q *image) storePart(ctx context.Context, t *trackedBitmap, i int, p []byte) error {
	at := int64(t.table[i] & bitmapTableMask)
	if driver.AllZero(p) {
		if at != 0 {
			t.freed = append(t.freed, at)
		}
		t.table[i] = 0
		return nil
	}
	if at == 0 {
		var err error
		if at, err = q.allocate(ctx, q.cluster); err != nil {
			return err
		}
	}
	if err := q.guardMetadata(ctx, 0, at, q.cluster); err != nil {
		return err
	}
	t.table[i] = uint64(at)
	return q.writeFile(ctx, p, at)
}

func (q *image) writeBitmapTable(ctx context.Context, t *trackedBitmap, at int64) error {
	if err := q.guardMetadata(ctx, 0, at, int64(len(t.table))*8); err != nil {
		return err
	}
	return q.writeWords(ctx, t.table, at)
}

// moveBitmapTable gives a bitmap a table of another length. Its offset and its length may lie in
// different sectors: whichever of the two a crash leaves, the entry must refer to no more than
// there is.
func (q *image) moveBitmapTable(ctx context.Context, t *trackedBitmap) error {
	n := int64(len(t.table))
	at, err := q.allocate(ctx, max(n, 1)*8)
	if err == nil {
		err = q.refs.Flush(ctx)
	}
	if err == nil {
		err = q.writeBitmapTable(ctx, t, at)
	}
	if err == nil {
		err = q.file.Flush(ctx)
	}
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error {
			return q.writeSync(ctx, binary.BigEndian.AppendUint64(nil, uint64(at)),
				t.at)
		},
		func() error {
			return q.writeSync(ctx, binary.BigEndian.AppendUint32(nil, uint32(n)),
				t.at+8)
		},
	}
	if n < t.tableSize {
		steps[0], steps[1] = steps[1], steps[0]
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	t.tableOff, t.tableSize = at, n
	return nil
}
