package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev"
)

// Status tells where guest bytes are. What is not in this image is looked up in the backing file, one layer deeper. Clusters whose
// places are in a hole of the file from end to end, as preallocation makes them, read as zeroes.
func (q *image) Status(ctx context.Context, off, n int64) (blockdev.Extent, error) {
	e, err := q.mapped(ctx, off, n)
	if err != nil || !e.Data || e.Zero || e.HostOff < 0 || e.Depth > 0 {
		return e, err
	}
	below, err := q.file.Status(ctx, e.HostOff, e.Len)
	if err != nil || below.Len <= 0 || below.Len >= e.Len {
		e.Zero = err == nil && below.Len > 0 && below.Zero // else it may be anything
		return e, nil
	}
	end := off + below.Len
	if whole := q.startOf(end); below.Zero && whole > off {
		e.Zero, e.Len = true, whole-off
		return e, nil
	}
	e.Len = min(q.roundUp(end)-off, e.Len)
	return e, nil
}

// mapped is Status by the word of the tables.
func (q *image) mapped(ctx context.Context, off, n int64) (blockdev.Extent, error) {
	if err := q.lock(ctx); err != nil {
		return blockdev.Extent{}, err
	}
	m, err := q.lookup(ctx, off, n)
	q.mu.Unlock()
	if err != nil {
		return blockdev.Extent{}, err
	}
	e := blockdev.Extent{Off: off, Len: m.n, HostOff: -1, Node: "qcow2"}
	switch {
	case m.kind.absent():
		if q.backing == nil || off >= q.size.Load() {
			e.Zero = true
			return e, nil
		}
		return q.backingStatus(ctx, off, m.n)
	case m.kind == compressed:
		e.Allocated, e.Data, e.Compressed = true, true, true
	default:
		e.Allocated, e.Data, e.Zero = true, m.kind == normal, m.kind.zero()
		if m.kind != zeroPlain {
			e.HostOff = m.host
		}
	}
	return e, nil
}

func (q *image) backingStatus(ctx context.Context, off, n int64) (blockdev.Extent, error) {
	e, err := q.backing.Status(ctx, off, n)
	e.Allocated = false
	e.Depth++
	return e, err
}
