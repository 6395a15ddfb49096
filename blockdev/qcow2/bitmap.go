package qcow2

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// Dirty bitmaps say which parts of the guest's data have changed, for backups that take no more
// than that. bitmaptrack.go keeps them true; here is what the file says of them, and its check.
const (
	bitmapFixed       = 24 // bytes of the fixed part of a directory entry
	bitmapFlagsAt     = 12 // in a directory entry
	bitmapInUse       = 1
	bitmapAuto        = 2
	bitmapFlags       = bitmapInUse | bitmapAuto // all that there are
	bitmapDirty       = 1                        // the only type
	minGranularity    = 9                        // log2 of bytes
	maxGranularity    = 31
	maxBitmapName     = 1023
	maxBitmapTable    = 0x8000000 // entries
	maxBitmapBytes    = 0x20000000
	bitmapTableBad    = 0xff000000000001fe // reserved bits of an entry of a bitmap's table
	bitmapTableMask   = offsetMask
	bitmapTableOnes   = 1 // without a cluster: all bits are set
	bitmapBitsPerByte = 8
)

// bitmap is an entry of the bitmap directory.
type bitmap struct {
	at          int64 // of the entry in the file
	name        string
	tableOff    int64
	tableSize   int64 // entries
	flags       uint32
	kind        uint8
	granularity uint
	nameLen     int64
	extra       int64
}

// valid says whether the bitmap is true, or at least meant to be.
func (b *bitmap) valid() bool { return b.flags&bitmapInUse == 0 }

// next is the length of the entry in the directory.
func (b *bitmap) length() int64 { return (bitmapFixed + b.extra + b.nameLen + 7) &^ 7 }

// hasBitmaps says whether there are bitmaps that count.
func (q *image) hasBitmaps() bool {
	return q.hdr.bitmaps != nil && q.hdr.Autoclear&autoBitmaps != 0 && !q.loaded
}

// directory reads the bitmap directory. It ends with an error that broken knows where QEMU would
// not open the image, and returns what comes before that.
func (q *image) directory(ctx context.Context) (list []*bitmap, err error) {
	if !q.hasBitmaps() {
		return nil, nil
	}
	x := q.hdr.bitmaps
	if x.dirSize == 0 {
		return nil, q.brokenDirectory("the bitmap directory is empty",
			"Requested bitmap directory size is zero")
	}
	seen := map[string]bool{}
	for off, end := int64(x.dirOff), int64(x.dirOff+x.dirSize); off < end; {
		if err := format.Interrupted(ctx); err != nil {
			return list, err
		}
		if len(list) == int(x.count) {
			return list, q.brokenDirectory(
				"the bitmap directory has more entries than the header tells of",
				"More bitmaps found than specified in header extension")
		}
		b, err := q.readBitmap(ctx, off, end)
		if err != nil {
			return list, err
		}
		if seen[b.name] {
			return list, invalid("there are two bitmaps %q", b.name)
		}
		seen[b.name] = true
		list = append(list, b)
		off += b.length()
	}
	if len(list) < int(x.count) {
		err = q.brokenDirectory("the bitmap directory has fewer entries than the header tells of",
			"Less bitmaps found than specified in header extension")
	}
	return list, err
}

// broken says of an error of directory that it is about what the directory holds, and not about
// reading it.
func broken(err error) bool {
	var r *driver.Refusal
	return errors.As(err, &r)
}

// readBitmap reads the entry at off of the directory that ends at end.
func (q *image) readBitmap(ctx context.Context, off, end int64) (*bitmap, error) {
	be := binary.BigEndian
	fixed := make([]byte, bitmapFixed)
	if off+bitmapFixed > end {
		return nil, q.entryTooLong()
	}
	if err := readAt(ctx, q.file, fixed, off); err != nil {
		return nil, q.unreadDirectory(err)
	}
	b := &bitmap{
		at: off, tableOff: int64(be.Uint64(fixed)), tableSize: int64(be.Uint32(fixed[8:])),
		flags: be.Uint32(fixed[bitmapFlagsAt:]),
		kind:  fixed[16], granularity: uint(fixed[17]), nameLen: int64(be.Uint16(fixed[18:])),
		extra: int64(be.Uint32(fixed[20:])),
	}
	if b.extra != 0 {
		return nil,
			q.brokenDirectory("a bitmap has extra data", "Bitmap extra data is not supported")
	}
	if off+b.length() > end {
		return nil, q.entryTooLong()
	}
	name := make([]byte, b.nameLen)
	if err := readAt(ctx, q.file, name, off+bitmapFixed+b.extra); err != nil {
		return nil, q.unreadDirectory(err)
	}
	b.name = string(name)
	return b, q.judgeBitmap(b)
}

