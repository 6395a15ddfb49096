package zstd

import (
	"encoding/binary"
	"math/bits"
)

// The code of literals, RFC 8878 section 4.2. A symbol of weight w > 0 has 1<<(w-1) rows of the
// table, and so takes w-1 bits less than the longest do.
const (
	maxLiteralBits = 11
	maxWeightsLog  = 6
	maxWeight      = maxLiteralBits
)

// literalCode decodes literals: by the next maxLiteralBits bits, the literal and, in the low byte,
// how many bits it takes.
type literalCode struct {
	rows  [1 << maxLiteralBits]uint16
	known bool
}

// weightValues are what the symbols of the code of weights stand for.
var weightValues = symbolsOf{more: []uint8{maxWeight: 0}}

// read reads the code that stands in src from start on, and says how many bytes it takes.
func (c *literalCode) read(src []byte, start int) (n int, err error) {
	c.known = false
	var weights [256]uint8
	if start >= len(src) {
		return 0, errCut
	}
	count := int(src[start]) - 127
	n = 1 + (count+1)/2
	if count <= 0 { // the weights are packed
		n = 1 + int(src[start])
	}
	if start+n > len(src) {
		return 0, errCut
	}
	if count <= 0 {
		if count, err = unpackWeights(src, start+1, start+n, weights[:255]); err != nil {
			return 0, err
		}
	} else {
		for i := range count {
			weights[i] = src[start+1+i/2] >> (4 - i&1*4) & 15
		}
	}
	return n, c.build(&weights, count)
}

// unpackWeights reads weights that two states of one code tell by turns.
func unpackWeights(src []byte, start, end int, into []uint8) (count int, err error) {
	var t table
	var states [maxWeight + 1]int16
	d, n, err := readDistribution(src[start:end], states[:], len(states), maxWeightsLog)
	if err != nil {
		return 0, err
	}
	t.build(d, &weightValues)
	b, err := newBackward(src, start+n, end)
	if err != nil {
		return 0, err
	}
	turns := [2]int{b.take(t.log), b.take(t.log)}
	for b.pos >= b.low {
		if count+2 > len(into) {
			return 0, errCorrupt
		}
		turn := &turns[count&1]
		row := t.rows[*turn]
		into[count] = uint8(row.base())
		count++
		*turn = row.next() + b.take(row.take())
		if b.pos < b.low { // the other has one to tell yet
			into[count] = uint8(t.rows[turns[count&1]].base())
			count++
		}
	}
	return count, nil
}

// build makes the table of count weights. That of one more symbol is what is left.
func (c *literalCode) build(weights *[256]uint8, count int) error {
	var symbols [maxWeight + 1]int // by weight
	total := 0
	for _, w := range weights[:count] {
		if w > maxWeight {
			return errCorrupt
		}
		symbols[w]++
		total += 1 << w >> 1
	}
	longest := bits.Len(uint(total))
	left := 1<<longest - total
	if total == 0 || longest > maxLiteralBits || left&(left-1) != 0 {
		return errCorrupt
	}
	weights[count] = uint8(bits.Len(uint(left)))
	symbols[weights[count]]++
	if symbols[1] < 2 || symbols[1]&1 != 0 {
		return errCorrupt
	}
	var starts [maxWeight + 1]int
	wide := maxLiteralBits - longest // a row of a shorter code is so many more of the table
	at := 0
	for w := 1; w <= longest; w++ {
		starts[w] = at
		at += symbols[w] << (w - 1 + wide)
	}
	for symbol, w := range weights[:count+1] {
		if w == 0 {
			continue
		}
		rows := c.rows[starts[w]:][:1<<(int(w)-1+wide)]
		row := uint16(symbol)<<8 | uint16(longest+1-int(w))
		for i := range rows {
			rows[i] = row
		}
		starts[w] += len(rows)
	}
	c.known = true
	return nil
}

// decode reads literals into out from one stream, the part of src from start to end.
func (c *literalCode) decode(out, src []byte, start, end int) error {
	b, err := newBackward(src, start, end)
	if err != nil {
		return err
	}
	return c.finish(out, &b)
}

// finish reads the last literals of a stream, which must end with them.
func (c *literalCode) finish(out []byte, b *backward) error {
	for i := 0; i < len(out); {
		if b.pos < b.low {
			return errCorrupt
		}
		top := b.top()
		for n := min(len(out), i+refillBits/maxLiteralBits); i < n; i++ {
			row := c.rows[top>>(64-maxLiteralBits)]
			out[i] = uint8(row >> 8)
			top <<= row & 63
			b.pos -= int(row & 63)
		}
	}
	if b.pos != b.low {
		return errCorrupt
	}
	return nil
}

// decodeFour reads literals from four streams, which stand behind the sizes of the first three.
func (c *literalCode) decodeFour(out, src []byte, start, end int) error {
	const sizes = 6
	if end-start < sizes+4 || len(out) < 4 {
		return errCorrupt
	}
	each := (len(out) + 3) / 4
	if 3*each > len(out) {
		return errCorrupt
	}
	var streams [4]backward
	at := start + sizes
	for i := range streams {
		to := end
		if i < 3 {
			to = at + int(binary.LittleEndian.Uint16(src[start+2*i:]))
		}
		if to > end {
			return errCorrupt
		}
		var err error
		if streams[i], err = newBackward(src, at, to); err != nil {
			return err
		}
		at = to
	}
	done := c.fast(out, each, src, &streams)
	for i := range streams {
		part := out[i*each : min(len(out), (i+1)*each)]
		if err := c.finish(part[done:], &streams[i]); err != nil {
			return err
		}
	}
	return nil
}
