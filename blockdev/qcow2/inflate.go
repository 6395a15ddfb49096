package qcow2

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// A compressed cluster is a raw deflate stream (RFC 1951) whose whole input and output are in
// memory and whose output has a known length. That allows a decoder without a window or a reader,
// which takes half the time of a streaming one.

var errDeflate = errors.New("broken deflate data")

// Limits of deflate, and how many bits of the input index the first table of each alphabet. Longer
// codes take a second step.
const (
	maxCodeBits = 15
	litBits     = 11 // literals and lengths
	distBits    = 9
	lengthBits  = 7 // lengths of codes, none of which is longer
	maxLitSyms  = 286
	maxDistSyms = 30
	maxMatch    = 258 // bytes that one length stands for
)

// hop is what bits of the input stand for. From the lowest bit on: how many bits to take, 0 where
// there is no code; at bit 8, how many of them are the first code, for the rest is a number to add
// or a second literal; flags; and at bit 16 the value, which is one literal or two, the base of a
// length or of a distance, or where a second table begins.
type hop uint32

const (
	hopLiteral hop = 1 << 15
	hopEnd     hop = 1 << 14
	hopTable   hop = 1 << 13
	hopPair    hop = 1 << 12 // two literals
)

func (h hop) bits() uint    { return uint(h) & 0x1f }
func (h hop) code() uint    { return uint(h>>8) & 0xf }
func (h hop) value() int    { return int(h >> 16) }
func (h hop) literals() int { return 1 + int(h/hopPair&1) }

// coded adds the length of a code.
func (h hop) coded(n uint8) hop { return h + hop(n) + hop(n)<<8 }

// number is the value with what input has to add to it.
func (h hop) number(input uint64) int {
	return h.value() + int(input&(1<<h.bits()-1)>>h.code())
}

// symbols are the hops of both alphabets, without the bits of codes.
func symbols() (lit [maxLitSyms]hop, dist [maxDistSyms]hop) {
	for i := range 256 {
		lit[i] = hop(i)<<16 | hopLiteral
	}
	lit[256] = hopEnd
	base := 3
	for i := 257; i < 285; i++ {
		extra := max(0, (i-261)/4)
		lit[i] = hop(base)<<16 | hop(extra)
		base += 1 << extra
	}
	lit[285] = maxMatch << 16
	base = 1
	for i := range dist {
		extra := max(0, i/2-1)
		dist[i] = hop(base)<<16 | hop(extra)
		base += 1 << extra
	}
	return lit, dist
}

// codeOrder is the order in which the lengths of the code length codes are stored.
var codeOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// inflater decodes one stream after the other.
type inflater struct {
	src  []byte
	pos  int
	acc  uint64 // bits not yet taken, the next one lowest
	have uint   // how many

	// The tables of both alphabets: what index bits lead to, and behind it room for a second table
	// for each symbol.
	lit     [1<<litBits + maxLitSyms<<(maxCodeBits-litBits)]hop
	dist    [1<<distBits + maxDistSyms<<(maxCodeBits-distBits)]hop
	lengths [maxLitSyms + maxDistSyms + 16]uint8

	litHops  [maxLitSyms]hop // of symbols, without the bits of their codes
	distHops [maxDistSyms]hop
}

func newInflater() *inflater {
	f := new(inflater)
	f.litHops, f.distHops = symbols()
	return f
}

