package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
)

// writePiece is the most that one request of a long write takes, in bytes.
const writePiece = 2 << 20

// run writes, and reads back what was written if that is wanted.
func (w *writing) run(ctx context.Context, s *session.Session, im *session.Image) error {
	var err error
	switch {
	case w.streams && w.zero && w.n > zeroPiece:
		flags, flush := w.deferred(im)
		err = w.spreadRequests(ctx, s, im, flush,
			func(ctx context.Context, off, n int64) error {
				return im.Dev.Zero(ctx, off, n, flags)
			})
	case w.more != nil, w.streams && !w.zero && !w.machine && w.n > pieceSize:
		err = w.long(ctx, s, im)
	default:
		err = w.work(s).wait(ctx, s, im)
	}
	switch {
	case err != nil || !w.prove:
		return err
	case w.zero:
		return span(w.off, w.n).proveZero(ctx, s, im, w.op, "zero", w.all)
	}
	return w.proveWritten(ctx, s, im)
}

// deferred has one flush behind all pieces stand for many, where each would have to be durable.
func (w *writing) deferred(im *session.Image) (flags blockdev.Flags, flush bool) {
	return w.flags | blockdev.Deferred, im.Dev.WriteThrough() || w.flags&blockdev.FUA != 0
}

// long writes in pieces, several at a time.
func (w *writing) long(ctx context.Context, s *session.Session, im *session.Image) error {
	buf := s.Buffer(spreaders * writePiece)
	defer s.Recycle(buf)
	memory := func(worker int, n int64) []byte { return buf[worker*writePiece:][:n] }
	flags, flush := w.deferred(im)
	if w.compressed {
		flags |= blockdev.Compressed
	}
	sp := stream.Spread{
		Piece: writePiece, Flush: flush,
		Do: func(ctx context.Context, worker int, off, n int64) error {
			p := memory(worker, n)
			if w.fill == nil && w.more == nil {
				w.pattern.Fill(p, off)
			}
			return im.Dev.Write(ctx, blockdev.Vec{p}, off, flags)
		},
	}
	switch {
	case w.more != nil:
		sp.Make = func(worker int, _, n int64) (int64, error) {
			got, err := w.more(memory(worker, n))
			return int64(got), err
		}
	case w.fill != nil:
		sp.Make = func(worker int, off, n int64) (
			int64, error,
		) {
			return n, w.fill(memory(worker, n), off-w.off)
		}
	}
	return w.spread(ctx, s, im, sp)
}

// proveWritten reads back a pattern.
func (w *writing) proveWritten(ctx context.Context, s *session.Session, im *session.Image) error {
	if err := settled(ctx, s, im, w.op); err != nil {
		return err
	}
	c := checking{pattern: w.pattern, off: w.off, n: w.n, limit: limitOf(w.all)}
	err := c.image(ctx, s, im, span(w.off, w.n), w.op, true)
	if err == nil {
		err = c.outcome()
	}
	if err == nil {
		s.Emit(event.Verified{Range: event.Range{Off: w.off, Len: w.n}, As: "written", Stored: w.n})
	}
	return err
}
