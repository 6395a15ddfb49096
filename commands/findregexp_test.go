package commands

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/stream"
)

// matches is what an expression finds in content that comes in such pieces.
func matches(t *testing.T, re expression, pieces []stream.Piece) (found []event.Found) {
	t.Helper()
	l := looking{t.Context(), func(e event.Event) { found = append(found, e.(event.Found)) }}
	var total int64
	for _, piece := range pieces {
		total += piece.Len
	}
	p := newPursuit(re, event.Range{Off: pieces[0].Off, Len: total}, tell)
	for _, piece := range pieces {
		if err := p.look(l, piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.end(l); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestExpressions: whatever the pieces in which data come, what matches is what matches in all of
// them at once.
func TestExpressions(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, pattern := range []string{
		"hello", "h.l+o", `\bab\b`, "a+", `(?s)^.`, `^a|b`, `\xff\x80+`, `(?s)a.{0,40}?b`, "b$",
		`\x00$`,
		"é+", "(?i)É|HELLO", `\Qé.\E`, `[\x80-\xff]{2}`, `[^\x00]{3}`, `\B\xff`, "[[:upper:]]",
		`a\\|b`,
	} {
		re, err := parseExpression(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		total := 0
		for range 3 {
			content := planted(r)
			base := r.Int64N(1 << 40)
			var want []event.Found
			text := widen(nil, content)
			at, off := 0, base
			for _, m := range re.FindAllIndex(text, -1) {
				off += int64(narrowLen(text[at:m[0]]))
				n := int64(narrowLen(text[m[0]:m[1]]))
				want = append(want, event.Found{Off: off, Len: n})
				at, off = m[1], off+n
			}
			total += len(want)
			got := matches(t, re, cutUp(r, content, base))
			if !slices.EqualFunc(got, want, func(a, b event.Found) bool {
				return a.Off == b.Off && a.Len == b.Len
			}) {
				t.Errorf("%s: %d matches in %d bytes from %d on, want %d:\n%v\n%v", pattern, len(got),
					len(content), base, len(want), got[:min(9, len(got))], want[:min(9, len(want))])
			}
		}
		if total == 0 && !strings.Contains(pattern, "É") {
			t.Errorf("%s never matches", pattern)
		}
	}
}

// TestExpressionShards: shards find together what one run finds, also where matches lie so close
// that a shard has to begin far before its own range to know which of them count.
func TestExpressionShards(t *testing.T) {
	t.Parallel()
	r, cases := rand.New(rand.NewPCG(7, 8)), 0
	for _, pattern := range []string{
		"hello", `\bab\b`, "aa", "a{2,3}", `(?s)^.`, "b$", `\x00{3}`, `(?s)\x00.{900}`,
		`[^\x00]{3}`, `\B\xff`,
		`(?s)a.{0,40}?b`, "aba",
	} {
		re, err := parseExpression(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for round := range 3 {
			if cases++; !blockdevtest.Sampled(cases, 4) {
				continue
			}
			content := planted(r)
			if round >= 2 { // nothing but candidates, most of which overlap
				content = bytes.Repeat([]byte("a"), len(content))
				for range r.IntN(5) {
					content[r.IntN(len(content))] = 'b'
				}
			}
			base := r.Int64N(1<<40) * 512
			whole := event.Range{Off: base, Len: int64(len(content))}
			want := matches(t, re, cutUp(r, content, base))
			var got []event.Found
			for at := int64(0); at < whole.Len; {
				n := min(whole.Len-at, window*(1+r.Int64N(2)))
				p := newPursuit(re, whole, tell)
				p.own = event.Range{Off: base + at, Len: n}
				at += n
				l := looking{t.Context(), func(e event.Event) {
					got = append(got, e.(event.Found))
				}}
				err := p.run(func(c scope, look func(l looking, piece stream.Piece) error) error {
					part := content[c.Off-base:][:c.Len]
					for _, piece := range cutUp(r, part, c.Off) {
						if err := look(l, piece); err != nil {
							if errors.Is(err, errEnough) {
								return nil
							}
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if !slices.EqualFunc(got, want, func(a, b event.Found) bool {
				return a.Off == b.Off && a.Len == b.Len
			}) {
				t.Errorf("%s, round %d: %d matches in shards of %d bytes, want %d", pattern, round, len(got),
					len(content), len(want))
			}
		}
	}
}

// planted is a few windows of zeroes with words about their borders.
func planted(r *rand.Rand) []byte {
	words := []string{
		"hello", "helllo", " ab ", "ab", "aaaa", "\xff\x80\x80", "éé", "é.", "b", "\xff", "a\\b",
		"Hé",
	}
	content := make([]byte, window*(1+r.IntN(3))+r.IntN(300))
	for range 200 {
		at := r.IntN(len(content))
		if border := r.IntN(4) * window; r.IntN(2) == 0 && border < len(content) {
			at = max(0, border-10+r.IntN(20))
		}
		copy(content[min(at, len(content)):], words[r.IntN(len(words))])
	}
	if r.IntN(2) == 0 {
		content[len(content)-1] = 'b'
	}
	return content
}

// TestLongMatches: what is too long to be one match gives way to what is not.
func TestLongMatches(t *testing.T) {
	content := make([]byte, 3*window)
	copy(content[100:], "<ab>")
	content[100+longestMatch-1] = '>'
	content[100+longestMatch] = '>'
	copy(content[2*window:], "<cd")
	for pattern, want := range map[string][]event.Found{
		"(?s)<.*>":  {{Off: 100, Len: longestMatch}},
		"(?s)<.*":   {{Off: 100, Len: longestMatch}, {Off: 2 * window, Len: longestMatch}},
		"(?s)<.*?>": {{Off: 100, Len: 4}},
		"(?s)c.*b":  nil,
	} {
		re, err := parseExpression(pattern)
		if err != nil {
			t.Fatal(err)
		}
		got := matches(t, re, []stream.Piece{{Len: int64(len(content)), Data: content}})
		if !slices.EqualFunc(got, want,
			func(a, b event.Found) bool { return a.Off == b.Off && a.Len == b.Len }) {
			t.Errorf("%s: %v, want %v", pattern, got, want)
		}
	}
}

func TestBadExpressions(t *testing.T) {
	for pattern, want := range map[string]string{
		"":       "nothing to look for",
		"a*":     "no bytes at all",
		"[":      "missing closing ]",
		"[é]":    "cannot stand within [ ]",
		`\é`:     "invalid escape",
		"a{1,x":  "",
		`(?P<x>`: "missing closing )",
	} {
		_, err := parseExpression(pattern)
		if err == nil != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// TestExpressionStops: a search that takes long ends when it is to.
func TestExpressionStops(t *testing.T) {
	re, err := parseExpression(`(?s)x.*y`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	content := []byte(strings.Repeat("x", 2*window))
	content[len(content)-1] = 'y'
	cancel()
	p := newPursuit(re, event.Range{Len: 2 * window}, tell)
	l := looking{ctx, func(event.Event) {}}
	piece := stream.Piece{Len: int64(len(content)), Data: content}
	if err := p.look(l, piece); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// FuzzExpression: an expression that is taken matches bytes, the same whether they come at once or
// one at a time.
func FuzzExpression(f *testing.F) {
	for _, pattern := range []string{
		`\xff\x80+`, "[^\\x00]{3}", `(?i)É|\Qé.\E`, `[[:upper:]]`, `a\\|b`, "[]a]", `\bab\b`, "[\\",
	} {
		f.Add(pattern, []byte("xaab\xff\x80é.ÉA]"))
	}
	f.Fuzz(func(t *testing.T, pattern string, content []byte) {
		re, err := parseExpression(pattern)
		if err != nil || len(content) == 0 || len(pattern)*len(content) > 1<<16 {
			return
		}
		var singly []stream.Piece
		for i := range content {
			singly = append(singly, stream.Piece{Off: int64(i), Len: 1, Data: content[i:][:1]})
		}
		whole := stream.Piece{Len: int64(len(content)), Data: content}
		at, one := matches(t, re, []stream.Piece{whole}), matches(t, re, singly)
		if !slices.EqualFunc(at, one, func(a, b event.Found) bool {
			return reflect.DeepEqual(a, b)
		}) {
			t.Errorf("%q finds %v at once and %v byte by byte", pattern, at, one)
		}
		for _, found := range at {
			if found.Len < 1 || found.Off < 0 || found.Off+found.Len > int64(len(content)) {
				t.Errorf("%q finds %+v in %d bytes", pattern, found, len(content))
			}
		}
	})
}
