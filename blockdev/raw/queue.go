package raw

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

var _ driver.Queuer = (*image)(nil)

// NewQueue is the queue of the file where the image is all of it. A window would have to move each
// request, and a probed image looks at what is written to its start: both do without.
func (r *image) NewQueue(ctx context.Context, depth, size int) (driver.Queue, error) {
	q, ok := r.file.(driver.Queuer)
	if w := r.window.Load(); !ok || w.offset != 0 || w.size >= 0 || r.probe != nil {
		return nil, driver.ErrNotSupported
	}
	return q.NewQueue(ctx, depth, size)
}
