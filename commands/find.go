package commands

import (
	"bytes"
	"context"
	"math"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/verify"
)

// usualMatches is how many matches are shown without --max.
const usualMatches = 1000

// mostContext is how many lines are shown around a match at most.
const mostContext = 64

var find = session.Command{
	Name: "find", Needs: session.File,
	Group: session.GroupLook, Paged: true,
	Elsewhere: []string{"grep: find --regex", "search"},
	Args:      "(--hex bytes | --text text | --base64 bytes | --regex expr) [--max n] [--context n] [--shard k/n] [off [len]]",
	Short:     "looks for bytes and shows where they are",
	Long: ` Example:
 find --hex 55aa        shows every place with these two bytes
 find --text EFI 0..1M  looks for three letters in the first MiB
 find --regex 'PK\x03\x04|\x7fELF' --context 1
                        archives and programs, a line before and one behind
 find --max 1 --text X  the first place; 'next' goes on behind it

 Matches do not overlap. It fails if there are none. With --shard several runs
 share the work, see 'help shards': a match belongs to the shard where it
 begins.

 Expressions are those of RE2 (https://github.com/google/re2/wiki/Syntax), over
 bytes: \xff is one byte, a letter beyond ASCII its bytes in UTF-8, ^ and $ the
 ends of the range. A match is no longer than 4 KiB.
`,
	New: func(f *session.Flags) session.Run {
		q := &quest{most: usualMatches}
		var c sharded
		q.what.flags(f, "look for")
		f.Flag(0, "regex", args.Text("EXPR"), "look for what a regular expression matches",
			func(word string) error {
				re, err := parseExpression(word)
				if err != nil {
					return event.BadValuef("--regex: %v", err)
				}
				q.expression = &re
				return nil
			})
		f.Size(&q.most, nil, 0, "max", "N", "stop after N matches; without it after 1000")
		f.Size(&q.context, nil, 0, "context", "N", "show so many lines around each match")
		f.Check("content", func() error {
			switch {
			case q.what.bytes == nil && q.expression == nil:
				return session.Missing("--text TEXT, --hex BYTES, --base64 BYTES or --regex EXPR")
			case q.what.bytes != nil && q.expression != nil:
				return event.Conflictf("--regex does not go together with --hex, --text or --base64")
			case q.most < 1:
				return noMatchWanted()
			case q.context < 0 || q.context > mostContext:
				return event.BadValuef("--context takes 0 to %d lines", mostContext)
			}
			return nil
		})
		c.operands(f)
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			q.whole = c.Range
			if !c.take(s, im, "find") {
				return nil
			}
			return q.seek(ctx, s, im, c.scope)
		}
	},
}

// quest is what is looked for, and how it is shown.
type quest struct {
	what          content
	expression    *expression // in place of what
	most, context int64
	whole         event.Range // of all shards
	goesOn        bool        // behind a match: what lies before is known
}

func noMatchWanted() error { return event.BadValuef("--max takes 1 or more") }

// seek looks for it in a range, and leaves what is behind the last match for next.
func (q *quest) seek(ctx context.Context, s *session.Session, im *session.Image, c scope) error {
	t := &trophies{quest: q, dev: im.Dev}
	var err error
	if q.expression != nil {
		p := newPursuit(*q.expression, q.whole, t.found)
		p.own, p.goesOn = c.Range, q.goesOn
		err = p.run(func(c scope, look func(l looking, piece stream.Piece) error) error {
			return c.scan(ctx, s, im, "find", look)
		})
	} else {
		h := &hunt{
			needle: q.what.bytes, found: t.found, whole: q.whole, own: c.Range,
			back: leastLookBack,
		}
		if q.goesOn {
			h.back = 0
		}
		err = h.run(func(c scope) error { return c.scan(ctx, s, im, "find", h.look) })
	}
	if err != nil {
		return err
	}
	rest, left := *q, c
	if t.matches > 0 {
		left = span(t.end, max(0, c.End()-t.end))
		rest.goesOn = true
	}
	im.Again = func(ctx context.Context, s *session.Session, im *session.Image, most int64) error {
		rest.most = most
		return rest.seek(ctx, s, im, left)
	}
	if t.matches == 0 {
		return event.Fail(event.NotFound{Range: c.Range})
	}
	s.Emit(event.Searched{Range: c.Range, Matches: t.matches, More: t.matches >= q.most})
	return nil
}

// trophies tells of matches, until there are enough.
type trophies struct {
	*quest
	dev     *blockdev.Device
	matches int64
	end     int64 // behind the last one
}

// found tells of n bytes at off, with what is around them if that is wanted.
func (t *trophies) found(l looking, off int64, n int) error {
	e := event.Found{Off: off, Len: int64(n)}
	if t.context > 0 {
		size := t.dev.Size()
		from := max(0, off-off%dumpLine-t.context*dumpLine)
		last := off + int64(n) - 1
		to := min(size, last-last%dumpLine+(t.context+1)*dumpLine)
		e.ExcerptOff, e.Excerpt = from, make([]byte, to-from)
		if err := t.dev.Read(l.ctx, blockdev.Vec{e.Excerpt}, from, 0); err != nil {
			return err
		}
	}
	l.say(e)
	t.matches++
	t.end = off + int64(n)
	if t.matches >= t.most {
		return errEnough
	}
	return nil
}

var next = session.Command{
	Name: "next", Needs: session.File,
	Group: session.GroupLook,
	Args:  "[--max n]",
	Short: "goes on behind the last match of find",
	Long: ` Example:
 find --max 1 --text X  the first place
 next                   the one behind it
 next --max 10          ten more

 It looks for the same in what was left of the range, and fails when there is no
 more.
`,
	New: func(f *session.Flags) session.Run {
		most := int64(1)
		f.Size(&most, nil, 0, "max", "N", "stop after N matches; without it after one")
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if most < 1 {
				return noMatchWanted()
			}
			if im.Again == nil {
				return event.BadValuef("nothing was looked for in this image before; 'find' does that")
			}
			return im.Again(ctx, s, im, most)
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
	needle []byte
	// found gets each match: where it begins, and its length in bytes.
	found func(l looking, off int64, n int) error
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
		if err := scan(span(begin, end-begin)); err != nil || !h.lost {
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
	return h.found(l, off, len(h.needle))
}
