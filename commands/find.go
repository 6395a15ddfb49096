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
	Group: session.GroupLook,
	Args:  "(--hex bytes | --text text) [--max n] [--shard k/n] [off [len]]",
	Short: "looks for bytes and shows where they are",
	Long: ` Example:
 find --hex 55aa        shows every place with these two bytes
 find --text EFI 0..1M  looks for three letters in the first MiB

 Matches do not overlap. It fails if there are none. With --shard several runs
 share the work, see 'help shards': a match belongs to the shard where it
 begins.
`,
	New: func(f *session.Flags) session.Run {
		var c sharded
		var what content
		most := int64(usualMatches)
		var limited bool
		what.flags(f, "look for")
		f.Size(&most, &limited, 0, "max", "N", "stop after N matches; without it after 1000")
		f.Check("content", func(int) error {
			if what.bytes == nil {
				return session.Missing("--text TEXT or --hex BYTES")
			}
			return nil
		})
		c.operands(f)
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			whole := event.Range(c.scope)
			if !c.take(s, im, "find", shardBlock) {
				return nil
			}
			h := &hunt{
				needle: what.bytes, most: most, whole: whole, own: event.Range(c.scope),
				back: leastLookBack,
			}
			err := h.run(func(c scope) error { return c.scan(ctx, s, im, "find", false, h.look) })
			switch {
			case err != nil:
				return err
			case h.matches == 0:
				return event.Fail(event.NotFound{Range: h.own})
			}
			s.Emit(event.Searched{
				Range: h.own, Matches: h.matches,
				More: h.matches >= most,
			})
			return nil
		}
	},
}

// hunt is a search through pieces that come in order. A match may lie across several of them.
//
// Matches do not overlap: the first counts, and the next that begins behind its end. What matches
// there are thus depends on what lies before, if the needle can overlap itself. A shard begins to
// look so far before its own range that it comes upon a needle with no other that overlaps its
// beginning: that one counts, wherever the search began.
type hunt struct {
	needle  []byte
	most    int64
	matches int64
	// whole is what all shards look at, own what matches are told of that begin there, and back how
	// far before that the search begins at first, in bytes, if it has to.
	whole, own event.Range
	back       int64

	// adrift: whether a needle counts is not known, as long as each overlaps the one before, the
	// last of which begins at last. lost: that went on into the own range.
	adrift, lost bool
	last         int64

	// edge is the end of what was looked at, shorter than the needle, and behind it the beginning
	// of what comes next.
	edge []byte
	free int64 // matches may begin here or later
}

// leastLookBack is a hunt's usual back.
const leastLookBack = 1 << 20

// run searches, from farther back each time that it was lost. Scan looks at a range, and takes
// errEnough for its end.
func (h *hunt) run(scan func(c scope) error) error {
	end := min(h.own.End()+int64(len(h.needle))-1, h.whole.End())
	before := h.own.Off - h.whole.Off
	back := int64(0)
	if overlapsItself(h.needle) {
		back = min(h.back, before)
	}
	for {
		begin := h.own.Off - back
		h.edge, h.free, h.last, h.lost = h.edge[:0], begin, begin-1, false
		h.adrift = begin > h.whole.Off && back > 0
		if err := scan(scope{Off: begin, Len: end - begin}); err != nil || !h.lost {
			return err
		}
		if back < before/4 {
			back *= 4
		} else {
			back = before
		}
	}
}

// overlapsItself says whether the end of b is its beginning as well: then one b may begin in
// another. It works out for each beginning of b how much of its end is its beginning.
func overlapsItself(b []byte) bool {
	border := make([]int, len(b))
	for i, n := 1, 0; i < len(b); i++ {
		for n > 0 && b[i] != b[n] {
			n = border[n-1]
		}
		if b[i] == b[n] {
			n++
		}
		border[i] = n
	}
	return len(b) > 0 && border[len(b)-1] > 0
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

// search deals with the needles in b, which lies at off, that begin before byte limit of it.
func (h *hunt) search(l looking, b []byte, off int64, limit int) error {
	for {
		at := int(min(max(0, h.free-off), int64(len(b))))
		i := bytes.Index(b[at:], h.needle)
		if i < 0 || at+i >= limit {
			return nil
		}
		if err := h.match(l, off+int64(at+i)); err != nil {
			return err
		}
	}
}

// inZeroes deals with the places of a needle of zeroes in zeroes that nobody read. Those before the
// own range are not looked at one by one.
func (h *hunt) inZeroes(l looking, p stream.Piece) error {
	n := int64(len(h.needle))
	at, final := max(p.Off, h.free), p.Off+p.Len-n
	if at > final {
		return nil
	}
	if h.drifts(at) {
		h.last, h.free = final, final+1
		return h.drifted()
	}
	h.adrift = false
	if before := h.own.Off - at; before > 0 {
		at += min((before+n-1)/n, (final-at)/n+1) * n
		h.free = at
	}
	for ; at <= final; at += n {
		if l.ctx.Err() != nil {
			return context.Cause(l.ctx)
		}
		if err := h.match(l, at); err != nil {
			return err
		}
	}
	return nil
}

// drifts says whether it is still not known if a needle at off counts.
func (h *hunt) drifts(off int64) bool { return h.adrift && off-h.last < int64(len(h.needle)) }

// drifted ends the search if a needle in the own range may count or not.
func (h *hunt) drifted() error {
	if h.last >= h.own.Off {
		h.lost = true
		return errEnough
	}
	return nil
}

// match deals with a needle at off, which overlaps none that counts.
func (h *hunt) match(l looking, off int64) error {
	if h.drifts(off) {
		h.last, h.free = off, off+1
		return h.drifted()
	}
	h.adrift = false
	h.free = off + min(int64(len(h.needle)), math.MaxInt64-off)
	switch {
	case off < h.own.Off:
		return nil
	case off >= h.own.End():
		return errEnough
	}
	l.say(event.Found{Off: off})
	h.matches++
	if h.matches >= h.most {
		return errEnough
	}
	return nil
}
