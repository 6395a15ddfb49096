package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/verify"
)

const (
	// longestMatch bounds what a regular expression may match, in bytes.
	longestMatch = 4096
	// window is how many bytes are searched at once: matches that begin there. Windows lie at
	// multiples of it from the beginning of the range, so that how a device hands out its data
	// changes no match.
	window = 64 << 10
	// lookBehind is how many bytes before a window the expression sees, for what asks for the byte
	// before: \b and ^.
	lookBehind = 4
)

// expression is a regular expression over bytes. Go's are over characters, so each byte from 0x80
// on is made the character of that number, in what is searched and in the expression.
type expression struct{ *regexp.Regexp }

// parseExpression reads a regular expression in the syntax of RE2. Letters beyond ASCII stand for
// their bytes in UTF-8.
func parseExpression(text string) (expression, error) {
	if text == "" {
		return expression{}, errors.New("there is nothing to look for")
	}
	wide, err := widenPattern(text)
	if err != nil {
		return expression{}, err
	}
	re, err := regexp.Compile(wide)
	if err != nil {
		return expression{}, fmt.Errorf("%s: %w", text, err)
	}
	if re.MatchString("") {
		return expression{}, fmt.Errorf("%s: it matches no bytes at all, which are everywhere", text)
	}
	return expression{re}, nil
}

// widenPattern puts groups of bytes in the place of letters beyond ASCII.
func widenPattern(text string) (string, error) {
	var b strings.Builder
	class := 0 // where the class began that the scan is in, plus one; 0 outside
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r >= utf8.RuneSelf && class > 0:
			return "", fmt.Errorf("%s: '%s' is of several bytes and cannot stand within [ ]", text,
				text[i:i+n])
		case r >= utf8.RuneSelf:
			appendLiteral(&b, text[i:i+n])
		case class == 0 && strings.HasPrefix(text[i:], `\Q`):
			quoted, _, _ := strings.Cut(text[i+2:], `\E`)
			n = min(len(text)-i, len(quoted)+4)
			appendLiteral(&b, quoted)
		case r == '\\' && i+1 < len(text):
			_, next := utf8.DecodeRuneInString(text[i+1:])
			n = 1 + next
			b.WriteString(text[i : i+n])
		case class == 0 && r == '[':
			class = i + 1
			b.WriteByte('[')
		case class > 0 && r == ']' && text[class:i] != "" && text[class:i] != "^":
			class = 0
			b.WriteByte(']')
		case class > 0 && strings.HasPrefix(text[i:], "[:"):
			if end := strings.Index(text[i:], ":]"); end > 0 {
				n = end + len(":]")
			}
			b.WriteString(text[i : i+n])
		default:
			b.WriteString(text[i : i+n])
		}
		i += n
	}
	return b.String(), nil
}

// appendLiteral appends an expression for bytes as they are.
func appendLiteral(b *strings.Builder, text string) {
	for _, r := range text {
		if r < utf8.RuneSelf {
			b.WriteString(regexp.QuoteMeta(string(r)))
			continue
		}
		b.WriteString("(?-i:")
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(b, `\x%02x`, c)
		}
		b.WriteByte(')')
	}
}

// widen appends bytes as characters of their numbers.
func widen(b, p []byte) []byte {
	for _, c := range p {
		if c < utf8.RuneSelf {
			b = append(b, c)
		} else {
			b = append(b, 0xc0|c>>6, 0x80|c&0x3f)
		}
	}
	return b
}

// narrowLen is how many bytes were widened into text.
func narrowLen(text []byte) int {
	return len(text) - bytes.Count(text, []byte{0xc2}) - bytes.Count(text, []byte{0xc3})
}

// pursuit is a search for an expression through pieces that come in order.
//
// Matches do not overlap, so that what matches there are depends on what lies before, as in a
// [hunt]. A shard begins to look so far before its own range that it comes upon as many bytes as
// the longest match has in which none begins: wherever the search began, the same matches follow.
type pursuit struct {
	expression
	// found gets each match: where it begins, and its length in bytes.
	found func(l looking, off int64, n int) error
	// whole is what all shards look at, own what matches are told of that begin there: it begins
	// where a window of the whole does.
	whole, own event.Range
	goesOn     bool // own begins behind a match, wherever that ends

	// adrift: whether a match counts is not known yet. lost: nor was it in the own range.
	adrift, lost bool

	at   int64  // of the next window
	buf  []byte // what lies from some bytes before the window on, see lookBehind
	text []byte // of it, widened
	free int64  // matches may begin here or later
	idle bool   // the expression matches nothing in zeroes
}

// newPursuit makes a search of all of a range.
func newPursuit(re expression, whole event.Range,
	found func(l looking, off int64, n int) error,
) *pursuit {
	p := &pursuit{expression: re, found: found, whole: whole, own: whole}
	p.idle = !re.Match(make([]byte, lookBehind+2*longestMatch))
	p.begin(whole.Off)
	return p
}

// begin begins the search at a window.
func (p *pursuit) begin(off int64) {
	p.at, p.free, p.buf = off, off, p.buf[:0]
	p.adrift, p.lost = off > p.whole.Off && !p.goesOn, false
}

