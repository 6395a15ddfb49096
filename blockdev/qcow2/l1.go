package qcow2

import (
	"context"
	"encoding/binary"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// writeL1Entry writes one entry of the active L1 table, with its neighbours if the file takes only
// larger blocks.
func (q *image) writeL1Entry(ctx context.Context, i int64) error {
	n := max(l1EntrySize, min(q.file.Info().RequestAlign, q.cluster)) / l1EntrySize
	first := i / n * n
	buf := make([]byte, n*l1EntrySize)
	for k := range min(n, int64(len(q.l1))-first) {
		binary.BigEndian.PutUint64(buf[8*k:], q.l1[first+k])
	}
	at := int64(q.hdr.L1Off) + first*l1EntrySize
	if err := q.guardMetadata(ctx, overL1, at, int64(len(buf))); err != nil {
		return err
	}
	if err := q.Fire(ctx, driver.EvL1Update); err != nil {
		return err
	}
	return q.writeSync(ctx, buf, at)
}

// growL1 moves the L1 table to a larger place with at least min entries: exactly as many, or with
// room for more.
func (q *image) growL1(ctx context.Context, least int64, exactly bool) (err error) {
	old := int64(len(q.l1))
	if least <= old {
		return nil
	}
	if least > math.MaxInt32/l1EntrySize {
		return syscall.EFBIG
	}
	n := least
	if !exactly {
		for n = max(old, 1); n < least; {
			n = divUp(n*3, 2)
		}
	}
	if n > maxL1Bytes/l1EntrySize {
		return syscall.EFBIG
	}
	if err := q.Fire(ctx, driver.EvL1GrowAllocTable); err != nil {
		return err
	}
	at, err := q.allocate(ctx, n*l1EntrySize)
	if err != nil {
		return err
	}
	grown := make([]uint64, n)
	copy(grown, q.l1)
	if err = q.moveL1(ctx, grown, at); err != nil && !unsettled(err) {
		q.free(ctx, at, n*l1EntrySize, discardOther)
		return err
	}
	oldAt := int64(q.hdr.L1Off)
	q.l1, q.hdr.L1Off, q.hdr.L1Size = grown, uint64(at), uint32(n)
	if err == nil { // else the header may have either table, of which the new one is seen
		q.free(ctx, oldAt, old*l1EntrySize, discardOther)
	}
	return err
}

// moveL1 writes the new table and then points the header to it, in one write.
func (q *image) moveL1(ctx context.Context, table []uint64, at int64) error {
	if err := q.refs.Flush(ctx); err != nil {
		return err
	}
	n := int64(len(table)) * l1EntrySize
	if err := q.guardMetadata(ctx, 0, at, n); err != nil {
		return err
	}
	if err := q.Fire(ctx, driver.EvL1GrowWriteTable); err != nil {
		return err
	}
	if err := q.writeWordsSync(ctx, table, at); err != nil {
		return err
	}
	if err := q.Fire(ctx, driver.EvL1GrowActivateTable); err != nil {
		return err
	}
	return q.writeFields(ctx, offL1Size, uint32(len(table)), at)
}

// writeWordsSync is writeWords with the file flushed behind it.
func (q *image) writeWordsSync(ctx context.Context, words []uint64, at int64) error {
	err := q.writeWords(ctx, words, at)
	if err == nil {
		err = q.file.Flush(ctx)
	}
	return err
}

// writeTable is writeWords to where only metadata of the kinds in own may be.
func (q *image) writeTable(ctx context.Context, own overlap, words []uint64, at int64) error {
	if err := q.guardMetadata(ctx, own, at, int64(len(words))*8); err != nil {
		return err
	}
	return q.writeWords(ctx, words, at)
}

// writeWords writes a table of big-endian words in pieces.
func (q *image) writeWords(ctx context.Context, words []uint64, at int64) error {
	const piece = 64 << 10
	buf := make([]byte, 0, min(piece, 8*len(words)))
	for i, w := range words {
		buf = binary.BigEndian.AppendUint64(buf, w)
		if len(buf) == cap(buf) || i == len(words)-1 {
			if err := q.writeFile(ctx, buf, at); err != nil {
				return err
			}
			at += int64(len(buf))
			buf = buf[:0]
		}
	}
	return nil
}

// shrinkL1 drops the L2 tables of all entries from n on. The table itself stays as long as it is.
func (q *image) shrinkL1(ctx context.Context, n int64) error {
	if n >= int64(len(q.l1)) {
		return nil
	}
	if err := q.Fire(ctx, driver.EvL1ShrinkWriteTable); err != nil {
		return err
	}
	tail := q.l1[n:]
	err := q.file.Zero(ctx, int64(q.hdr.L1Off)+n*l1EntrySize, int64(len(tail))*l1EntrySize, 0)
	if err == nil {
		err = q.file.Flush(ctx)
	}
	if err == nil {
		err = q.Fire(ctx, driver.EvL1ShrinkFreeL2)
	}
	if err != nil {
		// the file may hold part of the zeroes: leak rather than free what is still in use
		clear(tail)
		return err
	}
	for i := len(tail) - 1; i >= 0; i-- {
		if at := int64(tail[i] & offsetMask); at != 0 {
			q.free(ctx, at, q.cluster, discardAlways)
		}
		tail[i] = 0
	}
	return nil
}
