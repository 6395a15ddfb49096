package commands

import (
	"context"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
)

// nativeFlags declares the flags of read that qemu-io has not.
func (r *reading) nativeFlags(f *session.Flags) {
	f.Bool(&r.all, 0, "all", "with -P: list all ranges that are wrong")
	r.drawing.offer(f, "where it is wrong, with -P")
	r.view.declare(f)
	f.Check("view", func() error { return r.settle(r.machine) })
}

// place finds out what to read where that is not given: all of the image with a check or a file to
// fill, and otherwise a sector, the next one if nobody says which.
func (r *reading) place(position, end int64) error {
	whole := r.check || r.output != ""
	if r.off < 0 {
		r.off = 0
		if !whole {
			r.off = position
		}
		if r.off >= end && !whole {
			return event.Conflictf("the image ends at %d; 'read -v 0' begins again", end)
		}
	}
	if r.n < 0 {
		r.n = max(0, end-r.off)
		if !whole {
			r.n = max(1, min(r.n, blockdev.SectorSize))
		}
	}
	return nil
}

// ready is what is left to do when the range is known.
func (r *reading) ready() {
	r.show, r.until = r.show && !r.quiet, r.off+r.n
	r.checking.off, r.checking.n, r.checking.limit = r.off+r.checkOff, r.checkLen, limitOf(r.all)
}

// run reads, and does with the bytes what is wanted.
func (r *reading) run(ctx context.Context, s *session.Session, im *session.Image) error {
	if !r.drawing.wanted() {
		return r.act(ctx, s, im)
	}
	part := event.Range{Off: r.off + r.checkOff, Len: r.checkLen}
	if err := r.drawing.begin(ctx, s, part, twoClasses("wrong", "as it should be")); err != nil {
		return err
	}
	r.checking.note = r.drawing.note(markedClass)
	err := r.act(ctx, s, im)
	r.drawing.fill(plainClass)
	return r.drawing.end(s, r.checking.pattern.String()+" on "+im.Describe().Path, err)
}

// act is run without the picture.
func (r *reading) act(ctx context.Context, s *session.Session, im *session.Image) error {
	if r.view.layout == (event.DumpLayout{}) {
		r.view.layout.Style = s.Style
	}
	if err := r.view.open(ctx, s); err != nil {
		return err
	}
	r.quiet = r.quiet || r.output == stdout
	var err error
	// What is shown is shown as it comes, so that it can be stopped; what is checked too is told
	// after the verdict where it is short.
	if r.streams && !r.machine && (r.n > pieceSize || r.n > shownAtOnce && r.wanted() && !r.check) {
		err = r.long(ctx, s, im)
	} else {
		err = r.work(s).wait(ctx, s, im)
	}
	err = s.Also(err, r.view.end(r.n))
	if err == nil && r.streams && !r.check && r.output == "" {
		im.Position = r.off + r.n
	}
	return err
}

// long reads piece by piece. The bytes are shown as they come.
func (r *reading) long(ctx context.Context, s *session.Session, im *session.Image) error {
	r.ready()
	began := s.Now()
	all := span(r.off, r.n)
	if r.check && !r.wanted() {
		err := r.checking.image(ctx, s, im, all, r.op, false)
		r.dataless = r.checking.unread
		return r.concludeLong(s, s.Now().Sub(began), err)
	}
	err := all.scan(ctx, s, im, r.op, func(l looking, p stream.Piece) error {
		if p.Data == nil {
			r.dataless += p.Len
		}
		if r.check {
			if err := r.checking.piece(l.ctx, p); err != nil {
				return err
			}
		}
		if !r.wanted() {
			return nil
		}
		return r.put(l.ctx, l.say, p, p.Off+p.Len == r.off+r.n)
	})
	return r.concludeLong(s, s.Now().Sub(began), err)
}

func (r *reading) concludeLong(s *session.Session, elapsed time.Duration, err error) error {
	if err != nil {
		return err
	}
	r.elapsed = elapsed
	outcome := r.complain(s)
	r.report(s)
	return outcome
}