// run searches, from farther back each time that it was lost. Scan looks at a range, and takes
// errEnough for its end.
func (p *pursuit) run(
	scan func(c scope, look func(l looking, piece stream.Piece) error) error,
) error {
	end := p.own.End() + min(longestMatch, p.whole.End()-p.own.End())
	before := p.own.Off - p.whole.Off
	if p.goesOn {
		before = 0
	}
	for back := min(window, before); ; {
		p.begin(p.own.Off - back)
		from := p.at - int64(p.behind())
		err := scan(span(from, end-from), func(l looking, piece stream.Piece) error {
			if err := p.look(l, piece); err != nil || piece.Off+piece.Len < end {
				return err
			}
			return p.end(l)
		})
		if p.lost = p.lost || p.adrift && p.free > p.own.Off; err != nil || !p.lost {
			return err
		}
		if back < before/4 {
			back *= 4
		} else {
			back = before
		}
	}
}

// match deals with n bytes at off that match, where the search has come to p.free.
func (p *pursuit) match(l looking, off int64, n int) error {
	gap := off-p.free >= longestMatch // in which no match begins
	switch {
	case off < p.own.Off:
		p.adrift = p.adrift && !gap
		return nil
	case p.adrift && (p.free > p.own.Off || off < p.own.End() && !gap):
		p.lost = true
		return errEnough
	case off >= p.own.End():
		return errEnough
	}
	p.adrift = false
	return p.found(l, off, n)
}

// behind is how many bytes of the buffer lie before the window.
func (p *pursuit) behind() int { return int(min(lookBehind, p.at-p.whole.Off)) }

// look goes through a piece.
func (p *pursuit) look(l looking, piece stream.Piece) error {
	for piece.Len > 0 {
		want := int64(p.behind() + window + longestMatch - len(p.buf))
		some := min(want, piece.Len)
		p.buf = appendPiece(p.buf, piece, 0, some)
		piece = piece.Behind(some)
		if some < want {
			return nil
		}
		if piece.Data == nil && p.idle && verify.IsZero(p.buf) {
			piece = piece.Behind(p.skip(piece.Len))
			continue
		}
		if err := p.window(l, window); err != nil {
			return err
		}
		p.next()
	}
	return nil
}

// skip passes windows of zeroes in which nothing matches, and returns how many bytes these are of n
// zeroes that follow.
func (p *pursuit) skip(n int64) int64 {
	skipped := (n/window + 1) * window
	p.at += skipped
	// what is left is as long as before one window was passed
	p.buf = p.buf[:p.behind()+longestMatch]
	clear(p.buf)
	return skipped - window
}

// next goes to the next window.
func (p *pursuit) next() {
	from := p.behind() + window
	p.at += window
	p.buf = append(p.buf[:0], p.buf[from-p.behind():]...)
}

// end goes through what is left.
func (p *pursuit) end(l looking) error {
	return p.window(l, len(p.buf)-p.behind())
}

// window tells of the matches that begin in the first n bytes of the window.
func (p *pursuit) window(l looking, n int) error {
	p.text = widen(p.text[:0], p.buf)
	// where matches may begin: as bytes of the buffer, and in the text
	from := int(max(0, p.free-p.at)) + p.behind()
	until := p.behind() + n
	place := len(widen(nil, p.buf[:min(from, until)]))
	for from < until {
		begin, end := p.first(l.ctx, place)
		if l.ctx.Err() != nil {
			return context.Cause(l.ctx)
		}
		if begin < 0 {
			return nil
		}
		from += narrowLen(p.text[place:begin])
		length := narrowLen(p.text[begin:end])
		if from >= until {
			return nil
		}
		off := p.at + int64(from-p.behind())
		if err := p.match(l, off, length); err != nil {
			return err
		}
		p.free = off + int64(length)
		from, place = from+length, end
	}
	return nil
}

// first is the first match in the text from place on that is not too long, below zero if there is
// none, or ctx ended. One that is too long gives way to a shorter one that begins there, if there
// is one.
func (p *pursuit) first(ctx context.Context, place int) (begin, end int) {
	for ctx.Err() == nil {
		begin, end = p.leftmost(place)
		if begin < 0 {
			return -1, -1
		}
		switch n := narrowLen(p.text[begin:end]); {
		case n > longestMatch:
			m := p.FindIndex(cut(p.text[begin:]))
			if m != nil && m[0] == 0 && m[1] > 0 {
				return begin, begin + m[1]
			}
		case n > 0:
			return begin, end
		}
		if begin >= len(p.text) {
			return -1, -1
		}
		_, size := utf8.DecodeRune(p.text[begin:])
		place = begin + size
	}
	return -1, -1
}

// leftmost is the first match in the text from place on, which sees some of what lies before unless
// that is itself a match that goes on behind place.
func (p *pursuit) leftmost(place int) (begin, end int) {
	for _, bytes := range []int{lookBehind, 1, 0} {
		back := place - before(p.text, place, bytes)
		masked := false
		// no more than one match begins at each byte before
		for _, m := range p.FindAllIndex(p.text[place-back:], back+1) {
			masked = masked || m[0] < back && m[1] > back
			if m[0] >= back && !masked {
				return place - back + m[0], place - back + m[1]
			}
		}
		if !masked {
			break
		}
	}
	return -1, -1
}

// before is where the character begins that is so many before place.
func before(text []byte, place, n int) int {
	for ; n > 0 && place > 0; n-- {
		_, size := utf8.DecodeLastRune(text[:place])
		place -= size
	}
	return place
}

// cut is the text of the first bytes, as many as a match may have.
func cut(text []byte) []byte {
	end := 0
	for n := 0; n < longestMatch && end < len(text); n++ {
		_, size := utf8.DecodeRune(text[end:])
		end += size
	}
	return text[:end]
}
