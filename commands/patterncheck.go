package commands

import (
	"context"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/verify"
)

// checking compares pieces of a range with a pattern.
type checking struct {
	pattern  verify.Pattern
	off, n   int64 // the part that is looked at
	limit    int   // of the ranges that are listed
	mismatch *verify.Mismatch
	unread   int64 // bytes that are known to be zero, and were not read
	// note is told where bytes are wrong, from any goroutine; it may be nil.
	note func(verify.DiffRange)
}

// part is what of n bytes at off is to be looked at.
func (c *checking) part(off, n int64) (from, to int64) {
	return max(off, c.off), min(off+n, c.off+c.n)
}

// look compares p, which was found at off.
func (c *checking) look(p []byte, off int64) {
	from, to := c.part(off, int64(len(p)))
	if from >= to {
		return
	}
	p = p[from-off : to-off]
	m := verify.CheckUpTo(c.limit, c.pattern, p, from)
	c.mismatch = c.mismatch.Join(m)
	if m != nil && c.note != nil {
		c.noteEach(p, from)
	}
}

// notedAtOnce is how many bytes of a pattern are in memory to be compared byte by byte.
const notedAtOnce = 64 << 10

// noteEach notes what is wrong in p, which was found at off.
func (c *checking) noteEach(p []byte, off int64) {
	diff := verify.NewDiff(0)
	diff.Note = c.note
	want := make([]byte, min(len(p), notedAtOnce))
	for len(p) > 0 {
		n := min(len(p), len(want))
		c.pattern.Fill(want[:n], off)
		diff.Compare(want[:n], p[:n], off)
		p, off = p[n:], off+int64(n)
	}
}

// piece is look for what may not have been read.
func (c *checking) piece(ctx context.Context, p stream.Piece) error {
	if p.Data == nil {
		c.unread += p.Len
		return c.lookAtZeroes(ctx, p.Off, p.Len)
	}
	c.look(p.Data, p.Off)
	return nil
}

// lookAtZeroes compares n zeroes at off that nobody read.
func (c *checking) lookAtZeroes(ctx context.Context, off, n int64) error {
	for from, to := c.part(off, n); from < to; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m, looked := verify.CheckZeroes(c.limit, c.pattern, from, to-from)
		c.mismatch = c.mismatch.Join(m)
		switch {
		case m == nil || c.note == nil:
		case m.Bad == looked:
			c.note(verify.DiffRange{Off: from, Len: looked, Bad: looked})
		default:
			c.noteEach(make([]byte, looked), from)
		}
		from += looked
	}
	return nil
}

// image compares a range of an image, on several processors. The error is about what cannot be
// read.
func (c *checking) image(ctx context.Context, s *session.Session, im *session.Image, r scope,
	op string, whole bool,
) error {
	return gather(ctx, s, im, r, op, 0, whole,
		func(ctx context.Context, found *checking, p stream.Piece) error {
			found.pattern, found.off, found.n, found.limit = c.pattern, c.off, c.n, c.limit
			found.note = c.note
			return found.piece(ctx, p)
		}, func(found *checking) error {
			c.mismatch = c.mismatch.Join(found.mismatch)
			c.unread += found.unread
			return nil
		})
}

// outcome is the failure if anything was wrong.
func (c *checking) outcome() error {
	if c.mismatch == nil {
		return nil
	}
	return event.Fail(event.Mismatch{Off: c.off, Len: c.n, Detail: c.mismatch})
}
