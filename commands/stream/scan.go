package stream

import (
	"context"
	"runtime"
	"sync"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/wait"
)

const (
	// partSize is how much data one goroutine reads and looks at before it hands in what it found,
	// in bytes.
	partSize = 32 << 20
	// partDepth is how many pieces each of them has under way, see PieceSize.
	partDepth = 4
	// mostScanners bounds the goroutines: more of them than this do not make memory any faster.
	mostScanners = 4
)

// Scan looks at a range on several goroutines. Each reads parts of it through a queue of its own,
// so that data is looked at by the processor that has just copied it. look notes in found, which
// begins as a zero R, what it finds in the pieces of a part; they come in order and without gaps.
// merge gets what was found in one part after the other, in order. Scan returns how many bytes from
// off on were looked at and merged. Parts begin at multiples of grain from off on, if it is not 0;
// it divides partSize.
func Scan[R any](
	ctx context.Context, d *blockdev.Device, off, n, grain int64, whole bool,
	look func(ctx context.Context, found *R, p Piece) error, merge func(found *R) error,
) (done int64, err error) {
	if err := inside(d, "read", off, n); err != nil {
		return 0, err
	}
	s := &scan[R]{
		look: look, merge: merge,
		plan: Plan{dev: d, at: off, end: off + n, unit: partSize, whole: whole, coarse: true},
	}
	if grain > 0 {
		s.plan.base, s.plan.align = off, grain
	}
	err = wait.Fan(ctx, min(runtime.GOMAXPROCS(0), mostScanners),
		func(ctx context.Context, _ int) (err error) {
			r := newReader(ctx, d, partDepth)
			defer r.closeInto(&err)
			for s.part(ctx, r) {
			}
			return nil
		})
	if s.err != nil {
		err = s.err
	}
	return s.done, err
}

// scan is a Scan on its way.
type scan[R any] struct {
	look  func(ctx context.Context, found *R, p Piece) error
	merge func(found *R) error

	mu     sync.Mutex
	plan   Plan
	taken  int // parts that somebody works on or has worked on
	merged int // those that are done with
	turns  wait.Waiters
	done   int64
	err    error // of the first part that failed
}

// part takes the next part, looks at it and hands it in when its turn comes. It is false when
// nothing is left to do.
func (s *scan[R]) part(ctx context.Context, r *Reader) bool {
	number, part, err := s.take(ctx)
	if part.Len == 0 && err == nil {
		return false
	}
	var found R
	if err == nil {
		err = s.lookAt(ctx, r, part, &found)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.merged != number {
		if s.turns.Wait(ctx, &s.mu) != nil {
			ctx = context.WithoutCancel(ctx) // the parts before end soon, too
		}
	}
	if s.err == nil {
		if s.err = err; err == nil {
			s.done += part.Len
			s.err = s.merge(&found)
		}
	}
	s.merged++
	s.turns.WakeAll()
	return s.err == nil
}

// take is the next part and its number. Whoever has got a number takes a turn with it, whatever
// comes of the part.
func (s *scan[R]) take(ctx context.Context) (number int, part Step, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, Step{}, nil
	}
	if part, err = s.plan.Next(ctx); part.Len == 0 && err == nil {
		return 0, Step{}, nil
	}
	number = s.taken
	s.taken++
	return number, part, err
}

func (s *scan[R]) lookAt(ctx context.Context, r *Reader, part Step, found *R) error {
	if part.Zero {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return s.look(ctx, found, Piece{Off: part.Off, Len: part.Len})
	}
	r.begin(part.Off, part.Len, s.plan.whole)
	_, err := r.each(func(p Piece) error { return s.look(ctx, found, p) })
	return err
}
