package qcow2

import (
	"context"
	"encoding/binary"
	"syscall"

	"github.com/blksh/blksh/blockdev"
)

// Dirty bitmaps are not kept up to date by this package: the first write clears the bit that says they are valid. Their directory
// is read to show and to count them.
const (
	bitmapFixed     = 24 // bytes of the fixed part of a directory entry
	bitmapInUse     = 1
	bitmapAuto      = 2
	maxBitmapTable  = 0x8000000
	bitmapTableBad  = 0xff000000000001fe // reserved bits of an entry of a bitmap's table
	bitmapTableMask = offsetMask
)

// bitmap is an entry of the bitmap directory.
type bitmap struct {
	name        string
	tableOff    int64
	tableSize   int64 // entries
	flags       uint32
	granularity uint
}

// staleBitmapsWarning is said of an image with bitmaps that are not valid any more.
func staleBitmapsWarning(version uint32) string {
	why := "a program lacking bitmap support modified this file, so all bitmaps are now considered inconsistent"
	if version < 3 {
		why = "This qcow2 v2 image contains bitmaps, but they may have been modified by a program without persistent bitmap support; " +
			"so now they must all be considered inconsistent"
	}
	return "warning: " + why + "\nSome clusters may be leaked, run 'qemu-img check -r' on the image file to fix."
}

// eachBitmap walks the directory. It ends with EINVAL where the directory does not hold together.
func (q *image) eachBitmap(ctx context.Context, do func(bitmap) error) error {
	x := q.hdr.bitmaps
	if x == nil || q.hdr.autoclear&autoBitmaps == 0 {
		return nil
	}
	be := binary.BigEndian
	fixed := make([]byte, bitmapFixed)
	off, end := int64(x.dirOff), int64(x.dirOff+x.dirSize)
	for range x.count {
		if off+bitmapFixed > end {
			return syscall.EINVAL
		}
		if err := readAt(ctx, q.file, fixed, off); err != nil {
			return err
		}
		b := bitmap{
			tableOff: int64(be.Uint64(fixed)), tableSize: int64(be.Uint32(fixed[8:])), flags: be.Uint32(fixed[12:]),
			granularity: uint(fixed[17]),
		}
		nameLen, extra := int64(be.Uint16(fixed[18:])), int64(be.Uint32(fixed[20:]))
		name := make([]byte, nameLen)
		if b.tableOff < 0 || q.within(b.tableOff) != 0 || b.tableSize > maxBitmapTable || b.granularity > 31 ||
			off+bitmapFixed+extra+nameLen > end {
			return syscall.EINVAL
		}
		if err := readAt(ctx, q.file, name, off+bitmapFixed+extra); err != nil {
			return err
		}
		b.name = string(name)
		if err := do(b); err != nil {
			return err
		}
		off += (bitmapFixed + extra + nameLen + 7) &^ 7
	}
	return nil
}

// bitmapDetails shows the bitmaps as QEMU does; nil if there are none. One that may be written to is in use.
func (q *image) bitmapDetails(ctx context.Context) []blockdev.Detail {
	var list []blockdev.Detail
	_ = q.eachBitmap(ctx, func(b bitmap) error { // what cannot be read is not shown
		var flags []blockdev.Detail
		if b.flags&bitmapInUse != 0 || !q.readOnly {
			flags = append(flags, blockdev.Detail{Value: "in-use"})
		}
		if b.flags&bitmapAuto != 0 {
			flags = append(flags, blockdev.Detail{Value: "auto"})
		}
		list = append(list, blockdev.Detail{Sub: []blockdev.Detail{
			{Key: "flags", Sub: flags}, {Key: "name", Value: b.name}, {Key: "granularity", Value: int64(1) << b.granularity},
		}})
		return nil
	})
	return list
}

// bitmaps counts the directory, the tables and the data of all bitmaps.
func (c *checker) bitmaps(ctx context.Context) error {
	q := c.q
	if q.hdr.bitmaps == nil || q.hdr.autoclear&autoBitmaps == 0 {
		return nil
	}
	c.count(int64(q.hdr.bitmaps.dirOff), int64(q.hdr.bitmaps.dirSize))
	err := q.eachBitmap(ctx, func(b bitmap) error {
		c.count(b.tableOff, b.tableSize*8)
		return c.eachWord(ctx, b.tableOff, b.tableSize, func(w uint64, err error) error {
			at := int64(w & bitmapTableMask)
			switch {
			case err != nil:
				return err
			case w&bitmapTableBad != 0, q.within(at) != 0, at != 0 && w&1 != 0:
				c.res.Corruptions++
			case at != 0:
				c.count(at, q.cluster)
			}
			return nil
		})
	})
	if err != nil {
		c.res.Corruptions++
	}
	return err
}
