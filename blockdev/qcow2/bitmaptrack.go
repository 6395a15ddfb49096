package qcow2

import (
	"context"
	"fmt"
	"slices"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// maxTrackedBytes bounds the bits of all bitmaps that are in memory and their tables, of which
// these may take maxTrackedTables, in bytes. An image can claim many bitmaps of one large table.
const (
	maxTrackedBytes  = 512 << 20
	maxTrackedTables = maxTrackedBytes / 2
)

// trackedEntryBytes is the memory for an entry of a table: its word, and the slice of its bits.
const trackedEntryBytes = 8 + 24

// trackedBitmap is a bitmap that is kept true while the guest's data changes. In the file it is
// marked as in use from before the first change until it is stored, so that a program that is
// killed leaves no bitmap that lies. Its bits are read part by part, a cluster of them at a time,
// as they are needed.
type trackedBitmap struct {
	*bitmap
	size  int64    // of the image, in bytes
	table []uint64 // where the bits are that are not in memory
	parts [][]byte // the clusters of bits that are in memory, nil for the others
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
	list, err := q.directory(ctx)
	list = slices.DeleteFunc(list,
		func(b *bitmap) bool { return !b.valid() || !all && b.flags&bitmapAuto == 0 })
	switch {
	case err != nil && broken(err):
		q.Notify(driver.BitmapsRetired{Err: err})
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

// takeBitmaps marks all valid bitmaps as in use as soon as the image is open for writing, as QEMU
// does. Otherwise that waits for the first change, so that an image that is only read stays as it
// is.
func (q *image) takeBitmaps(ctx context.Context) error {
	if !q.hasBitmaps() {
		return nil
	}
	if err := q.Lock(ctx); err != nil {
		return err
	}
	defer q.Unlock()
	if err := q.beginChanges(ctx); err != nil {
		return err
	}
	_, err := q.trackBitmaps(ctx, true)
	return err
}

// track reads the table of a bitmap that is marked as in use.
func (q *image) track(ctx context.Context, b *bitmap) {
	t := &trackedBitmap{bitmap: b, size: q.size.Load()}
	var err error
	need := b.tableSize * trackedEntryBytes
	if q.trackedBytes+need > maxTrackedTables {
		err = syscall.ENOMEM
	} else if t.table, err = q.bitmapTable(ctx, b); err == nil && !q.fits(b) {
		err = fmt.Errorf("its table does not fit the image: %w", syscall.EINVAL)
	}
	if err != nil {
		q.lose(t)
		return
	}
	t.parts = make([][]byte, len(t.table))
	q.trackedBytes += need
	q.tracked = append(q.tracked, t)
}

// bitmapTable reads the table of a bitmap, and refuses entries that cannot be.
func (q *image) bitmapTable(ctx context.Context, b *bitmap) ([]uint64, error) {
	table, err := q.readTable(ctx, b.tableOff, b.tableSize)
	if err != nil {
		return nil, err
	}
	for _, e := range table {
		if q.badBitmapEntry(e) {
			return nil, fmt.Errorf("its table has the entry %#x: %w", e, syscall.EINVAL)
		}
	}
	return table, nil
}

// judgeBitmaps fails where QEMU would not open an image for what its bitmaps are like, in its
// words. It looks at all tables as QEMU does.
func (q *image) judgeBitmaps(ctx context.Context) error {
	list, err := q.directory(ctx)
	if err != nil {
		return err
	}
	for _, b := range list {
		if err := format.Interrupted(ctx); err != nil {
			return err
		}
		if !b.valid() {
			continue
		}
		if _, err := q.bitmapTable(ctx, b); err != nil {
			return refuseWith(err, "Could not read bitmap_table table from image for bitmap '"+
				b.name+"'")
		}
		if !q.fits(b) {
			return refuseWith(syscall.EINVAL, "Could not read bitmap '"+b.name+"' from image")
		}
	}
	return nil
}

// badBitmapEntry says whether no entry of a bitmap's table may be like that.
func (q *image) badBitmapEntry(e uint64) bool {
	at := int64(e & bitmapTableMask)
	return e&bitmapTableBad != 0 || q.within(at) != 0 || at != 0 && e&bitmapTableOnes != 0
}

// lose tells of a bitmap that cannot be kept true. It stays marked as in use.
func (q *image) lose(t *trackedBitmap) { q.Notify(driver.BitmapsRetired{Names: []string{t.name}}) }

// recordChange sets the bits for n guest bytes from off in all tracked bitmaps.
func (q *image) recordChange(ctx context.Context, off, n int64) {
	q.keepTrue(func(t *trackedBitmap) error {
		if t.flags&bitmapAuto == 0 {
			return nil
		}
		return q.setBits(ctx, t, off, min(n, t.size-off))
	})
}

// keepTrue changes all tracked bitmaps, and no longer tracks those for which that fails.
func (q *image) keepTrue(change func(*trackedBitmap) error) {
	q.tracked = slices.DeleteFunc(q.tracked, func(t *trackedBitmap) bool {
		err := change(t)
		if err != nil {
			q.lose(t)
		}
		return err != nil
	})
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
	if err := q.readPart(ctx, t, i, p); err != nil {
		return nil, err
	}
	t.parts[i] = p
	return p, nil
}

// readPart fills p with the i-th cluster of bits, which is not in memory.
func (q *image) readPart(ctx context.Context, t *trackedBitmap, i int64, p []byte) error {
	if at := int64(t.table[i] & bitmapTableMask); at != 0 {
		return readAt(ctx, q.file, p, at)
	}
	clear(p)
	if per := q.partBits(); t.table[i]&bitmapTableOnes != 0 {
		setBitRange(p, 0, min(per, divUp(t.size, 1<<t.granularity)-i*per))
	}
	return nil
}

// resizeBitmaps adapts the tracked bitmaps to a new length of the image. What is added is not set.
func (q *image) resizeBitmaps(ctx context.Context, size int64) {
	q.keepTrue(func(t *trackedBitmap) error { return q.resizeBitmap(ctx, t, size) })
}

func (q *image) resizeBitmap(ctx context.Context, t *trackedBitmap, size int64) error {
	count := divUp(size, 1<<t.granularity)
	n := q.clustersIn(divUp(count, bitmapBitsPerByte))
	switch {
	case n == 0: // no file can say so
		return syscall.EINVAL
	case n > maxBitmapTable || n<<q.clusterBits > maxBitmapBytes:
		return syscall.EFBIG
	}
	old := int64(len(t.table))
	t.table = append(t.table[:min(n, old)], make([]uint64, max(0, n-old))...)
	t.parts = append(t.parts[:min(n, old)], make([][]byte, max(0, n-old))...)
	shrunk := size < t.size
	t.size = size
	per := q.partBits()
	last := n - 1
	// bits behind the end would come back
	if room := count - last*per; shrunk && room < per {
		p, err := q.bitmapPart(ctx, t, last)
		if err != nil {
			return err
		}
		p[room/8] &= 1<<(room%8) - 1
		clear(p[room/8+1:])
	}
	return nil
}
