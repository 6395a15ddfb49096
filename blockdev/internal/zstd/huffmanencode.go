package zstd

import (
	"cmp"
	"math/bits"
	"slices"
)

// literalEncoder is a code of literals for packing.
type literalEncoder struct {
	lengths [256]uint8 // bits of each literal, 0 for one that does not come
	codes   [256]uint16
	longest int
	last    int // the last literal that comes
}

// build makes the code for literals that come so often, of which there are two at least.
func (c *literalEncoder) build(counts *[256]uint32) {
	var order [256]uint8
	n := 0
	for s, count := range counts {
		if count > 0 {
			order[n] = uint8(s)
			n++
			c.last = s
		}
	}
	slices.SortFunc(order[:n], func(a, b uint8) int {
		return cmp.Or(cmp.Compare(counts[a], counts[b]), cmp.Compare(a, b))
	})
	c.measure(order[:n], counts)
	c.number()
}

// measure finds how long the codes are, of literals from the rarest on: two of the rarest make a
// pair that is as frequent as both, until one is left.
func (c *literalEncoder) measure(order []uint8, counts *[256]uint32) {
	var weights [511]uint32
	var parents [511]uint16
	n := len(order)
	for i, s := range order {
		weights[i] = counts[s]
	}
	leaf, pair := 0, n // the rarest of each that is left
	for made := n; made < 2*n-1; made++ {
		for range 2 {
			rarest := &pair
			if leaf < n && (pair == made || weights[leaf] <= weights[pair]) {
				rarest = &leaf
			}
			weights[made] += weights[*rarest]
			parents[*rarest] = uint16(made)
			*rarest++
		}
	}
	var depths [511]uint8
	for i := 2*n - 3; i >= 0; i-- {
		depths[i] = depths[parents[i]] + 1
	}
	clear(c.lengths[:])
	limit(depths[:n])
	c.longest = int(slices.Max(depths[:n]))
	for i, s := range order {
		c.lengths[s] = depths[i]
	}
}

// limit makes lengths at most maxLiteralBits, and still those of a code without gaps. They are
// those of literals from the rarest on, and fall.
func limit(lengths []uint8) {
	const places = 1 << maxLiteralBits // of codes of the greatest length
	used := 0
	for i := range lengths {
		lengths[i] = min(lengths[i], maxLiteralBits)
		used += places >> lengths[i]
	}
	for i := 0; used > places; { // the rarest that can be longer
		if lengths[i] == maxLiteralBits {
			i++
			continue
		}
		lengths[i]++
		used -= places >> lengths[i]
	}
	for i := len(lengths) - 1; used < places; i-- { // the commonest take what is free
		for used+places>>lengths[i] <= places {
			used += places >> lengths[i]
			lengths[i]--
		}
	}
}

// number gives out the codes: the longest are the lowest.
func (c *literalEncoder) number() {
	var first [maxLiteralBits + 2]uint16
	for _, n := range c.lengths {
		if n > 0 {
			first[n]++
		}
	}
	code := uint16(0)
	for n := c.longest; n > 0; n-- {
		count := first[n]
		first[n] = code
		code = (code + count) >> 1
	}
	for s, n := range c.lengths {
		if n > 0 {
			c.codes[s] = first[n]
			first[n]++
		}
	}
}

// bytes is about how many bytes literals take that come so often.
func (c *literalEncoder) bytes(counts *[256]uint32) int {
	sum := 0
	for s, n := range counts {
		sum += int(n) * int(c.lengths[s])
	}
	return sum / 8
}

// appendTo appends the code as literalCode.read reads it. It is nil if there is no way to.
func (c *literalEncoder) appendTo(out []byte) []byte {
	var weights [256]uint8
	for s := range c.last {
		if n := c.lengths[s]; n > 0 {
			weights[s] = uint8(c.longest+1) - n
		}
	}
	const most = 128 // weights that can be written plainly
	at := len(out)
	plain := 1 + (c.last+1)/2
	if packed := packWeights(append(out, 0), weights[:c.last]); packed != nil {
		if n := len(packed) - at - 1; n < most && (n+1 < plain || c.last > most) {
			packed[at] = uint8(n)
			return packed
		}
	}
	if c.last > most {
		return nil
	}
	out = append(out[:at], uint8(127+c.last))
	for i := 0; i < c.last; i += 2 {
		out = append(out, weights[i]<<4|weights[i+1])
	}
	return out
}

// packWeights appends weights, packed. It is nil if that cannot be.
func packWeights(out, weights []uint8) []byte {
	var counts [maxWeight + 1]uint32
	for _, w := range weights {
		counts[w]++
	}
	if len(weights) < 3 || slices.Max(counts[:]) == uint32(len(weights)) {
		return nil
	}
	var states [maxWeight + 1]int16
	d := shares(counts[:], len(weights), maxWeightsLog, states[:])
	w := forward{out: d.appendTo(out)}
	var c stateCoder
	c.build(d)
	var turns [2]uint16
	for i := len(weights) - 1; i >= 0; i-- {
		if i >= len(weights)-2 {
			turns[i&1] = c.start[weights[i]]
		} else {
			turns[i&1] = c.put(&w, turns[i&1], weights[i])
		}
	}
	c.end(&w, turns[1])
	c.end(&w, turns[0])
	return w.bytes()
}

// appendStream appends literals, from the last to the first.
func (c *literalEncoder) appendStream(out, literals []byte) []byte {
	w := forward{out: out}
	i := len(literals)
	for ; i >= 4; i -= 4 {
		var v uint64
		n := uint(0)
		for _, s := range [4]byte{literals[i-1], literals[i-2], literals[i-3], literals[i-4]} {
			v |= uint64(c.codes[s]) << (n & 63)
			n += uint(c.lengths[s])
		}
		w.put(v&(1<<22-1), min(n, 22))
		w.put(v>>22, n-min(n, 22))
	}
	for ; i > 0; i-- {
		w.put(uint64(c.codes[literals[i-1]]), uint(c.lengths[literals[i-1]]))
	}
	return w.bytes()
}

// count counts literals.
func count(literals []byte) (counts [256]uint32) {
	var more [3][256]uint32 // of every fourth, so that one does not wait for the one before
	i := 0
	for ; i+4 <= len(literals); i += 4 {
		counts[literals[i]]++
		more[0][literals[i+1]]++
		more[1][literals[i+2]]++
		more[2][literals[i+3]]++
	}
	for ; i < len(literals); i++ {
		counts[literals[i]]++
	}
	for s := range counts {
		counts[s] += more[0][s] + more[1][s] + more[2][s]
	}
	return counts
}

// codeOf is the symbol of a length, by the bases of symbols that ascend.
func codeOf(n uint32, bases []uint32) uint8 {
	at, found := slices.BinarySearch(bases, n)
	if !found {
		at--
	}
	return uint8(at)
}

// Symbols of what is common are looked up.
func lengthCode(n uint32, bases *[maxSymbols]uint32) uint8 {
	switch {
	case n < 16:
		return uint8(n)
	case n < 64:
		return codeOf(n, bases[:len(literalLengths.more)])
	}
	return uint8(bits.Len32(n) + 18)
}

func matchCode(n uint32, bases *[maxSymbols]uint32) uint8 {
	switch {
	case n < 35:
		return uint8(n - 3)
	case n < 131:
		return codeOf(n, bases[:len(matchLengths.more)])
	}
	return uint8(bits.Len32(n-3) + 35)
}

func offsetCode(n uint32) uint8 { return uint8(bits.Len32(n) - 1) }
