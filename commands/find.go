package commands

import (
	"bytes"
	"context"
	"math"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/verify"
)

// usualMatches is how many matches are shown without --max.
const usualMatches = 1000

var find = session.Command{
	Name: "find", Min: 1, Max: -1, Needs: session.File,
	Args:  "(--hex bytes | --text text) [--max n] [off [len]]",
	Short: "looks for bytes and shows where they are",
	Long: ` Example:
 find --hex 55aa        shows every place with these two bytes
 find --text EFI 0..1M  looks for three letters in the first MiB

 Matches do not overlap. It fails if there are none.
`,
	New: func(f *session.Flags) session.Run {
		var c scope
		var what content
		most := int64(usualMatches)
		var limited bool
		what.flags(f, "look for")
		f.Size(&most, &limited, 0, "max", "N", "stop after N matches; without it after 1000")
		c.operands(f)
		f.Check("content", func(int) error {
			if what.bytes == nil {
				return session.WrongUsage()
			}
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			h := &hunt{needle: what.bytes, most: most}
			err := c.scan(ctx, s, im, "find", false, h.look)
			switch {
			case err != nil:
				return err
			case h.matches == 0:
				return event.Fail(event.NotFound{Range: event.Range(c)})
			}
			s.Emit(event.Searched{
				Range: event.Range(c), Matches: h.matches,
				More: h.matches >= most,
			})
			return nil
		}
	},
}

// hunt is a search through pieces that come in order. A match may lie across several of them.
type hunt struct {
	needle  []byte
	most    int64
	matches int64

	// edge is the end of what was looked at, shorter than the needle, and behind it the beginning
	// of what comes next.
	edge []byte
	free int64 // matches may begin here or later
}

// look goes through a piece: first through what lies across its beginning, then through the piece.
func (h *hunt) look(l looking, p stream.Piece) error {
	overlap := len(h.needle) - 1
	kept := len(h.edge)
	h.edge = appendPiece(h.edge, p, 0, min(p.Len, int64(overlap)))
	if err := h.search(l, h.edge, p.Off-int64(kept), kept); err != nil {
		return err
	}
	if p.Data != nil {
		if err := h.search(l, p.Data, p.Off, len(p.Data)); err != nil {
			return err
		}
	} else if verify.IsZero(h.needle) {
		if err := h.inZeroes(l, p); err != nil {
			return err
		}
	}
	if p.Len >= int64(overlap) {
		h.edge = appendPiece(h.edge[:0], p, p.Len-int64(overlap), p.Len)
	} else if extra := len(h.edge) - overlap; extra > 0 {
		h.edge = append(h.edge[:0], h.edge[extra:]...)
	}
	return nil
}

// appendPiece appends a part of a piece that is no longer than a needle.
func appendPiece(b []byte, p stream.Piece, from, to int64) []byte {
	if p.Data != nil {
		return append(b, p.Data[from:to]...)
	}
	return append(b, make([]byte, to-from)...)
}

// search tells of the matches in b, which lies at off, that begin before byte limit of it.
func (h *hunt) search(l looking, b []byte, off int64, limit int) error {
	for at := int(min(max(0, h.free-off), int64(len(b)))); ; {
		i := bytes.Index(b[at:], h.needle)
		if i < 0 || at+i >= limit {
			return nil
		}
		at += i
		if err := h.match(l, off+int64(at)); err != nil {
			return err
		}
		at += len(h.needle)
	}
}

// inZeroes tells of the places of a needle of zeroes in zeroes that nobody read.
func (h *hunt) inZeroes(l looking, p stream.Piece) error {
	n := int64(len(h.needle))
	for at := max(p.Off, h.free); at <= p.Off+p.Len-n; at += n {
		if l.ctx.Err() != nil {
			return context.Cause(l.ctx)
		}
		if err := h.match(l, at); err != nil {
			return err
		}
	}
	return nil
}

func (h *hunt) match(l looking, off int64) error {
	l.say(event.Found{Off: off})
	h.matches++
	h.free = off + min(int64(len(h.needle)), math.MaxInt64-off)
	if h.matches >= h.most {
		return errEnough
	}
	return nil
}
