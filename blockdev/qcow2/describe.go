package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev"
)

// Describe tells what QEMU's info shows of an image, in its order.
func (q *image) Describe() []blockdev.Detail {
	ctx := context.Background()
	if q.LockAnyway(ctx) != nil {
		return nil
	}
	defer q.Unlock()
	h := q.hdr
	if q.version == 2 {
		return []blockdev.Detail{
			{Key: "compat", Value: "0.10"},
			{Key: "compression type", Value: h.compression.String()},
			{Key: "refcount bits", Value: int64(1) << q.refOrder},
		}
	}
	d := []blockdev.Detail{
		{Key: "compat", Value: "1.1"},
		{Key: "compression type", Value: h.compression.String()},
		{Key: "lazy refcounts", Value: h.compatible&compatLazyRefcounts != 0},
	}
	if list := q.bitmapDetails(ctx); list != nil {
		d = append(d, blockdev.Detail{Key: "bitmaps", Sub: list})
	}
	return append(d,
		blockdev.Detail{Key: "refcount bits", Value: int64(1) << q.refOrder},
		blockdev.Detail{Key: "corrupt", Value: h.incompatible&featCorrupt != 0},
		blockdev.Detail{Key: "extended l2", Value: q.extended},
	)
}
