package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev"
)

// Status tells where guest bytes are. What is not in this image is looked up in the backing file, one layer deeper.
func (q *image) Status(ctx context.Context, off, n int64) (blockdev.Extent, error) {
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
