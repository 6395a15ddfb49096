package zstd

import (
	"encoding/binary"
	"math/bits"
)

// Finite state entropy, RFC 8878 section 4.1. A distribution gives each symbol so many of the
// states as it is frequent; -1 is one state, for a symbol that is rarer than that.

const (
	maxStatesLog = 9
	minStatesLog = 5
	maxSymbols   = 64 // of all codes but that of literals
)

// distribution is how many of the 1<<log states each symbol has.
type distribution struct {
	log    int
	states []int16 // by symbol
}

// readDistribution reads one with at most limit symbols, of at most 1<<maxLog states, into memory
// of the caller. n is how many bytes it takes.
func readDistribution(src []byte, into []int16, limit, maxLog int) (
	d distribution, n int, err error,
) {
	if len(src) == 0 {
		return d, 0, errCut
	}
	d.log = int(src[0]&15) + minStatesLog
	if d.log > maxLog {
		return d, 0, errCorrupt
	}
	at := 4 // bits that were read
	peek := func(n int) int { return int(window(src, at)) & (1<<n - 1) }
	left := 1<<d.log + 1
	width := d.log + 1 // bits of the next number, or one less
	symbol := 0
	for left > 1 {
		if symbol >= limit || at > 8*len(src) {
			return d, 0, errCorrupt
		}
		small := 1<<width - 1 - left // numbers below take a bit less
		v := peek(width - 1)
		if v < small {
			at += width - 1
		} else {
			if v = peek(width); v >= 1<<(width-1) {
				v -= small
			}
			at += width
		}
		states := int16(v - 1)
		into[symbol] = states
		symbol++
		left -= int(max(states, -states))
		if states == 0 {
			for run := 3; run == 3; at += 2 {
				run = peek(2)
				if symbol+run > limit || at > 8*len(src) {
					return d, 0, errCorrupt
				}
				clear(into[symbol : symbol+run])
				symbol += run
			}
		}
		for left < 1<<(width-1) {
			width--
		}
	}
	n = (at + 7) / 8
	if left != 1 || n > len(src) {
		return d, 0, errCorrupt
	}
	d.states = into[:symbol]
	return d, n, nil
}

// window is at least 24 bits of src from a bit on, with zeroes behind its end.
func window(src []byte, at int) uint32 {
	var w [4]byte
	copy(w[:], src[min(at/8, len(src)):])
	return binary.LittleEndian.Uint32(w[:]) >> (at & 7)
}

// spread says which symbol each state is of.
func (d distribution) spread(symbols []uint8) {
	size := 1 << d.log
	mask, step := size-1, size>>1+size>>3+3
	high := size - 1
	for s, n := range d.states {
		if n == -1 {
			symbols[high] = uint8(s)
			high--
		}
	}
	at := 0
	for s, n := range d.states {
		for range n {
			symbols[at] = uint8(s)
			for at = (at + step) & mask; at > high; at = (at + step) & mask {
			}
		}
	}
}

// state is a row of a table for decoding: what the symbol of the state stands for, and how the next
// state is found.
type state uint64

// newState is one of a symbol that stands for base and so many bits more. The next state is next
// and so many bits more as take says.
func newState(base uint32, more, take uint8, next uint16) state {
	return state(base)<<32 | state(next)<<16 | state(take)<<8 | state(more)
}

func (s state) base() int { return int(s >> 32) }
func (s state) more() int { return int(s & 255) }
func (s state) take() int { return int(s >> 8 & 255) }
func (s state) next() int { return int(s >> 16 & 0xffff) }

// table decodes: the rows of 1<<log states.
type table struct {
	log  int
	rows [1 << maxStatesLog]state
}

// symbolsOf are what the symbols of a code stand for: each for as many numbers as more bits tell
// apart, behind those of the symbol before.
type symbolsOf struct {
	first uint32
	more  []uint8
}

// bases are the least number that each symbol stands for.
func (of *symbolsOf) bases() (list [maxSymbols]uint32) {
	base := of.first
	for s, more := range of.more {
		list[s] = base
		base += 1 << more
	}
	return list
}

// build makes a table. The symbols are known to be those of what they stand for.
func (t *table) build(d distribution, of *symbolsOf) {
	var symbols [1 << maxStatesLog]uint8
	var seen [maxSymbols]uint16
	d.spread(symbols[:1<<d.log])
	for s, n := range d.states {
		seen[s] = uint16(max(n, -n))
	}
	bases := of.bases()
	t.log = d.log
	for i, s := range symbols[:1<<d.log] {
		x := seen[s]
		seen[s]++
		take := d.log + 1 - bits.Len16(x)
		t.rows[i] = newState(bases[s], of.more[s], uint8(take), x<<take-1<<d.log)
	}
}
