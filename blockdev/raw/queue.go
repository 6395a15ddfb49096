package raw

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

var _ driver.Queuer = (*image)(nil)

// NewQueue is the queue of the file where the image is all of it. A window would have to move each
// request, and does without.
func (r *image) NewQueue(ctx context.Context, depth, size int) (driver.Queue, error) {
	q, ok := r.file.(driver.Queuer)
	if w := r.window.Load(); !ok || w.offset != 0 || w.size >= 0 {
		return nil, driver.ErrNotSupported
	}
	inner, err := q.NewQueue(ctx, depth, size)
	if err != nil || r.probe == nil {
		return inner, err
	}
	return probedQueue{inner}, nil
}

// probedQueue is the queue of a probed image. It leaves to the guard what is written to the first
// sector, so that the image sees it.
type probedQueue struct{ driver.Queue } // of the file

var _ driver.Carrier = probedQueue{}

// Carries is what the file's queue carries, elsewhere.
func (q probedQueue) Carries(op driver.Op, off int64, f driver.Flags) bool {
	return (op != driver.OpWrite || off >= driver.SectorSize) && driver.Carries(q.Queue, op, off, f)
}
