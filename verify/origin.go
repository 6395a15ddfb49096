package verify

import (
	"bytes"
	"encoding/binary"
)

// maxSpan bounds how far before a block its request is looked for, in bytes.
const maxSpan = 4 << 20

// origin makes the content that a seed makes at the place of a block, as far as
// possible the one that agrees with p from data on. The result is as long as p;
// nil if no way of making content explains any of it.
func (c *checker) origin(p []byte, pos int64, seed uint64, data int, x *expectation) []byte {
	best, bestScore := remade{}, 0
	for _, f := range fillersFrom(c.filler) {
		for _, span := range c.spans(p, pos, seed, data, x, f) {
			want := c.make(span.off, span.n, seed, f)[pos-span.off:][:len(p)]
			score := agreement(want[data:], p[data:], x.known)
			if score == len(p)-data {
				c.filler = f
				c.spanSeed, c.spanOff = seed, span.off
				return want
			}
			if score > bestScore {
				best, bestScore = c.made, score
			}
		}
		if c.l.content.pattern != nil {
			break
		}
	}
	if bestScore == 0 {
		return nil
	}
	return c.make(best.off, best.n, best.seed, best.filler)[pos-best.off:][:len(p)]
}

// spans lists what the request of a block may be: what the job says, the block
// alone, or one that began before it, like the request of the block before it
// or where a word of the content fits. It may end with the block or go on.
func (c *checker) spans(p []byte, pos int64, seed uint64, data int, x *expectation, f *filler) (list []remade) {
	if x.n > 0 {
		return []remade{{off: x.off, n: x.n}}
	}
	add := func(start int64) {
		n := int(pos-start) + len(p)
		list = append(list, remade{off: start, n: n})
		if n%laneRound != 0 {
			list = append(list, remade{off: start, n: n + laneRound})
		}
	}
	add(pos)
	if c.l.content.pattern != nil || f.seeded(p, data, 0, seed) {
		return list
	}
	if c.spanSeed == seed && c.spanOff < pos && pos-c.spanOff <= maxSpan {
		add(c.spanOff)
	}
	if c.l.spanned && f.shift != 0 {
		if back, ok := f.search(p, data, seed, min(pos, maxSpan)); ok {
			add(pos - back)
		}
	}
	for back := int64(len(p)); c.l.spanned && f.shift == 0 && back <= min(pos, maxSpan); back += int64(len(p)) {
		if f.seeded(p, data, back, seed) {
			add(pos - back)
			break
		}
	}
	return list
}

// seeded reports whether a word of p behind data is what seed makes there, when
// p begins at byte back of the request.
func (f *filler) seeded(p []byte, data int, back int64, seed uint64) bool {
	first := data + int(-(back+int64(data))&7)
	for at := first; at+8 <= len(p) && at < first+laneRound; at += 8 {
		if s, ok := f.seedAt(binary.LittleEndian.Uint64(p[at:]), back+int64(at)); ok {
			return s == seed
		}
	}
	return false
}

// search is seeded for fillers that cannot be solved: it makes the content of
// the request up to most bytes, to find out how many are before p.
func (f *filler) search(p []byte, data int, seed uint64, most int64) (back int64, ok bool) {
	first := data + -data&7
	if len(p)%8 != 0 || first+16 > len(p) {
		return 0, false
	}
	a, b := binary.LittleEndian.Uint64(p[first:]), binary.LittleEndian.Uint64(p[first+8:])
	if a == 0 || b != a*f.mul>>f.shift {
		return 0, false
	}
	x, at := seed, int64(0)
	for back = 0; back <= most; back += int64(len(p)) {
		for ; at < back+int64(first); at += 8 {
			x = x * f.mul >> f.shift
		}
		if x == a {
			return back, true
		}
	}
	return 0, false
}

// agreement scores how much of got is want: all of it, or the bytes in aligned
// words that agree. Zeroes only count if so they should be.
func agreement(want, got []byte, zeroes bool) int {
	if bytes.Equal(want, got) {
		return len(got)
	}
	score := 0
	for i := 0; i+8 <= len(got); i += 8 {
		if w := binary.LittleEndian.Uint64(got[i:]); (w != 0 || zeroes) && w == binary.LittleEndian.Uint64(want[i:]) {
			score += 8
		}
	}
	return min(score, len(got)-1)
}

// solve finds the seed of a block of random content whose header is lost, by
// two words that give the same.
func solve(p []byte, pos int64, x *expectation) (seed uint64, ok bool) {
	start := pos
	if x.n > 0 {
		start = x.off
	}
	f := &fillers[0]
	last, seen := uint64(0), false
	for at := int64(len(p)) &^ 31; at >= 32; at -= 32 {
		from := at - 32 // the first lane, whatever the tail
		if (pos-start)%32 != 0 {
			return 0, false
		}
		s, ok := f.seedAt(binary.LittleEndian.Uint64(p[from:]), pos-start+from)
		if ok && s != 0 && seen && s == last {
			return s, true
		}
		last, seen = s, ok
	}
	return 0, false
}
