package qcow2

import (
	"context"
	"encoding/binary"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// BackingFile is what the image records.
func (q *image) BackingFile() driver.Link {
	return driver.Link{Name: q.hdr.backing, Format: q.hdr.backingFormat}
}

// SetBackingFile changes the record, and nothing else: the backing file that is open stays until
// the image is opened anew.
func (q *image) SetBackingFile(ctx context.Context, l driver.Link) error {
	if len(l.Name) > maxBackingName || len(l.Format) >= maxFormatName {
		return invalid("Could not assign backing file '%s' with format '%s': %s",
			l.Name, l.Format, errnoText(syscall.EINVAL))
	}
	if err := q.Lock(ctx); err != nil {
		return err
	}
	defer q.Unlock()
	return q.replaceHeader(ctx, func(h *header) { h.backing, h.backingFormat = l.Name, l.Format })
}

// Empty gives back all that the image itself holds, so that its backing file shows.
func (q *image) Empty(ctx context.Context) error {
	if err := q.Lock(ctx); err != nil {
		return err
	}
	defer q.Unlock()
	size := q.size.Load()
	if err := q.WaitIdle(ctx, 0, size); err != nil {
		return err
	}
	if err := q.beginChanges(ctx); err != nil {
		return err
	}
	return q.discardRange(ctx, 0, size, discardAlways, true)
}

// headSector is how much of a header reaches the disk whole or not at all, in bytes.
const headSector = 512

// replaceHeader changes the header in a way that no crash leaves half done: the name of the backing
// file is written first, where nothing is yet, and then one sector that refers to it. For that the
// header gives up the names of features, which are for people. One that is too long all the same is
// written as it is.
func (q *image) replaceHeader(ctx context.Context, change func(*header)) error {
	next := *q.hdr
	change(&next)
	next.bare, next.BackingOff = true, 0
	fields := next.fields()
	if len(fields) > headSector || q.cluster == headSector {
		return q.changeHeaderSync(ctx, change)
	}
	sector := append(fields, make([]byte, headSector-len(fields))...)
	if next.backing != "" {
		at, err := q.placeName(int64(len(next.backing)))
		if err != nil {
			return err
		}
		if err := q.writeSync(ctx, []byte(next.backing), at); err != nil {
			return err
		}
		next.setName(sector, at)
	}
	next.end = headSector
	err := q.writeSync(ctx, sector, 0)
	if err == nil || unsettled(err) { // then the new header is seen
		*q.hdr = next
	}
	return err
}

// placeName finds room in the first cluster for a name of n bytes, beside what the header refers
// to.
func (q *image) placeName(n int64) (int64, error) {
	h := q.hdr
	old := format.Span{Off: int64(h.BackingOff), Len: int64(h.BackingLen)}
	if h.backing == "" {
		old = format.Span{}
	}
	for _, end := range []int64{h.end, max(h.end, old.End())} {
		at := driver.WholeSectors(end)
		if at+n <= q.cluster && !old.Overlaps(at, n) {
			return at, nil
		}
	}
	return 0, refuse(syscall.ENOSPC,
		"The first cluster has no room for the name of the backing file")
}

// setName has the header in b refer to the name of the backing file at at.
func (h *header) setName(b []byte, at int64) {
	h.BackingOff, h.BackingLen = uint64(at), uint32(len(h.backing))
	binary.BigEndian.PutUint64(b[8:], h.BackingOff)
	binary.BigEndian.PutUint32(b[16:], h.BackingLen)
}
