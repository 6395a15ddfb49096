package job

import (
	"bytes"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// learning is what a scan found out about the content of blocks, before it looks at all of them.
type learning uint8

const (
	unseen      learning = iota // no request was seen whole
	explained                   // most content is made by the recipe that was found
	unexplained                 // most is not made by any recipe that is known
)

// knowledge is what is found out about the blocks of a job from themselves. All its checkers share
// it.
type knowledge struct {
	// types is which type with a checksum a number turned out to mean in short headers.
	types [256]atomic.Pointer[fio.Checksum]
	// multiBlock says that requests of several blocks were seen, grid where requests seem to be,
	// and content whether it is made as is presumed.
	multiBlock bool
	grid       grid
	content    learning
}

const (
	// maxLearned is how many requests are looked at to learn from.
	maxLearned = 16
	// maxPadding is the longest padding pattern that is recognised.
	maxPadding = 512
	// leastUnexplained is from how many requests on it counts that none is explained.
	leastUnexplained = 4
)

// A grid is where requests of one size lie: n bytes each, one behind the other, off is the
// beginning of one of them. None is known if size is 0.
type grid struct {
	off  int64
	size int
}

// request is the one that has the byte at pos.
func (g grid) request(pos int64) requestContent {
	in := (pos - g.off) % int64(g.size)
	if in < 0 {
		in += int64(g.size)
	}
	return requestContent{off: pos - in, n: g.size}
}

// learn finds out from a sample of blocks how long requests are, and how their content is made.
func (t *task) learn(s *shape) {
	l := t.l
	runs := s.requests(l)
	if t.known.grid = commonGrid(runs); t.known.grid.size == 0 && l.Payload.Pattern != nil &&
		!l.Ranged() {
		t.known.grid = grid{l.Offset, l.MinBlock}
	}
	if l.Payload.Pattern != nil {
		return
	}
	runs = slices.DeleteFunc(runs,
		func(r sampled) bool { return r.n > maxLookBehind || r.headers[0].Seed == 0 })
	whole := t.newChecker(nil).wholeRequests(s, runs)
	best, most, all := fio.Recipe{}, 0, 0
	for _, r := range whole {
		all += len(r.pieces)
	}
	for _, by := range recipesOf(&l.Payload, whole) {
		n := 0
		for _, r := range whole {
			n += countMade(&by, r.pieces, r.n, r.headers[0].Seed)
		}
		if n > most || n == most && by.Compress < best.Compress {
			best, most = by, n
		}
	}
	switch {
	case 4*most >= all && most > 0: // no recipe makes the same by chance
		l.Payload.Recipe, t.known.content = best, explained
	case len(whole) >= leastUnexplained:
		t.known.content = unexplained
	}
}

// wholeRequests takes some requests apart that are not damaged, as far as their headers tell. It
// leaves out what is all alike and no padding that is known, for that may be made by any recipe.
func (c *checker) wholeRequests(s *shape, runs []sampled) (list []sampled) {
	for i := range scattered(len(runs)) {
		r := runs[i]
		pieces, ok := c.pieces(s.window[r.off-s.at:], 0, r.headers...)
		if !ok {
			continue
		}
		if _, alike := paddingOf(pieces, 0, r.n); alike {
			_, ok = explain(&c.l.Payload.Recipe, pieces, r.n, r.headers[0].Seed)
		}
		if ok {
			r.pieces = pieces
			list = append(list, r)
		}
	}
	return list
}

// recipesOf lists the recipes that explain some request, or a part of it, each once.
func recipesOf(c *fio.Payload, list []sampled) (found []fio.Recipe) {
	for _, r := range list {
		by, ok := explain(&c.Recipe, r.pieces, r.n, r.headers[0].Seed)
		for i := 0; i < len(r.pieces) && !ok; i++ { // others may be damaged
			by, ok = explain(&c.Recipe, r.pieces[i:i+1], r.n, r.headers[0].Seed)
		}
		if ok && !slices.Contains(found, by) {
			found = append(found, by)
		}
	}
	return found
}

// scattered yields some of n numbers from 0 on, each once, in no step that data may have as well.
func scattered(n int) iter.Seq[int] {
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	return func(yield func(int) bool) {
		for k := range min(n, maxLearned) {
			i := k
			if n > maxLearned {
				i = int(uint64(n) * (uint64(k) * golden >> 32) >> 32)
			}
			if !yield(i) {
				return
			}
		}
	}
}

// A sampled request is one that was seen whole, as the headers of its blocks tell.
type sampled struct {
	off     int64
	n       int
	headers []fio.Header
	pieces  []piece // its data, if they were taken apart
}

// requests finds the requests whose beginning and end were seen: blocks of one write that lie one
// behind the other, and other blocks or the bounds of the range before and behind.
func (s *shape) requests(l *fio.Layout) (list []sampled) {
	end := l.Offset + l.Extent
	for i, k := 0, 0; i < len(s.headers); i = k {
		first := s.headers[i]
		run := sampled{off: int64(first.Offset), headers: s.headers[i : i+1]}
		next := run.off + int64(first.Len)
		for k = i + 1; k < len(s.headers) && s.headers[k].Continues(&s.headers[k-1]) &&
			s.headers[k].SameWrite(&first); k++ {
			run.headers = s.headers[i : k+1]
			next += int64(s.headers[k].Len)
		}
		run.n = int(next - run.off)
		begins := run.off == l.Offset || i > 0 && first.Continues(&s.headers[i-1])
		ends := next == end || k < len(s.headers) && s.headers[k].Continues(&s.headers[k-1])
		if begins && ends && run.off >= s.at && next <= s.at+int64(len(s.window)) {
			list = append(list, run)
		}
	}
	return list
}

// commonGrid is the grid that most requests lie on.
func commonGrid(list []sampled) grid {
	votes := map[grid]int{}
	for _, r := range list {
		votes[grid{r.off % int64(r.n), r.n}]++
	}
	best, most := grid{}, 0
	for g, n := range votes {
		if n > most {
			best, most = g, n
		}
	}
	if 4*most < 3*len(list) {
		return grid{}
	}
	return best
}

// A piece is data of a request that no header covers, from byte at of the request on.
type piece struct {
	at   int
	data []byte
}

// pieces takes the blocks at the beginning of p apart, of which the first is byte at of their
// request. It fails if any of them is damaged.
func (c *checker) pieces(p []byte, at int, headers ...fio.Header) (list []piece, ok bool) {
	for _, h := range headers {
		block := bytes.Clone(p[:h.Len])
		k, sound := c.sound(block, &h)
		if !sound || h.Size()+k.Size >= len(block) {
			return nil, false
		}
		data := h.Size() + k.Size
		list = append(list, piece{at + data, block[data:]})
		p, at = p[h.Len:], at+len(block)
	}
	return list, true
}

// explain finds the recipe by which seed makes the pieces of a request of n bytes: the one that was
// told, if it has padding, or any other.
func explain(told *fio.Recipe, pieces []piece, n int, seed uint64) (by fio.Recipe, ok bool) {
	if told.Compress > 0 && makes(told, pieces, n, seed) == n {
		return *told, true
	}
	var list []fio.Recipe
	for i := range fio.Fillers {
		by := fio.Recipe{Filler: &fio.Fillers[i]}
		agreed := makes(&by, pieces, n, seed)
		if agreed == n {
			return by, true
		}
		list = append(list, padded(by, pieces, n, agreed)...)
	}
	slices.SortStableFunc(list,
		func(a, b fio.Recipe) int { return len(a.Padding) - len(b.Padding) })
	for _, by := range list {
		if makes(&by, pieces, n, seed) == n {
			return by, true
		}
	}
	return by, false
}

// countMade is how many of the pieces of a request of n bytes a recipe makes.
func countMade(by *fio.Recipe, pieces []piece, n int, seed uint64) (count int) {
	want := make([]byte, n)
	by.Fill(want, seed)
	for _, p := range pieces {
		if bytes.Equal(want[p.at:][:len(p.data)], p.data) {
			count++
		}
	}
	return count
}

// makes is how far a recipe makes the pieces of a request of n bytes: up to its first byte that
// is another one; n if there is none.
func makes(by *fio.Recipe, pieces []piece, n int, seed uint64) int {
	want := make([]byte, n)
	by.Fill(want, seed)
	for _, p := range pieces {
		if w := want[p.at:][:len(p.data)]; !bytes.Equal(w, p.data) {
			first, _, _ := verify.Differences(w, p.data)
			return p.at + first
		}
	}
	return n
}

// padded lists the recipes with padding that may make a request of which by makes the first bytes
// up to agreed. The last bytes before the padding are others than where content goes on.
func padded(by fio.Recipe, pieces []piece, n, agreed int) (list []fio.Recipe) {
	const chance = 8 // so many bytes may agree by chance
	least := pieces[0].at
	for _, p := range pieces {
		if p.at+chance < agreed {
			least = min(agreed, p.at+len(p.data)) - chance
		}
	}
	for by.Compress = 1; by.Compress < 100; by.Compress++ {
		random := by.Random(n)
		if random > agreed+fio.LaneRound || random < least && random > pieces[0].at {
			continue
		}
		for _, by.Alternate = range []bool{false, true} {
			end := n
			if by.Alternate {
				end = 2 * random
			}
			if padding, ok := paddingOf(pieces, random, end); ok && end <= n &&
				(padding == "" || agreed > pieces[0].at) {
				by.Padding = padding
				list = append(list, by)
			}
		}
	}
	return list
}

// paddingOf is what is repeated between two bytes of a request, "" if that is a zero.
func paddingOf(pieces []piece, from, to int) (string, bool) {
	for _, p := range pieces {
		first, last := max(from, p.at), min(to, p.at+len(p.data))
		if first >= last {
			continue
		}
		data := p.data[first-p.at : last-p.at]
		if verify.IsZero(data) {
			return "", true
		}
		for n := 1; n <= min(maxPadding, len(data)/2); n++ {
			if bytes.Equal(data[n:], data[:len(data)-n]) {
				turn := n - (first-from)%n // it begins where the padding does
				return string(data[turn%n:n]) + string(data[:turn%n]), true
			}
		}
		return "", false
	}
	return "", from >= to
}

// anotherShare reports whether the data of a block follow from its seed with another share of
// padding than those before, as in what another job wrote. Zeroes that begin with a sector, or are
// all that there is, may be damage as well; then the block behind has to be alike.
func (c *checker) anotherShare(p []byte, pos int64, seed uint64, data int, x *expectation) bool {
	span := requestContent{off: pos, n: len(p)}
	if x.N > 0 {
		span = requestContent{off: x.Off, n: x.N}
	}
	if c.l.Payload.Pattern != nil || span.n > maxLookBehind {
		return false
	}
	at := int(pos - span.off)
	pieces := []piece{{at + data, p[data:]}}
	if _, padding := paddingOf(pieces, 0, span.n); !padding && !fio.MayBeFill(p, data) {
		return false
	}
	by, ok := explain(&c.l.Payload.Recipe, pieces, span.n, seed)
	if !ok || pos+int64(len(p)) == c.l.Offset+c.l.Extent {
		return false
	}
	edge := span.off + int64(by.Random(span.n))
	if (edge%verify.Sector == 0 || edge <= pos+int64(data)) &&
		!c.aheadBy(by, span, pos+int64(len(p))) {
		return false
	}
	c.recipe = by
	return true
}

// aheadBy reports whether the block at pos, behind the one that is judged, is made by a recipe as
// well, in a request of the same size.
func (c *checker) aheadBy(by fio.Recipe, span requestContent, pos int64) bool {
	h, ok := c.neighbour(pos)
	if !ok {
		return false
	}
	if pos >= span.off+int64(span.n) {
		span.off += int64(span.n)
	}
	if !span.covers(pos, int(h.Len)) {
		return false
	}
	pieces, ok := c.pieces(c.around.p[pos-c.around.off:], int(pos-span.off), h)
	return ok && makes(&by, pieces, span.n, h.Seed) == span.n
}