// brokenDirectory says what is wrong with the directory, to those who want it in QEMU's words.
func (q *image) brokenDirectory(ours, theirs string) error {
	if q.likeQEMU {
		ours = theirs
	}
	return invalid("%s", ours)
}

func (q *image) entryTooLong() error {
	return q.brokenDirectory("the entries of the bitmap directory do not fit into it",
		"Broken bitmap directory")
}

// unreadDirectory is why the directory cannot be read.
func (q *image) unreadDirectory(err error) error {
	if q.likeQEMU {
		err = refuseWith(err, "Failed to read bitmap directory")
	}
	return err
}

// judgeBitmap refuses an entry that cannot be, by the limits that QEMU has.
func (q *image) judgeBitmap(b *bitmap) error {
	what := ""
	switch {
	case b.tableOff <= 0 || q.within(b.tableOff) != 0:
		what = fmt.Sprintf("has its table at %#x", uint64(b.tableOff))
	case b.tableSize == 0 || b.tableSize > maxBitmapTable ||
		b.tableSize<<q.clusterBits > maxBitmapBytes:
		what = fmt.Sprintf("has a table of %d entries", b.tableSize)
	case b.granularity < minGranularity || b.granularity > maxGranularity:
		what = fmt.Sprintf("has a granularity of 2^%d", b.granularity)
	case b.flags&^bitmapFlags != 0:
		what = fmt.Sprintf("has reserved flags: %#x", b.flags)
	case b.nameLen == 0 && !q.likeQEMU, b.nameLen > maxBitmapName:
		what = fmt.Sprintf("has a name of %d bytes", b.nameLen)
	case b.kind != bitmapDirty:
		what = fmt.Sprintf("is of the unknown type %d", b.kind)
	case b.valid() && q.size.Load() > b.tableSize<<q.clusterBits*bitmapBitsPerByte<<b.granularity:
		what = fmt.Sprintf("has a table of %d entries, which is too short for the image",
			b.tableSize)
	default:
		return nil
	}
	return q.brokenDirectory(fmt.Sprintf("the bitmap %q %s", b.name, what),
		"Bitmap '"+b.name+"' doesn't satisfy the constraints")
}

// fits says whether the table of a valid bitmap is as long as the image asks for.
func (q *image) fits(b *bitmap) bool {
	bits := divUp(q.size.Load(), 1<<b.granularity)
	return b.tableSize == q.clustersIn(divUp(bits, bitmapBitsPerByte))
}

// bitmapDetails shows the bitmaps as QEMU does; nil if there are none. One that may be written to
// is in use.
func (q *image) bitmapDetails(ctx context.Context) []driver.Detail {
	var list []driver.Detail
	bitmaps, _ := q.directory(ctx) // what cannot be read is not shown
	for _, b := range bitmaps {
		var flags []driver.Detail
		if !b.valid() || !q.readOnly {
			flags = append(flags, driver.Detail{Value: "in-use"})
		}
		if b.flags&bitmapAuto != 0 {
			flags = append(flags, driver.Detail{Value: "auto"})
		}
		list = append(list, driver.Detail{Sub: []driver.Detail{
			{Key: "flags", Sub: flags},
			{Key: "name", Value: b.name},
			{Key: "granularity", Value: int64(1) << b.granularity},
		}})
	}
	return list
}

