package commands

import (
	"context"
	"errors"
	"io"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/verify"
)

var compare = session.Command{
	Name: "compare", Min: 1, Max: -1, Needs: session.File,
	Args:  "[-f format] [-s] [-U] [--all] file [off [len]]",
	Short: "compares the image with another",
	Long: ` Example:
 compare backup.qcow2  whether the two hold the same, and where not
 compare other 0..1M   the first MiB with that of the open image other

 Where one is shorter there is a word on it, and what the longer one has behind
 that end is compared with zeroes; with --strict the length is a difference too.
 What both know to be zero is not read.
`,
	New: func(f *session.Flags) session.Run {
		var c scope
		o := session.Opening{ReadOnly: true, Options: &blockdev.Options{}}
		var all, ranged, strict bool
		f.Text(&o.Format, nil, 'f', "format", "FORMAT", "format of the other image, which is guessed otherwise")
		f.Bool(&strict, 's', "strict", "images of different lengths differ")
		f.Bool(&o.ForceShare, 'U', "force-share", "share the other image with programs that write it")
		f.Bool(&all, 0, "all", "list all ranges that differ, not only the first ones")
		f.Word("file", func(word string) error {
			o.Name = word
			return nil
		})
		c.operands(f)
		f.Check("ranged", func(operands int) error {
			ranged = operands > 1
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) (err error) {
			other, free, err := beside(ctx, s, o)
			if err != nil {
				return err
			}
			defer func() {
				if closed := free(); err == nil {
					err = closed
				}
			}()
			if !ranged {
				c.Len = max(im.Dev.Length(), other.Length())
			}
			found := verify.NewDiff(limitOf(all))
			if err := c.compare(ctx, s, im, other, found); err != nil {
				return err
			}
			lengths := event.Lengths{Name: o.Name, Here: im.Dev.Info().Size, There: other.Info().Size}
			lengths.Zero = found.End() <= min(lengths.Here, lengths.There)
			uneven := !ranged && lengths.Here != lengths.There
			if uneven && strict && found.Count == 0 {
				return event.Fail(event.OtherLength{Lengths: lengths})
			}
			if uneven {
				s.Emit(lengths)
			}
			if found.Count > 0 {
				return event.Fail(event.Different{Range: event.Range(c), Name: o.Name, Places: *found})
			}
			s.Emit(event.Same{Range: event.Range(c), Name: o.Name})
			return nil
		}
	},
}

// beside is the image that is open under a name or, if none is, another one, which free closes.
func beside(ctx context.Context, s *session.Session, o session.Opening) (dev *blockdev.Device, free func() error, err error) {
	if im := s.Named(o.Name); im != nil {
		return im.Dev, func() error { return nil }, nil
	}
	if dev, err = s.OpenBeside(ctx, o); err != nil {
		return nil, nil, err
	}
	return dev, func() error { return s.CloseBeside(dev) }, nil
}

// compare notes where the range differs between the image and another device.
func (c scope) compare(ctx context.Context, s *session.Session, im *session.Image, other *blockdev.Device, found *verify.Diff) error {
	const op = "compare"
	add, end := s.Track(op, c.Len)
	defer end()
	var done int64
	err := s.Do(ctx, func(ctx context.Context) error {
		here, err := c.side(ctx, im.Dev)
		if err != nil {
			return err
		}
		defer here.close()
		there, err := c.side(ctx, other)
		if err != nil {
			return err
		}
		defer there.close()
		for done < c.Len {
			if err := errors.Join(here.fill(), there.fill()); err != nil {
				return err
			}
			n := min(here.piece.Len, there.piece.Len)
			if a, b := here.take(n), there.take(n); a.Data != nil || b.Data != nil {
				found.Compare(a.Data, b.Data, a.Off)
			}
			done += n
			add(n)
		}
		return nil
	})
	return stopped(ctx, op, event.Range(c), done, err)
}

// side is one of two images that are compared.
type side struct {
	reader *stream.Reader
	piece  stream.Piece // what is left of the last one
	end    int64        // of the range, which may lie behind the device
}

// side begins with the part of the range that a device has.
func (c scope) side(ctx context.Context, d *blockdev.Device) (*side, error) {
	size := d.Length()
	r, err := stream.NewReader(ctx, d, min(c.Off, size), max(0, min(c.Len, size-c.Off)), false)
	return &side{reader: r, end: c.Off + c.Len, piece: stream.Piece{Off: c.Off}}, err
}

// fill gets the next piece when the last one is used up. Behind the device are zeroes.
func (s *side) fill() error {
	if s.piece.Len > 0 {
		return nil
	}
	off := s.piece.Off
	p, err := s.reader.Next()
	if errors.Is(err, io.EOF) {
		p, err = stream.Piece{Off: off, Len: s.end - off}, nil
	}
	s.piece = p
	return err
}

// take is the next n bytes.
func (s *side) take(n int64) stream.Piece {
	p := s.piece
	s.piece = cut(p, n)
	p.Len = n
	if p.Data != nil {
		p.Data = p.Data[:n]
	}
	return p
}

func (s *side) close() { _ = s.reader.Close() }
