package commands

import (
	"context"
	"errors"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
)

// scope is the range that a command looks at: all of the image if nobody says otherwise, or from an
// offset to its end.
type scope struct{ event.Range }

// span is n bytes from off on.
func span(off, n int64) scope { return scope{event.Range{Off: off, Len: n}} }

// operands declares [off [len]].
func (c *scope) operands(f *session.Flags) {
	c.Len = -1
	f.Range(0)
	f.OptOperand(&c.Off, "off")
	f.OptOperand(&c.Len, "len")
	f.Check("to-end", func() error {
		if c.Len < 0 {
			c.Len = max(0, f.End()-c.Off)
		}
		return nil
	})
}

// all says whether the range is all of an image.
func (c scope) all(im *session.Image) bool { return c.Off == 0 && c.Len >= im.Dev.Size() }

// looking is what a scan gives to the one who looks: how to say something, and how to count bytes
// of a piece that takes long.
type looking struct {
	ctx context.Context
	say func(event.Event)
}

// scan reads the range piece by piece, but for what is known to be zero.
func (c scope) scan(
	ctx context.Context, s *session.Session, im *session.Image, op string,
	look func(l looking, p stream.Piece) error,
) error {
	add, end := s.Track(op, c.Len)
	defer end()
	var done int64
	err := s.Tell(ctx, func(ctx context.Context, say func(event.Event)) (err error) {
		l := looking{ctx, say}
		done, err = stream.Each(ctx, im.Dev, c.Off, c.Len, false, func(p stream.Piece) error {
			defer add(p.Len)
			return look(l, p)
		})
		return err
	})
	return stopped(ctx, op, c.Range, done, err)
}

// gather is scan on several processors: look notes in found, which begins as a zero R, what it
// finds in a part of the range, and merge gets one part after the other. Parts begin at multiples
// of grain from the start of the range on; 0 is anywhere. What is known to be zero is read only if
// whole is set.
func gather[R any](
	ctx context.Context, s *session.Session, im *session.Image, c scope, op string, grain int64,
	whole bool,
	look func(ctx context.Context, found *R, p stream.Piece) error, merge func(found *R) error,
) error {
	add, end := s.Track(op, c.Len)
	defer end()
	var done int64
	err := s.Do(ctx, func(ctx context.Context) (err error) {
		done, err = stream.Scan(ctx, im.Dev, c.Off, c.Len, grain, whole,
			func(ctx context.Context, found *R, p stream.Piece) error {
				defer add(p.Len)
				return look(ctx, found, p)
			}, merge)
		return err
	})
	return stopped(ctx, op, c.Range, done, err)
}

// zeroes is memory to compare with and to show. Nobody writes to it.
var zeroes [64 << 10]byte

// errEnough ends a scan that need not go on.
var errEnough = errors.New("enough")

// stopped is the outcome of a long command that failed with err, after done bytes of its range.
func stopped(ctx context.Context, op string, r event.Range, done int64, err error) error {
	switch {
	case err == nil || err == errEnough:
		return nil
	case ctx.Err() != nil:
		return event.Fail(event.Interrupted{Op: op, Range: r, Done: done, Err: context.Cause(ctx)})
	case event.IsFailure(err):
		return err
	}
	return event.FailOp(op, err)
}

// zeroPiece is the most that is made zero or discarded at once, in bytes: what has begun cannot be
// stopped.
const zeroPiece = 64 << 20

// spreaders is how many requests of a long transfer are under way.
const spreaders = 4

// spread makes a long transfer that changes something.
func (t *transfer) spread(ctx context.Context, s *session.Session, im *session.Image,
	sp stream.Spread,
) error {
	add, end := s.Track(t.op, max(0, t.n))
	sp.Off, sp.Len, sp.Width, sp.Progress = t.off, t.n, spreaders, add
	began := s.Now()
	var done int64
	err := s.Do(ctx, func(ctx context.Context) (err error) {
		done, err = sp.Run(ctx, im.Dev)
		return err
	})
	end()
	t.elapsed = s.Now().Sub(began)
	if t.n < 0 {
		t.n = done
	}
	if err := stopped(ctx, t.op, event.Range{Off: t.off, Len: t.n}, done, err); err != nil {
		return err
	}
	t.report(s)
	return nil
}

// spreadRequests is spread for requests without data.
func (t *transfer) spreadRequests(
	ctx context.Context, s *session.Session, im *session.Image, flush bool,
	do func(ctx context.Context, off, n int64) error,
) error {
	t.dataless = t.n
	return t.spread(ctx, s, im,
		stream.Spread{
			Piece: zeroPiece, Flush: flush,
			Do: func(ctx context.Context, _ int, off, n int64) error {
				return do(ctx, off, n)
			},
		})
}

// inParts calls do for parts of n bytes from off on, until ctx ends. It keeps work on zeroes that
// nobody read from taking for ever.
func inParts(ctx context.Context, off, n, part int64, do func(off, n int64) error) error {
	for n > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		some := min(n, part)
		if err := do(off, some); err != nil {
			return err
		}
		off, n = off+some, n-some
	}
	return nil
}
