package verify

import (
	"bytes"
	"encoding/binary"
)

// A filler is one of the ways in which fio made random content from a seed:
// lanes of words, taken in turn, each word the one before times mul, shifted
// right by shift.
type filler struct {
	lanes int
	mul   uint64
	shift uint
}

// laneRound is how many bytes one turn of all four lanes makes.
const laneRound = 32

// laneFactors are what the seed is multiplied with to start each lane.
var laneFactors = [4]uint64{1, 2, 3, 5}

const (
	fillMul    = 0x61c8864680b583eb
	fillMulOld = 0x9e37fffffffc0001
)

// fillers lists them; the first two are the ones that are written.
var fillers = []filler{
	{4, fillMul, 0},    // since 3.32
	{1, fillMulOld, 3}, // 2.2 to 2.9
	{1, fillMul, 3},    // 2.10 to 3.30
	{1, fillMul, 0},    // 3.31
}

// fill makes a whole request of random content, or a piece of one that is a
// multiple of 32 bytes long: the next piece begins with the seed next.
func (f *filler) fill(p []byte, seed uint64) (next uint64) {
	if f.lanes == 4 {
		seed, p = fillLanes(p, seed)
	}
	mul, shift := f.mul, f.shift
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, seed)
		seed = seed * mul >> shift
		p = p[8:]
	}
	f.fillTail(p, seed)
	return seed
}

// made reports whether p, from byte from on, is random content of the seed. buf
// is for pieces of it that stay in the cache.
func (f *filler) made(p []byte, from int, seed uint64, buf []byte) bool {
	for len(p) > 0 {
		n := min(len(p), len(buf)&^(laneRound-1))
		if f.lanes == 4 && from == 0 && len(p) >= laneRound {
			var ok bool
			if seed, p, ok = matchLanes(p, seed); !ok {
				return false
			}
			continue
		}
		if f.lanes == 4 && from > 0 {
			n = min(n, (from+laneRound-1)&^(laneRound-1))
		}
		seed = f.fill(buf[:n], seed)
		if from < n && !bytes.Equal(p[from:n], buf[from:n]) {
			return false
		}
		p, from = p[n:], max(0, from-n)
	}
	return true
}

// fillLanes fills the part of p that is a multiple of 32 bytes and returns the
// next word of the first lane, with which the rest goes on.
func fillLanes(p []byte, seed uint64) (next uint64, rest []byte) {
	a, b, c, d := seed, 2*seed, 3*seed, 5*seed
	for len(p) >= laneRound {
		q := p[:laneRound]
		binary.LittleEndian.PutUint64(q[0:], a)
		binary.LittleEndian.PutUint64(q[8:], b)
		binary.LittleEndian.PutUint64(q[16:], c)
		binary.LittleEndian.PutUint64(q[24:], d)
		a *= fillMul
		b *= fillMul
		c *= fillMul
		d *= fillMul
		p = p[laneRound:]
	}
	return a, p
}

// matchLanes reports whether fillLanes would leave p as it is, and returns what
// that does.
func matchLanes(p []byte, seed uint64) (next uint64, rest []byte, ok bool) {
	a, b, c, d := seed, 2*seed, 3*seed, 5*seed
	for len(p) >= laneRound {
		q := p[:laneRound]
		wrong := (binary.LittleEndian.Uint64(q[0:]) ^ a) | (binary.LittleEndian.Uint64(q[8:]) ^ b) |
			(binary.LittleEndian.Uint64(q[16:]) ^ c) | (binary.LittleEndian.Uint64(q[24:]) ^ d)
		if wrong != 0 {
			return 0, nil, false
		}
		a *= fillMul
		b *= fillMul
		c *= fillMul
		d *= fillMul
		p = p[laneRound:]
	}
	return a, p, true
}

// fillTail fills less than 8 bytes. With one lane fio takes steps of 4, 2 and
// 1 bytes, and each step makes a new word.
func (f *filler) fillTail(p []byte, seed uint64) {
	var word [8]byte
	for step := 4; len(p) > 0; step /= 2 {
		if f.lanes == 1 && len(p) < step {
			continue
		}
		binary.LittleEndian.PutUint64(word[:], seed)
		n := len(p)
		if f.lanes == 1 {
			n = step
		}
		copy(p[:n], word[:])
		p = p[n:]
		seed = seed * f.mul >> f.shift
	}
}

