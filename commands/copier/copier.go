// Package copier copies the contents of one device to another, in constant memory.
//
// The source is cut into steps: runs that it knows to be zero, which are never read, and pieces of
// data. A few workers take the steps in order, read the data, leave out what is zero in it, and
// write the rest.
//
//	take, in order ─▶ read, side by side ─▶ write ─▶ retire, in order
//
// A format that takes its clusters as they are written gets one write at a time, in order, so that
// the same contents always make the same image, and so does a file in the page cache, which takes
// no two at once; meanwhile the next pieces are read. Devices, servers and O_DIRECT get several
// writes at once. Compressed clusters are packed by the format on all processors and stored in
// order.
//
// Work is done in legs, each of which ends with a flush of the destination. What a leg has copied
// is durable when Saved is told of it, and that is where a copy that was stopped may go on.
package copier

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"

	"github.com/blksh/blksh/commands/stream"
)

const (
	// pieceSize and packedSize are how much data one worker has in hand, in bytes; at least a
	// cluster of the destination. Packing uses all processors at once only for long pieces.
	pieceSize  = 1 << 20
	packedSize = 4 << 20
	// packing, sequential and parallel are the numbers of workers where clusters are packed, where
	// writes come one at a time, and elsewhere: so many that a server has the next piece to do
	// while those before it are written.
	packing    = 3
	sequential = 6
	parallel   = Workers
	// legSize is how much data is written between two flushes, in bytes.
	legSize = 256 << 20
	// hole is a run of zeroes that is left out of data where the destination is zero already, and
	// wideHole one that is made where it is not. In bytes.
	hole     = 4 << 10
	wideHole = 64 << 10
	// zeroPiece is the most that is made zero at once, in bytes: what has begun cannot be stopped.
	zeroPiece = 64 << 20
)

// Workers is how many goroutines copy at the same time, at most.
const Workers = 8

// Copy is what is to be copied.
type Copy struct {
	From, To *blockdev.Device
	// Off and Len are the range, in bytes. It has the same place in both devices.
	Off, Len int64
	// Zeroed: all of the range reads as zeroes in To, as in an image that was just made.
	Zeroed bool
	// Compressed: To stores what it gets compressed.
	Compressed bool
	// Only says what of the range is copied; nil is all.
	Only stream.Pick
	// Saved is told how far the copy is durable, as the offset behind it. It may be nil.
	Saved func(done int64) error
	// Progress is told of bytes that are done. It may be nil.
	Progress func(n int64)
}

// Result is what was copied, in bytes.
type Result struct {
	Done    int64 // of the range, from its start on and without a gap
	Durable int64 // of what is done: it was flushed, and Saved was told of it
	Written int64 // to the destination, as data
}

// Run copies. When it returns without an error all of the range is durable in To. After an error,
// what Saved was told of still is.
func (c Copy) Run(ctx context.Context) (Result, error) {
	w := &copying{Copy: c, piece: pieceSize, grain: hole}
	to := c.To.Info()
	if c.Compressed {
		w.piece = packedSize
	}
	if !c.Zeroed {
		w.grain = wideHole
	}
	align := int64(0)
	w.ordered = to.Cluster > 0 || to.Serial
	if to.Cluster > 0 {
		align = to.Cluster
		w.piece, w.grain = max(w.piece, align), max(min(to.ZeroAlign, align), blockdev.SectorSize)
	}
	if c.Compressed {
		w.grain = align
	}
	plan, err := stream.NewPlan(c.From, c.Off, c.Len, w.piece, align)
	if err != nil {
		return Result{}, err
	}
	plan.Only(c.Only)
	w.plan = plan
	for more := true; more && err == nil; {
		more, err = w.leg(ctx)
		err = cmp.Or(err, w.save(ctx))
	}
	w.result.Written = w.written.Load()
	return w.result, err
}

// copying is a Copy on its way.
type copying struct {
	Copy
	piece   int64
	grain   int64 // data is searched for zeroes in units of so many bytes
	ordered bool

	mu      sync.Mutex
	plan    *stream.Plan
	left    int64 // data that this leg may still take, in bytes
	ended   bool  // nothing is left of the plan
	taken   int   // steps that were taken
	retired int   // those that are done with
	turns   wait.Waiters
	known   blockdev.Extent // of the destination, as it was
	written atomic.Int64
	result  Result
	err     error // of the first step that failed
}

// leg copies until enough was written for a flush, and says whether more is to come.
func (w *copying) leg(ctx context.Context) (more bool, err error) {
	workers := parallel
	switch {
	case w.Compressed:
		workers = packing
	case w.ordered:
		workers = sequential
	}
	w.left = legSize
	err = wait.Fan(ctx, workers, func(ctx context.Context, _ int) (err error) {
		q, err := w.From.Queue(ctx, 1, int(w.piece))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, q.Close()) }()
		for w.step(ctx, q) {
		}
		return nil
	})
	return !w.ended, cmp.Or(w.err, err)
}

