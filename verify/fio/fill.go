package fio

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// A Filler is one of the ways in which fio made random content from a seed: lanes of words, taken
// in turn, each word the one before times mul, shifted right by shift.
type Filler struct {
	lanes int
	mul   uint64
	Shift uint
}

// LaneRound is how many bytes one turn of all four lanes makes.
const LaneRound = 32

// laneFactors are what the seed is multiplied with to start each lane.
var laneFactors = [4]uint64{1, 2, 3, 5}

const (
	fillMul    = 0x61c8864680b583eb
	fillMulOld = 0x9e37fffffffc0001
)

// Fillers lists them; the first two are the ones that are written.
var Fillers = []Filler{
	{4, fillMul, 0},    // since 3.32
	{1, fillMulOld, 3}, // 2.2 to 2.9
	{1, fillMul, 3},    // 2.10 to 3.30
	{1, fillMul, 0},    // 3.31
}

// Fill makes a whole request of random content, or a piece of one that is a
// multiple of 32 bytes long: the next piece begins with the seed next.
func (f *Filler) Fill(p []byte, seed uint64) (next uint64) {
	if f.lanes == 4 {
		seed, p = fillLanes(p, seed)
	}
	mul, shift := f.mul, f.Shift
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, seed)
		seed = seed * mul >> shift
		p = p[8:]
	}
	f.fillTail(p, seed)
	return seed
}

// Makes reports whether p, from byte from on, is random content of the seed. buf
// is for pieces of it that stay in the cache.
func (f *Filler) Makes(p []byte, from int, seed uint64, buf []byte) bool {
	for len(p) > 0 {
		n := min(len(p), len(buf)&^(LaneRound-1))
		if f.lanes == 4 && from == 0 && len(p) >= LaneRound {
			var ok bool
			if seed, p, ok = matchLanes(p, seed); !ok {
				return false
			}
			continue
		}
		if f.lanes == 4 && from > 0 {
			n = min(n, (from+LaneRound-1)&^(LaneRound-1))
		}
		seed = f.Fill(buf[:n], seed)
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
	for len(p) >= LaneRound {
		q := p[:LaneRound]
		binary.LittleEndian.PutUint64(q[0:], a)
		binary.LittleEndian.PutUint64(q[8:], b)
		binary.LittleEndian.PutUint64(q[16:], c)
		binary.LittleEndian.PutUint64(q[24:], d)
		a *= fillMul
		b *= fillMul
		c *= fillMul
		d *= fillMul
		p = p[LaneRound:]
	}
	return a, p
}

// matchLanes reports whether fillLanes would leave p as it is, and returns what that does.
func matchLanes(p []byte, seed uint64) (next uint64, rest []byte, ok bool) {
	a, b, c, d := seed, 2*seed, 3*seed, 5*seed
	for len(p) >= LaneRound {
		q := p[:LaneRound]
		wrong := (binary.LittleEndian.Uint64(q[0:]) ^ a) | (binary.LittleEndian.Uint64(q[8:]) ^ b) |
			(binary.LittleEndian.Uint64(q[16:]) ^ c) | (binary.LittleEndian.Uint64(q[24:]) ^ d)
		if wrong != 0 {
			return 0, nil, false
		}
		a *= fillMul
		b *= fillMul
		c *= fillMul
		d *= fillMul
		p = p[LaneRound:]
	}
	return a, p, true
}

// fillTail fills less than 8 bytes. With one lane fio takes steps of 4, 2 and
// 1 bytes, and each step makes a new word.
func (f *Filler) fillTail(p []byte, seed uint64) {
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
		seed = seed * f.mul >> f.Shift
	}
}

