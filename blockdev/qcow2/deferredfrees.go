package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev/internal/format"
)

// maxDeferredFrees is how many separate ranges may wait to be free for good before the file is
// flushed for them.
const maxDeferredFrees = 1024

// deferFree notes a cluster without references.
func (q *image) deferFree(ctx context.Context, off int64, why discardType) {
	q.deferred.Add(off, q.cluster, q.settings.punch[why])
	if q.deferred.Len() >= maxDeferredFrees {
		_ = q.barrier(ctx) // tried again when one of them is wanted
	}
}

// settleFrees makes what was given back before mark free for good: the file was flushed since.
func (q *image) settleFrees(ctx context.Context, mark uint64) {
	q.deferred.Settle(mark, func(s format.Span) {
		if !q.Pins.Cover(s.Off, s.Len) {
			_ = q.file.Discard(ctx, s.Off, s.Len, 0) // a hole saves space, nothing depends on it
		}
	})
}

// barrier makes everything that was given back free for good.
func (q *image) barrier(ctx context.Context) error {
	mark := q.deferred.Mark()
	if mark == 0 {
		return nil
	}
	if err := q.l2.Flush(ctx); err != nil {
		return err
	}
	q.settleFrees(ctx, mark)
	return nil
}