// save flushes what was copied and tells how far that is.
func (w *copying) save(ctx context.Context) error {
	if err := w.To.Flush(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if w.Saved != nil {
		if err := w.Saved(w.Off + w.result.Done); err != nil {
			return err
		}
	}
	w.result.Durable = w.result.Done
	return nil
}

// step takes the next step, copies it and retires it when its turn comes. It is false when nothing
// is left to do.
func (w *copying) step(ctx context.Context, q blockdev.Queue) bool {
	number, s, err := w.take(ctx)
	if s.Len == 0 && err == nil {
		return false
	}
	var data []byte
	if err == nil && !s.Zero && !s.Out {
		data, err = read(q, s)
	}
	if w.ordered {
		w.await(ctx, number)
		defer w.mu.Unlock()
		if err == nil && w.err == nil {
			w.mu.Unlock()
			err = w.write(ctx, s, data)
			w.mu.Lock()
		}
	} else {
		if err == nil {
			err = w.write(ctx, s, data)
		}
		w.await(ctx, number)
		defer w.mu.Unlock()
	}
	return w.retire(s, err)
}

// take is the next step and its number. Whoever has got a number takes a turn with it.
func (w *copying) take(ctx context.Context) (number int, s stream.Step, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.left <= 0 || w.ended {
		return 0, stream.Step{}, nil
	}
	if err = context.Cause(ctx); err == nil {
		s, err = w.plan.Next(ctx)
	}
	if s.Len == 0 && err == nil {
		w.ended = true
		return 0, s, nil
	}
	if !s.Zero && !s.Out {
		w.left -= s.Len
	}
	number = w.taken
	w.taken++
	return number, s, err
}

// await returns with the lock held when the turn of a step has come.
func (w *copying) await(ctx context.Context, number int) {
	w.mu.Lock()
	for w.retired != number {
		if w.turns.Wait(ctx, &w.mu) != nil {
			ctx = context.WithoutCancel(ctx) // the steps before end soon, too
		}
	}
}

// retire ends a step. It is called with the lock held, and says whether to go on.
func (w *copying) retire(s stream.Step, err error) bool {
	if w.err == nil {
		if w.err = err; err == nil {
			w.result.Done += s.Len
			if w.Progress != nil {
				w.Progress(s.Len)
			}
		}
	}
	w.retired++
	w.turns.WakeAll()
	return w.err == nil
}

// read reads the data of a step into the memory of a queue with a single slot.
func read(q blockdev.Queue, s stream.Step) ([]byte, error) {
	q.Stage(0, blockdev.OpRead, s.Off, s.Len, 0)
	var done [1]int
	if _, err := q.SubmitAndReap(1, done[:]); err != nil {
		return nil, err
	}
	return q.Buffer(0)[:s.Len], q.Err(0)
}

// write makes the range of a step hold data, which is nil for zeroes.
func (w *copying) write(ctx context.Context, s stream.Step, data []byte) error {
	switch {
	case s.Out:
		return nil
	case data == nil:
		return w.zero(ctx, s.Off, s.Len)
	}
	for at := int64(0); at < s.Len; {
		end, zero := w.run(s.Off, data, at)
		off, n := s.Off+at, end-at
		var err error
		if zero {
			err = w.zero(ctx, off, n)
		} else {
			err = w.store(ctx, data[at:end], off)
		}
		if err != nil {
			return err
		}
		at = end
	}
	return nil
}

// run is where the run of grains ends that begins at data[at] and is zero throughout, or not.
func (w *copying) run(off int64, data []byte, at int64) (end int64, zero bool) {
	next := func(at int64) int64 { return min(int64(len(data)), at+w.grain-(off+at)%w.grain) }
	end = next(at)
	zero = driver.AllZero(data[at:end])
	for end < int64(len(data)) && driver.AllZero(data[end:next(end)]) == zero {
		end = next(end)
	}
	return end, zero
}

// store writes data, compressed if that was asked for and it is made of whole clusters.
func (w *copying) store(ctx context.Context, data []byte, off int64) error {
	flags := blockdev.Deferred
	n := int64(len(data))
	if w.Compressed && (n%w.grain == 0 || off+n == w.To.Size()) {
		flags |= blockdev.Compressed
		if !w.Zeroed { // a cluster that has a place already is not stored compressed
			if err := w.To.Zero(ctx, off, n, blockdev.MayUnmap|blockdev.Deferred); err != nil {
				return err
			}
		}
	}
	if err := w.To.Write(ctx, blockdev.Vec{data}, off, flags); err != nil {
		return err
	}
	w.written.Add(n)
	return nil
}

// zero makes a range of the destination zero, but for what is known to be, by itself and not by
// what it stands on.
func (w *copying) zero(ctx context.Context, off, n int64) error {
	for !w.Zeroed && n > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, err := w.there(ctx, off)
		if err != nil {
			return err
		}
		some := min(n, e.End()-off)
		if !e.Zero || !e.Allocated {
			some = min(n, zeroPiece, max(some, 1)) // 0 behind an end that moved, where this fails
			if err := w.To.Zero(ctx, off, some, blockdev.MayUnmap|blockdev.Deferred); err != nil {
				return err
			}
		}
		off, n = off+some, n-some
	}
	return nil
}

// there is what the destination has at off. It asks about all that is left, and keeps the answer
// for the next run of zeroes: what is written in between is elsewhere.
func (w *copying) there(ctx context.Context, off int64) (blockdev.Extent, error) {
	w.mu.Lock()
	e := w.known
	w.mu.Unlock()
	if e.Off <= off && off < e.End() {
		return e, nil
	}
	e, err := w.To.Status(ctx, off, w.Off+w.Len-off)
	if err != nil {
		return e, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = e
	return e, nil
}