// inflate fills out from packed. What follows the stream does not matter.
func (f *inflater) inflate(out, packed []byte) error {
	f.src, f.pos, f.acc, f.have = packed, 0, 0, 0
	defer func() { f.src = nil }()
	for done, last := 0, false; done < len(out); {
		if last {
			return errDeflate // ended early
		}
		head, err := f.take(3)
		if err != nil {
			return err
		}
		last = head&1 != 0
		switch head >> 1 {
		case 0:
			done, err = f.stored(out, done)
		case 1:
			if err = f.fixed(); err == nil {
				done, err = f.block(out, done)
			}
		case 2:
			if err = f.dynamic(); err == nil {
				done, err = f.block(out, done)
			}
		default:
			err = errDeflate
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refill tops up the accumulator, with at least 48 bits unless the input ends.
func (f *inflater) refill() {
	if f.pos+8 <= len(f.src) {
		f.acc |= binary.LittleEndian.Uint64(f.src[f.pos:]) << f.have
		f.pos += int(63-f.have) >> 3
		f.have |= 56
		return
	}
	for f.have <= 56 && f.pos < len(f.src) {
		f.acc |= uint64(f.src[f.pos]) << f.have
		f.pos++
		f.have += 8
	}
}

// take is the next n bits, at most 16.
func (f *inflater) take(n uint) (uint, error) {
	f.refill()
	if f.have < n {
		return 0, errDeflate
	}
	v := uint(f.acc & (1<<n - 1))
	f.acc >>= n
	f.have -= n
	return v, nil
}

// stored copies a block that is not compressed.
func (f *inflater) stored(out []byte, done int) (int, error) {
	if _, err := f.take(f.have & 7); err != nil {
		return 0, err
	}
	n, err := f.take(16)
	if err != nil {
		return 0, err
	}
	check, err := f.take(16)
	if err != nil || n != ^check&0xffff {
		return 0, errDeflate
	}
	f.pos -= int(f.have >> 3) // whole bytes that were read ahead
	f.acc, f.have = 0, 0
	n = min(n, uint(len(out)-done))
	if int(n) > len(f.src)-f.pos {
		return 0, errDeflate
	}
	copy(out[done:], f.src[f.pos:f.pos+int(n)])
	f.pos += int(n)
	return done + int(n), nil
}

// fixedLengths are the lengths of the codes that deflate itself names.
func fixedLengths() (lit [288]uint8, dist [32]uint8) {
	for i := range lit {
		switch {
		case i < 144 || i >= 280:
			lit[i] = 8
		case i < 256:
			lit[i] = 9
		default:
			lit[i] = 7
		}
	}
	for i := range dist {
		dist[i] = 5
	}
	return lit, dist
}

// fixed sets the codes that deflate itself names.
func (f *inflater) fixed() error {
	lit, dist := fixedLengths()
	return f.build(lit[:], dist[:])
}

// build makes the tables for codes of the given lengths.
func (f *inflater) build(lit, dist []uint8) error {
	if err := build(f.lit[:], lit, f.litHops[:], litBits); err != nil {
		return err
	}
	f.pair()
	return build(f.dist[:], dist, f.distHops[:], distBits)
}

// dynamic reads the codes of a block.
func (f *inflater) dynamic() error {
	counts, err := f.take(14)
	if err != nil {
		return err
	}
	lits, dists, codes := int(counts&31)+257, int(counts>>5&31)+1, int(counts>>10)+4
	if lits > maxLitSyms || dists > maxDistSyms {
		return errDeflate
	}
	var codeLengths [19]uint8
	for _, i := range codeOrder[:codes] {
		n, err := f.take(3)
		if err != nil {
			return err
		}
		codeLengths[i] = uint8(n)
	}
	var hops [19]hop
	for i := range hops {
		hops[i] = hop(i) << 16
	}
	if err := build(f.lit[:], codeLengths[:], hops[:], lengthBits); err != nil {
		return err
	}
	if err := f.readLengths(lits + dists); err != nil {
		return err
	}
	return f.build(f.lengths[:lits], f.lengths[lits:lits+dists])
}

// readLengths reads n code lengths, which are themselves coded, by the table in lit.
func (f *inflater) readLengths(n int) error {
	for i := 0; i < n; {
		f.refill()
		h := f.lit[f.acc&(1<<lengthBits-1)]
		if h == 0 || h.bits() > f.have {
			return errDeflate
		}
		f.acc >>= h.bits()
		f.have -= h.bits()
		sym := h.value()
		if sym < 16 {
			f.lengths[i] = uint8(sym)
			i++
			continue
		}
		var value uint8
		bits, base := uint(7), 11
		switch sym {
		case 16:
			if i == 0 {
				return errDeflate
			}
			value, bits, base = f.lengths[i-1], 2, 3
		case 17:
			bits, base = 3, 3
		}
		more, err := f.take(bits)
		if err != nil {
			return err
		}
		times := base + int(more)
		if i+times > n {
			return errDeflate
		}
		for range times {
			f.lengths[i] = value
			i++
		}
	}
	return nil
}

// build makes the table for codes of the given lengths: index bits of the input lead to a hop, or
// to a second table for the rest. A code with holes is broken, unless it is a single one of one
// bit.
func build(table []hop, lengths []uint8, symbols []hop, index uint) error {
	var count [maxCodeBits + 1]int
	for _, n := range lengths {
		count[n]++
	}
	longest, left, codes := uint(0), 1, 0
	for n := uint(1); n <= maxCodeBits; n++ {
		left = left<<1 - count[n]
		if left < 0 {
			return errDeflate
		}
		if count[n] > 0 {
			longest = n
		}
		codes += count[n]
	}
	if left > 0 && codes > 0 && longest != 1 {
		return errDeflate
	}
	var next [maxCodeBits + 2]uint
	for n := 1; n <= maxCodeBits; n++ {
		next[n+1] = (next[n] + uint(count[n])) << 1
	}
	used := 1 << index
	clear(table[:used])
	for sym, n := range lengths {
		if n == 0 {
			continue
		}
		code := uint(bits.Reverse16(uint16(next[n])) >> (16 - n))
		next[n]++
		if sym >= len(symbols) {
			continue // has a code, but must not be used
		}
		h := symbols[sym]
		if uint(n) <= index {
			spread(table[:1<<index], code, uint(n), h.coded(n))
			continue
		}
		root := code & (1<<index - 1)
		if table[root] == 0 {
			table[root] = hop(used)<<16 | hopTable | hop(index)
			clear(table[used : used+1<<(maxCodeBits-index)])
			used += 1 << (maxCodeBits - index)
		}
		at := table[root].value()
		spread(table[at:at+1<<(maxCodeBits-index)], code>>index, uint(n)-index,
			h.coded(n-uint8(index)))
	}
	return nil
}

// spread enters h for every index that begins with a code of n bits.
func spread(table []hop, code, n uint, h hop) {
	for i := code; i < uint(len(table)); i += 1 << n {
		table[i] = h
	}
}

// pair makes one hop of two literals where both codes fit into the index of the first table.
func (f *inflater) pair() {
	// downwards: what follows a code is at a lower index, or is the same
	for i := 1<<litBits - 1; i >= 0; i-- {
		h := f.lit[i]
		next := f.lit[i>>h.bits()]
		if h&hopLiteral != 0 && next&hopLiteral != 0 && h.bits()+next.bits() <= litBits {
			f.lit[i] = h | hopPair | next>>16<<24 + hop(next.bits())
		}
	}
}

// block decodes a block of codes up to its end, or until out is full.
func (f *inflater) block(out []byte, done int) (int, error) {
	done, ended, err := f.fast(out, done)
	for !ended && err == nil && done < len(out) {
		if f.have < 48 {
			f.refill()
		}
		h := f.lit[f.acc&(1<<litBits-1)]
		if h&hopTable != 0 {
			f.drop(litBits)
			h = f.lit[h.value()+int(f.acc&(1<<(maxCodeBits-litBits)-1))]
		}
		if h&hopPair != 0 && (h.bits() > f.have || done+1 == len(out)) {
			h = h&^(hopPair|0x1f) | hop(h.code()) // only the first of them
		}
		if h.bits() == 0 || h.bits() > f.have {
			return 0, errDeflate
		}
		input := f.acc
		f.drop(h.bits())
		switch {
		case h&hopLiteral != 0:
			for range h.literals() {
				out[done] = byte(h >> 16)
				h >>= 8
				done++
			}
		case h&hopEnd != 0:
			ended = true
		default:
			back, ok := f.distance()
			if !ok || back > done {
				return 0, errDeflate
			}
			n := min(h.number(input), len(out)-done)
			repeat(out, done, back, n)
			done += n
		}
	}
	return done, err
}

// drop takes bits whose meaning is known.
func (f *inflater) drop(n uint) {
	f.acc >>= n
	f.have -= min(n, f.have)
}

// distance reads how far back a match lies.
func (f *inflater) distance() (back int, ok bool) {
	h := f.dist[f.acc&(1<<distBits-1)]
	if h&hopTable != 0 {
		if f.have < distBits {
			return 0, false
		}
		f.drop(distBits)
		h = f.dist[h.value()+int(f.acc&(1<<(maxCodeBits-distBits)-1))]
	}
	back = h.number(f.acc)
	ok = h.bits() != 0 && h.bits() <= f.have
	f.drop(h.bits())
	return back, ok
}

// Room that fast needs at the end of its input for two refills, and at the end of its output for
// what one turn may write: three times two literals, and a match with what repeat writes too much.
const (
	fastInput  = 16
	fastOutput = 6 + maxMatch + shortMatch
)

// shortMatch is how many bytes of a match are copied without a look at its length: most are
// shorter.
const shortMatch = 24

// fast decodes as long as neither input nor output is near its end, which leaves nothing to be
// looked at on the way. It does what block does, with all that changes in registers. A turn takes
// at most two literals or pairs of 11 bits and a length of 20 from what a refill gives, at least 56
// bits, and a distance of 28 from the next.
func (f *inflater) fast(out []byte, done int) (_ int, ended bool, err error) {
	src, pos, acc, have := f.src, f.pos, f.acc, f.have
	for pos <= len(src)-fastInput && done <= len(out)-fastOutput {
		acc |= binary.LittleEndian.Uint64(src[pos:]) << (have & 63)
		pos += int(63-have) >> 3
		have |= 56
		h := f.lit[acc&(1<<litBits-1)]
		if h&hopLiteral != 0 {
			binary.LittleEndian.PutUint16(out[done:], uint16(h>>16))
			done += h.literals()
			acc >>= h.bits()
			have -= h.bits()
			h = f.lit[acc&(1<<litBits-1)]
			if h&hopLiteral != 0 {
				binary.LittleEndian.PutUint16(out[done:], uint16(h>>16))
				done += h.literals()
				acc >>= h.bits()
				have -= h.bits()
				h = f.lit[acc&(1<<litBits-1)]
			}
		}
		if h&hopTable != 0 {
			acc >>= litBits
			have -= litBits
			h = f.lit[h.value()+int(acc&(1<<(maxCodeBits-litBits)-1))]
		}
		input := acc
		acc >>= h.bits()
		have -= h.bits()
		if h&hopLiteral != 0 {
			binary.LittleEndian.PutUint16(out[done:], uint16(h>>16))
			done += h.literals()
			continue
		}
		if h&hopEnd != 0 {
			ended = true
			break
		}
		length := h.number(input)
		if length == 0 {
			err = errDeflate // no code
			break
		}
		acc |= binary.LittleEndian.Uint64(src[pos:]) << (have & 63)
		pos += int(63-have) >> 3
		have |= 56
		h = f.dist[acc&(1<<distBits-1)]
		if h&hopTable != 0 {
			acc >>= distBits
			have -= distBits
			h = f.dist[h.value()+int(acc&(1<<(maxCodeBits-distBits)-1))]
		}
		back := h.number(acc)
		acc >>= h.bits()
		have -= h.bits()
		if h.bits() == 0 || back > done {
			err = errDeflate
			break
		}
		if back < 8 {
			repeat(out, done, back, length)
			done += length
			continue
		}
		to, from := (*[shortMatch]byte)(out[done:]), (*[shortMatch]byte)(out[done-back:])
		binary.LittleEndian.PutUint64(to[0:], binary.LittleEndian.Uint64(from[0:]))
		binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
		binary.LittleEndian.PutUint64(to[16:], binary.LittleEndian.Uint64(from[16:]))
		if length > shortMatch {
			repeat(out, done+shortMatch, back, length-shortMatch)
		}
		done += length
	}
	f.pos, f.acc, f.have = pos, acc, have
	return done, ended, err
}

// repeat copies n bytes from back bytes before at, which may be bytes that it writes itself. It may
// write up to 7 more.
func repeat(out []byte, at, back, n int) {
	if back >= 8 && at+n+8 <= len(out) {
		for end := at + n; at < end; at += 8 { // what is copied too much is written again
			binary.LittleEndian.PutUint64(out[at:], binary.LittleEndian.Uint64(out[at-back:]))
		}
		return
	}
	for ; n > back; back *= 2 { // what is repeated gets longer with each step
		copy(out[at:at+back], out[at-back:at])
		at, n = at+back, n-back
	}
	copy(out[at:at+n], out[at-back:])
}