// seedAt solves for the seed of a request whose random content has the word w
// at byte at; at is a multiple of 8. Fillers that shift lose bits and cannot be
// solved.
func (f *filler) seedAt(w uint64, at int64) (uint64, bool) {
	if f.shift != 0 {
		return 0, false
	}
	word := uint64(at / 8)
	lane, steps := word%uint64(f.lanes), word/uint64(f.lanes)
	factor := laneFactors[lane]
	if factor == 2 {
		return 0, false
	}
	return w * power(inverse(f.mul), steps) * inverse(factor), true
}

// power is a to the n modulo 2^64.
func power(a, n uint64) uint64 {
	x := uint64(1)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			x *= a
		}
		a *= a
	}
	return x
}

// follows reports whether p looks like random content of the filler from any
// seed: each word follows from the one a lane's turn before.
func (f *filler) follows(p []byte) bool {
	turn := 8 * f.lanes
	if len(p) < 2*turn {
		return false
	}
	for i := 0; i+turn+8 <= len(p); i += 8 {
		if !f.followed(p, i) {
			return false
		}
	}
	return true
}

// A recipe is how the random content of a request is made. Recipes are equal if they make the same.
type recipe struct {
	filler *filler
	// compress is the percentage of a request that is padding, which is zeroes
	// or repetitions of the padding pattern.
	compress int
	padding  string
	// alternate says that random data and padding, in equal parts, take turns:
	// a quirk of fio before 3.13.
	alternate bool
}

// random is how many bytes of a request of n bytes come before its padding.
func (r *recipe) random(n int) int { return int(int64(n) * int64(100-r.compress) / 100) }

// fill makes a whole request of random content.
func (r *recipe) fill(p []byte, seed uint64) {
	random := r.random(len(p))
	switch {
	case r.compress == 0:
		r.filler.fill(p, seed)
		return
	case random == 0:
		r.pad(p)
		return
	case !r.alternate:
		r.filler.fill(p[:random], seed)
		r.pad(p[random:])
		return
	}
	for len(p) > 0 {
		n := min(random, len(p))
		r.filler.fill(p[:n], seed)
		p = p[n:]
		if n = min(random, len(p)); len(p)-n <= 8 {
			n = len(p)
		}
		r.pad(p[:n])
		p = p[n:]
	}
}

// mayMake reports whether p may be a piece of a request of which neither the beginning nor the end
// is known, for all that can be said of its padding.
func (r *recipe) mayMake(p []byte) bool {
	switch {
	case r.compress == 0:
		return false
	case r.alternate:
		return true
	case r.padding == "":
		return IsZero(p)
	}
	unit := []byte(r.padding)
	for phase := range unit {
		if matchPeriod(p, unit, phase) {
			return true
		}
	}
	return false
}

func (r *recipe) pad(p []byte) {
	if r.padding == "" {
		clear(p)
		return
	}
	for len(p) > 0 {
		p = p[copy(p, r.padding):]
	}
}

// content makes the data of requests. It is immutable.
type content struct {
	recipe
	// pattern, if any, is the data, starting anew every patternInterval bytes
	// of a request; 0 is once a request.
	pattern         *literal
	patternInterval int
	// still says that the pattern of all requests is that of offset 0.
	still bool
}

// fill makes the data of the request p at offset off, those that are random by a recipe.
func (c *content) fill(p []byte, off int64, seed uint64, by *recipe) {
	if c.still {
		off = 0
	}
	switch {
	case c.pattern != nil && c.patternInterval > 0:
		for start := 0; start < len(p); start += c.patternInterval {
			end := min(start+c.patternInterval, len(p))
			c.pattern.instance(p[start:end], off+int64(start))
		}
	case c.pattern != nil:
		c.pattern.instance(p, off)
	default:
		by.fill(p, seed)
	}
}

// repeats reports whether the pattern is the same everywhere and p, from byte
// from of a request on, consists of it.
func (c *content) repeats(p []byte, from int64) bool {
	pat := c.pattern
	return pat != nil && len(pat.stamps) == 0 && c.patternInterval == 0 && matchPeriod(p, pat.unit, int(from%int64(len(pat.unit))))
}

// recipesFrom lists the recipes that are tried if nobody told which it is: first the one, then
// those of other fillers, and those without padding.
func recipesFrom(first recipe) []recipe {
	list := []recipe{first}
	for i := range fillers {
		other := first
		if other.filler = &fillers[i]; other != first {
			list = append(list, other)
		}
	}
	if first.compress > 0 {
		for i := range fillers {
			list = append(list, recipe{filler: &fillers[i]})
		}
	}
	return list
}