// markInUse says in the file that a bitmap is not to be relied on.
func (q *image) markInUse(ctx context.Context, b *bitmap) error {
	b.flags |= bitmapInUse
	return q.writeFile(ctx, binary.BigEndian.AppendUint32(nil, b.flags), b.at+bitmapFlagsAt)
}

// bitmaps counts the directory, the tables and the data of all bitmaps. QEMU does not open an image
// whose bitmaps are broken, so a repair gives them up if that is the directory, and marks one in
// use whose table is.
func (c *checker) bitmaps(ctx context.Context) error {
	q := c.q
	if !q.hasBitmaps() {
		return nil
	}
	list, err := q.directory(ctx)
	if err != nil {
		return c.brokenBitmaps(ctx, err)
	}
	c.count(int64(q.hdr.bitmaps.dirOff), int64(q.hdr.bitmaps.dirSize))
	tables := map[format.Span][]*bitmap{}
	for _, b := range list {
		t := format.Span{Off: b.tableOff, Len: b.tableSize}
		tables[t] = append(tables[t], b)
	}
	for _, t := range slices.SortedFunc(maps.Keys(tables),
		func(a, b format.Span) int { return int(a.Off>>q.clusterBits - b.Off>>q.clusterBits) }) {
		users := tables[t]
		if err := c.counting(int64(len(users)),
			func() error { return c.bitmapTable(ctx, t, users) }); err != nil {
			return err
		}
	}
	return nil
}

// brokenBitmaps deals with a directory that does not hold together. Without it nobody knows which
// clusters are in use.
func (c *checker) brokenBitmaps(ctx context.Context, cause error) error {
	q := c.q
	if !broken(cause) {
		return c.failed(cause, "ERROR: Failed to read the bitmap directory: %s", errnoText(cause))
	}
	if !c.mayFix() {
		c.wrong("ERROR broken bitmaps: %s", reason(cause))
		return cause
	}
	c.say("Removing all bitmaps: %s", reason(cause))
	if err := q.changeHeader(ctx, func(h *header) { h.clearAuto(^autoBitmaps) }); err != nil {
		return c.failed(err, "ERROR: Failed to remove the bitmaps: %s", errnoText(err))
	}
	c.res.CorruptionsFixed++
	return q.file.Flush(ctx)
}

// bitmapTable counts a table, which mostly is of one bitmap alone, and its data.
func (c *checker) bitmapTable(ctx context.Context, t format.Span, users []*bitmap) error {
	q := c.q
	for _, b := range users {
		if b.valid() && !q.fits(b) {
			if err := c.repairBitmap(ctx, b, -1,
				fmt.Sprintf("has a table of %d entries, which does not fit the image",
					b.tableSize)); err != nil {
				return err
			}
		}
	}
	c.count(t.Off, t.Len*8)
	return q.eachWord(ctx, t.Off, t.Len, func(i int64, w uint64, err error) error {
		at := int64(w & bitmapTableMask)
		switch {
		case err != nil:
			c.res.Corruptions++
			return err
		case q.badBitmapEntry(w):
			for _, b := range users {
				if err := c.repairBitmap(ctx, b, i,
					fmt.Sprintf("has a table with the entry %#x", w)); err != nil {
					return err
				}
			}
		case at != 0:
			c.count(at, q.cluster)
		}
		return nil
	})
}

// repairBitmap marks a bitmap as in use and clears the i-th entry of its table, if i is not
// negative.
func (c *checker) repairBitmap(ctx context.Context, b *bitmap, i int64, what string) error {
	q := c.q
	if !c.mayFix() {
		c.say("ERROR the bitmap %q %s", b.name, what)
		c.res.Corruptions++
		return nil
	}
	c.say("Repairing the bitmap %q, which %s: it is not valid any more", b.name, what)
	var err error
	if b.valid() {
		if err = q.markInUse(ctx, b); err == nil {
			err = q.file.Flush(ctx)
		}
	}
	if err == nil && i >= 0 {
		err = q.writeFile(ctx, make([]byte, 8), b.tableOff+8*i)
	}
	if err != nil {
		return c.failed(err, "ERROR: Failed to repair a bitmap: %s", errnoText(err))
	}
	c.res.CorruptionsFixed++
	return nil
}