// seedAt solves for the seed of a request whose random content has the word w at byte at; at is a
// multiple of 8. Fillers that shift lose bits and cannot be solved.
func (f *Filler) seedAt(w uint64, at int64) (uint64, bool) {
	if f.Shift != 0 {
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

// Follows reports whether p looks like random content of the filler from any
// seed: each word follows from the one a lane's turn before.
func (f *Filler) Follows(p []byte) bool {
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

// inverse is the inverse of an odd a modulo 2^64: each Newton step doubles the
// number of correct low bits, and a itself has three.
func inverse(a uint64) uint64 {
	x := a
	for range 5 {
		x *= 2 - a*x
	}
	return x
}

// followed reports whether the word at at is not zero, and the next one of its lane follows from
// it.
func (f *Filler) followed(p []byte, at int) bool {
	next := at + 8*f.lanes
	if next+8 > len(p) {
		return false
	}
	w := binary.LittleEndian.Uint64(p[at:])
	return w != 0 && binary.LittleEndian.Uint64(p[next:]) == w*f.mul>>f.Shift
}

// MayBeFill reports whether any of the random data of a block from data on, where it is looked at,
// may come from a filler: each word of a lane follows from the one before.
func MayBeFill(p []byte, data int) bool {
	const places = 16
	step := 1
	if len(p)%8 == 0 {
		step = 8 // words begin where the block does, whatever part of a request it is
	}
	for i := range places {
		from := (data + (len(p)-data)/places*i + step - 1) / step * step
		for at := from; at < from+8; at += step {
			for k := range Fillers {
				if Fillers[k].followed(p, at) {
					return true
				}
			}
		}
	}
	return false
}

// Seeded reports whether the first word behind data is what seed makes there, in
// a request that begins with p.
func (f *Filler) Seeded(p []byte, data int, seed uint64) bool {
	first := data + -data&7
	for at := first; at+8 <= len(p) && at < first+LaneRound; at += 8 {
		if s, ok := f.seedAt(binary.LittleEndian.Uint64(p[at:]), int64(at)); ok {
			return s == seed
		}
	}
	return false
}

// Before solves for how many bytes before p its request begins, if the word at
// at is what seed makes there.
func (f *Filler) Before(p []byte, at int, seed uint64, most int64) (back int64, ok bool) {
	if len(p)%8 == 0 && at%8 != 0 {
		return 0, false // the blocks before p are as long as it is
	}
	w := binary.LittleEndian.Uint64(p[at:])
	for lane := range uint64(f.lanes) {
		steps, ok := f.steps(seed*laneFactors[lane], w, uint64(most+int64(len(p))))
		back = int64((steps*uint64(f.lanes)+lane)*8) - int64(at)
		if ok && back > 0 && back <= most && back%int64(len(p)) == 0 {
			return back, true
		}
	}
	return 0, false
}

// steps solves from * mul^n = to for n, up to a limit. The powers of mul, which
// is 3 modulo 8, are a cyclic group of 2^62 numbers, so n follows bit by bit.
func (f *Filler) steps(from, to, limit uint64) (n uint64, ok bool) {
	even := bits.TrailingZeros64(from) // so many of the highest bits of n are lost
	if from == 0 || to == 0 || bits.TrailingZeros64(to) != even {
		return 0, false
	}
	rest, back := (to>>even)*inverse(from>>even), inverse(f.mul)
	for bit := uint64(0); uint64(1)<<bit <= limit; bit++ {
		if rest&(1<<(bit+3)-1) != 1 {
			rest *= back
			n |= 1 << bit
		}
		back *= back
	}
	return n, n <= limit && from*power(f.mul, n) == to
}

// Search is starts for fillers that cannot be solved: it makes the content of
// the request, to find out how many words are before those of p.
func (f *Filler) Search(p []byte, data int, seed uint64, most int64) (list []int64) {
	const places = 4
	var words [places]uint64
	var at [places]int64
	if len(p)%8 != 0 || len(p)-data < 8*(places+1) {
		return nil
	}
	for i := range words {
		n := (data + (len(p)-data)/places*i + 7) &^ 7
		words[i], at[i] = binary.LittleEndian.Uint64(p[n:]), int64(n)
	}
	for x, made := seed, int64(0); made <= most+at[places-1]; x, made = x*f.mul>>f.Shift, made+8 {
		for i, w := range words {
			back := made - at[i]
			if x == w && x != 0 && back > 0 && back <= most && back%int64(len(p)) == 0 {
				return append(list, back)
			}
		}
	}
	return nil
}

// SolveSeed finds the seed of a block of random content whose header is lost, by
// two words that give the same; start is where its request begins.
func SolveSeed(p []byte, pos, start int64) (seed uint64, ok bool) {
	f := &Fillers[0]
	if start > pos || (pos-start)%LaneRound != 0 {
		return 0, false // the first lane is sought, whatever the tail
	}
	last, seen := uint64(0), false
	for at := int64(len(p)) &^ 31; at >= 32; at -= 32 {
		from := at - 32
		s, ok := f.seedAt(binary.LittleEndian.Uint64(p[from:]), pos-start+from)
		if ok && s != 0 && seen && s == last {
			return s, true
		}
		last, seen = s, ok
	}
	return 0, false
}
