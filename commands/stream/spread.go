package stream

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/wait"
)

// Spread makes requests for the pieces of a range on a few goroutines. Unlike those of a batch
// queue they may carry flags and be of any kind, and each of them is so long that handing it over
// costs nothing.
type Spread struct {
	Off int64
	Len int64 // -1: until Make says that there is no more
	// Piece is the most bytes of one request, Width the number of goroutines.
	Piece int64
	Width int
	// Make gets the data of a piece ready in the memory of a worker. It is called for one piece
	// after the other, in order, and returns how much of it there is; less than n, or io.EOF, ends
	// the range. It may be nil.
	Make func(worker int, off, n int64) (int64, error)
	// Do makes the request. It is called on several goroutines at once, with the number of the
	// worker, below Width.
	Do func(ctx context.Context, worker int, off, n int64) error
	// Flush makes what was written durable at the end, also if a request failed.
	Flush bool
	// Progress is told of bytes that are done. It may be nil.
	Progress func(n int64)
}

// spreading is a Spread on its way.
type spreading struct {
	Spread
	end int64

	mu     sync.Mutex
	next   int64
	failed int64 // the lowest offset that failed
	err    error // of the request there
}

// Run makes all requests. After a failure none is begun. It returns how many bytes from Off on are
// done, and the error of the request behind them.
func (s Spread) Run(ctx context.Context, d *blockdev.Device) (done int64, err error) {
	r := &spreading{Spread: s, next: s.Off, end: s.Off + s.Len, failed: math.MaxInt64}
	if s.Len < 0 {
		r.end = math.MaxInt64
		s.Len = 0
	}
	if err := inside(d, "write", s.Off, s.Len); err != nil {
		return 0, err
	}
	// the error is in r
	_ = wait.Fan(ctx, max(1, s.Width), func(ctx context.Context, worker int) error {
		for {
			off, n := r.take(ctx, worker)
			if n == 0 {
				return nil
			}
			r.finish(off, n, s.Do(ctx, worker, off, n))
		}
	})
	if s.Flush {
		if err := d.Flush(context.WithoutCancel(ctx)); r.err == nil {
			r.err = err
		}
	}
	return min(r.next, r.failed) - s.Off, r.err
}

// take is the next piece; its length is 0 when there is none to be done.
func (r *spreading) take(ctx context.Context, worker int) (off, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	off = r.next
	n = boundary(off, r.Piece, r.end) - off
	if n == 0 || r.err != nil {
		return off, 0
	}
	if ctx.Err() != nil {
		r.fail(off, context.Cause(ctx))
		return off, 0
	}
	if r.Make != nil {
		made, err := r.Make(worker, off, n)
		if made < n || errors.Is(err, io.EOF) {
			r.end = off + made
		}
		if err != nil && !errors.Is(err, io.EOF) {
			r.fail(off, err)
			return off, 0
		}
		n = made
	}
	r.next = off + n
	return off, n
}

func (r *spreading) finish(off, n int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.fail(off, err)
	case r.Progress != nil:
		r.Progress(n)
	}
}

// fail notes a failure. The one at the lowest offset counts.
func (r *spreading) fail(off int64, err error) {
	if off < r.failed {
		r.failed, r.err = off, err
	}
}
