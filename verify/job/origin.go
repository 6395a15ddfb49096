package job

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

const (
	// maxLookBehind bounds how far before a block its request is looked for, in bytes.
	maxLookBehind = 4 << 20
	// maxSearch bounds how many words a checker makes to look for requests whose content cannot be
	// solved for, so that a scan ends in time however much is damaged.
	maxSearch = 1 << 30
)

// origin makes the content that a seed makes at the offset of a block, as far as
// possible the one that agrees with p from data on. The result is as long as p;
// nil if no way of making content explains any of it.
func (c *checker) origin(p []byte, pos int64, seed uint64, data int, x *expectation) []byte {
	if c.l.Payload.Pattern == nil && !fio.MayBeFill(p, data) {
		return nil
	}
	best, bestScore := requestContent{}, 0
	for _, by := range fio.RecipesFrom(c.recipe) {
		for span := range c.candidates(p, pos, data, x, requestContent{seed: seed, recipe: by}) {
			want := c.make(span.off, span.n, seed, span.recipe)[pos-span.off:][:len(p)]
			score := agreement(want[data:], p[data:], x.known)
			if score == len(p)-data {
				c.recipe = by
				c.lastSeed, c.lastOff = seed, span.off
				return want
			}
			if 2*score > len(p)-data && (x.N > 0 || by.Compress == 0) {
				return want // nothing else can agree with as much
			}
			if score > bestScore {
				best, bestScore = c.made, score
			}
		}
		if c.l.Payload.Pattern != nil {
			break
		}
	}
	if bestScore == 0 {
		return nil
	}
	return c.make(best.off, best.n, best.seed, best.recipe)[pos-best.off:][:len(p)]
}

// presumed makes the content that a block should have if its request is where the job or the grid
// says, and made as those before.
func (c *checker) presumed(p []byte, pos int64, seed uint64, x *expectation) []byte {
	span := requestContent{off: pos, n: len(p)}
	if r := (requestContent{off: x.Off, n: x.N}); x.N > 0 && r.covers(pos, len(p)) {
		span = r
	}
	return c.make(span.off, span.n, seed, c.recipe)[pos-span.off:][:len(p)]
}

// candidates lists what the request of a block may be, as seed and recipe of like make it: what the
// job or the grid says, the block alone, or one that began before it, like the request of the block
// before it or where words of the content fit.
func (c *checker) candidates(p []byte, pos int64, data int, x *expectation,
	like requestContent,
) iter.Seq[requestContent] {
	return func(yield func(requestContent) bool) {
		f := like.recipe.Filler
		from := func(start int64) bool {
			like.off = start
			for _, r := range c.ends(p, pos, data, like) {
				if !yield(r) {
					return false
				}
			}
			return true
		}
		if r := like; x.N > 0 {
			r.off, r.n = x.Off, x.N
			if r.covers(pos, len(p)) && !yield(r) {
				return
			}
		}
		if x.known || !from(pos) || c.l.Payload.Pattern != nil || f.Seeded(p, data, like.seed) {
			return
		}
		if c.lastSeed == like.seed && c.lastOff < pos && pos-c.lastOff <= maxLookBehind &&
			!from(c.lastOff) {
			return
		}
		for _, back := range c.starts(p, data, like.seed, min(pos, maxLookBehind), f) {
			if !from(pos - back) {
				return
			}
		}
	}
}

// ends lists how long a request may be of which only the beginning is known: it ends with the block
// or goes on, with as much padding as what is seen of it tells.
func (c *checker) ends(p []byte, pos int64, data int, r requestContent) (list []requestContent) {
	least := int(pos-r.off) + len(p)
	r.n = least
	list = append(list, r)
	if r.n%fio.LaneRound != 0 {
		r.n += fio.LaneRound
		list = append(list, r)
	}
	if r.recipe.Compress == 0 || c.l.Payload.Pattern != nil {
		return list
	}
	plain := requestContent{
		r.off, least + fio.LaneRound, r.seed,
		fio.Recipe{Filler: r.recipe.Filler},
	}
	want := c.make(plain.off, plain.n, plain.seed, plain.recipe)[pos-r.off:][:len(p)]
	if bytes.Equal(want[data:], p[data:]) {
		return append(list, plain) // the padding begins behind the block
	}
	first, _, _ := verify.Differences(want[data:], p[data:])
	random := int(pos-r.off) + data + first
	about := (random - fio.LaneRound) * 100 / (100 - r.recipe.Compress)
	for n := least + max(0, about-least)/len(p)*len(p); n <= maxLookBehind; n += len(p) {
		switch from := r.recipe.Random(n); {
		case from > random+fio.LaneRound:
			return list
		case from >= random-fio.LaneRound:
			r.n = n
			list = append(list, r)
		}
	}
	return list
}

// starts lists how many bytes, up to most, before the block p its request may
// begin. Words in several parts of the block tell, for any may be damaged.
func (c *checker) starts(p []byte, data int, seed uint64, most int64,
	f *fio.Filler,
) (list []int64) {
	if f.Shift != 0 {
		if !c.known.multiBlock || c.searched > maxSearch {
			return nil
		}
		c.searched += most / 8
		return f.Search(p, data, seed, most)
	}
	const places = 5
	for i := range places {
		from := data + (len(p)-data)/places*i
		for at := from; at < from+8 && at+8 <= len(p); at++ {
			if back, ok := f.Before(p, at, seed, most); ok {
				if !slices.Contains(list, back) {
					list = append(list, back)
				}
				break
			}
		}
	}
	return list
}

// agreement scores how much of got is want: all of it, or the bytes in aligned
// words that agree. Zeroes only count if so they should be.
func agreement(want, got []byte, zeroes bool) int {
	if bytes.Equal(want, got) {
		return len(got)
	}
	score := 0
	for i := 0; i+8 <= len(got); i += 8 {
		if w := binary.LittleEndian.Uint64(got[i:]); (w != 0 || zeroes) &&
			w == binary.LittleEndian.Uint64(want[i:]) {
			score += 8
		}
	}
	return min(score, len(got)-1)
}
