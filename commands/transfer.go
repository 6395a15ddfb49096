package commands

import (
	"context"
	"math"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// pieceSize is the most memory that one request takes, in bytes. Longer ranges go through it piece
// by piece.
const pieceSize = 16 << 20

// transfer is what all requests share: where, how much, how it is reported. What talks to the
// device runs on a request's goroutine and looks at nothing but the transfer; the rest runs on the
// session's.
type transfer struct {
	op   string     // as failures name it
	verb event.Verb // as reports name it

	off, n int64
	word   string  // n as typed
	lens   []int64 // the pieces of memory of a vectored request; none: one piece
	flags  blockdev.Flags

	quiet, terse bool

	maxRequest int64            // longer ones fail
	streams    bool             // long ones go in pieces, several at a time
	dev        *blockdev.Device // it and the clock: see begin
	clock      func() time.Time
	elapsed    time.Duration
	dataless   int64 // how many of the bytes are done without data going to or from the image
}

// common declares the flags of reports.
func (t *transfer) common(f *session.Flags) {
	t.maxRequest, t.streams = f.MaxRequest(), f.Streams()
	f.Bool(&t.terse, 'C', "csv", "report as comma separated values")
	f.Bool(&t.quiet, 'q', "quiet", "report failures only")
}

// mark declares a flag that sets a bit of the request.
func (t *transfer) mark(f *session.Flags, bit blockdev.Flags, letter byte, long, help string) {
	f.Switch(letter, long, help, func() error {
		t.flags |= bit
		return nil
	})
}

// extent declares an offset and a length, of which natively the last ones may be missing.
func (t *transfer) extent(f *session.Flags, missing int) {
	f.Range(missing)
	f.Operand(&t.off, "off")
	f.Word("len", args.Value{Name: "len", Type: args.TypeNumber}, func(word string) (err error) {
		t.word = word
		t.n, err = f.Number("len", word)
		return err
	})
}

// limit offers the bound of a dialect on the length, which escape lifts if the letter is not 0.
func (t *transfer) limit(f *session.Flags, letter byte, escape blockdev.Flags) {
	f.Offer("limit", func() error {
		if t.n <= t.maxRequest || t.flags&escape != 0 {
			return nil
		}
		return event.Fail(event.TooLong{Word: t.word, Limit: t.maxRequest, Escape: letter})
	})
}

// vector declares an offset and one or more lengths. Lengths are not limited if unlimited says so.
func (t *transfer) vector(f *session.Flags, unlimited func() bool) {
	f.Range(0)
	f.Operand(&t.off, "off")
	f.Offer("off.sector", func() error { return wholeSectors("offset", t.off) })
	f.Rest(&t.lens, "lens", lengthChecks(f, unlimited)...)
	f.Check("sum", func() (err error) {
		t.n, err = sum(t.lens)
		return err
	})
}

// sum adds lengths up.
func sum(lens []int64) (total int64, err error) {
	for _, n := range lens {
		if total += n; total < 0 {
			return 0, event.Fail(event.VecTooLong{Limit: math.MaxInt64})
		}
	}
	return total, nil
}

// lengthChecks are the checks that dialects make of each length of a vector.
func lengthChecks(f *session.Flags, unlimited func() bool) []session.Each {
	var total int64
	tooLong := func(word string, n, limit int64) error {
		if n <= limit || unlimited != nil && unlimited() {
			return nil
		}
		return event.Fail(event.VecTooLong{Word: word, Limit: f.MaxRequest()})
	}
	return []session.Each{
		{Name: "lens.limit", Do: func(word string, n int64) error { return tooLong(word, n, f.MaxRequest()) }},
		{Name: "lens.int", Do: func(word string, n int64) error { return tooLong(word, n, math.MaxInt32) }},
		{Name: "lens.total", Do: func(_ string, n int64) error {
			err := tooLong("", n, f.MaxRequest()-total)
			total += n
			return err
		}},
		{Name: "lens.sector", Do: func(_ string, n int64) error { return wholeSectors("length argument", n) }},
	}
}

// wholeSectors complains about a value that is no multiple of a sector.
func wholeSectors(operand string, value int64) error {
	if value%blockdev.SectorSize != 0 {
		return event.Fail(event.Unaligned{Operand: operand, Value: value})
	}
	return nil
}

// aligned complains about an offset or a length that is no multiple of a sector.
func (t *transfer) aligned() error {
	if err := wholeSectors("offset", t.off); err != nil {
		return err
	}
	return wholeSectors("count", t.n)
}

// timed measures what the device takes. Making and checking data is not counted.
func (t *transfer) timed(do func() error) error {
	start := t.clock()
	err := do()
	t.elapsed += t.clock().Sub(start)
	return err
}

// pieces walks the range. A range that fits one piece is one request with the memory layout that
// was asked for; so is an empty one. A longer one is first looked at as a whole, so that nothing is
// done when a part of it cannot be.
func (t *transfer) pieces(size int64, buf []byte, do func(v blockdev.Vec, off int64) error) error {
	if t.n > t.maxRequest {
		return syscall.EIO
	}
	if t.n <= int64(len(buf)) {
		return do(t.layout(buf[:t.n]), t.off)
	}
	if t.off > size-t.n {
		return syscall.EIO
	}
	for at := int64(0); at < t.n; at += int64(len(buf)) {
		if err := do(blockdev.Vec{buf[:min(int64(len(buf)), t.n-at)]}, t.off+at); err != nil {
			return err
		}
	}
	return nil
}

// layout cuts a buffer as the lengths of a vectored request say.
func (t *transfer) layout(buf []byte) blockdev.Vec {
	if len(t.lens) == 0 {
		return blockdev.Vec{buf}
	}
	v := make(blockdev.Vec, 0, len(t.lens))
	for _, n := range t.lens {
		v = append(v, buf[:n:n])
		buf = buf[n:]
	}
	return v
}

// buffer is the memory that the transfer goes through.
func (t *transfer) buffer(s *session.Session) []byte { return s.Buffer(int(t.memory())) }

// memory is how long that is, in bytes.
func (t *transfer) memory() int64 { return min(t.n, pieceSize) }

// begin gets ready for the request.
func (t *transfer) begin(s *session.Session, im *session.Image) { t.dev, t.clock = im.Dev, s.Now }

// report says that the request succeeded.
func (t *transfer) report(s *session.Session) {
	if t.quiet {
		return
	}
	s.Emit(event.Transfer{
		Verb: t.verb, Off: t.off, Done: t.n, Count: t.n, Moved: t.n - t.dataless, Ops: 1,
		Elapsed: t.elapsed, Terse: t.terse,
	})
}

// failed is the outcome of a request that failed.
func (t *transfer) failed(err error) error {
	if event.IsFailure(err) {
		return err
	}
	return event.FailOp(t.op, err)
}

// plain is a request without data: what to do and nothing to look at afterwards.
func (t *transfer) plain(do func(ctx context.Context) error) work {
	t.dataless = t.n
	return work{
		t: t,
		do: func(ctx context.Context) error {
			return t.timed(func() error { return do(ctx) })
		},
		done: func(s *session.Session) error {
			t.report(s)
			return nil
		},
	}
}

// work is a request ready to be made, in the foreground or the background.
type work struct {
	t  *transfer
	do func(ctx context.Context) error
	// done looks at the outcome of a request that succeeded, on the session goroutine.
	done func(s *session.Session) error
	// free gives memory back, whatever the outcome. It may be nil.
	free func(s *session.Session)
}

// wait makes the request and waits for it.
func (w work) wait(ctx context.Context, s *session.Session, im *session.Image) error {
	w.t.begin(s, im)
	err := s.Do(ctx, w.do)
	if err != nil && ctx.Err() != nil {
		err = stopped(ctx, w.t.op, event.Range{Off: w.t.off, Len: w.t.n}, 0, err)
	}
	return w.end(s, err)
}

// start makes a request in the background, when those that are under way leave room for its memory.
// Its time counts until its completion is looked at.
func (t *transfer) start(ctx context.Context, s *session.Session, im *session.Image, memory int64,
	prepare func() work,
) error {
	if err := s.Room(ctx, memory); err != nil {
		return t.failed(err)
	}
	w := prepare()
	w.t.begin(s, im)
	began := s.Now()
	s.Go(ctx, im, event.Range{Off: w.t.off, Len: w.t.n}, began, memory,
		w.do,
		func(err error) error {
			w.t.elapsed = s.Now().Sub(began)
			return w.end(s, err)
		})
	return nil
}

func (w work) end(s *session.Session, err error) error {
	if w.free != nil {
		defer w.free(s)
	}
	if err != nil {
		return w.t.failed(err)
	}
	return w.done(s)
}
