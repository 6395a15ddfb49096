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
}

// part is what of n bytes at off is to be looked at.
func (c *checking) part(off, n int64) (from, to int64) {
	return max(off, c.off), min(off+n, c.off+c.n)
}

// look compares p, which was found at off.
func (c *checking) look(p []byte, off int64) {
	if from, to := c.part(off, int64(len(p))); from < to {
		c.mismatch = c.mismatch.Join(verify.CheckUpTo(c.limit, c.pattern, p[from-off:to-off], from))
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
		from += looked
	}
	return nil
}

// image compares a range of an image, on several processors. The error is about what cannot be
// read.
func (c *checking) image(ctx context.Context, s *session.Session, im *session.Image, r scope,
	op string, whole bool,
) error {
	return gather(ctx, s, im, r, op, whole,
		func(ctx context.Context, found *checking, p stream.Piece) error {
			found.pattern, found.off, found.n, found.limit = c.pattern, c.off, c.n, c.limit
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
