package fio

import (
	"fmt"
	"math/bits"
)

// lfsrTaps are the feedback taps by register width from 3 bits on, the widest
// first (a maximal-length table as in Xilinx application note 52).
var lfsrTaps = [...][]uint{
	{3, 2},
	{4, 3},
	{5, 3},
	{6, 5},
	{7, 6},
	{8, 6, 5, 4},
	{9, 5},
	{10, 7},
	{11, 9},
	{12, 6, 4, 1},
	{13, 4, 3, 1},
	{14, 5, 3, 1},
	{15, 14},
	{16, 15, 13, 4},
	{17, 14},
	{18, 11},
	{19, 6, 2, 1},
	{20, 17},
	{21, 19},
	{22, 21},
	{23, 18},
	{24, 23, 22, 17},
	{25, 22},
	{26, 6, 2, 1},
	{27, 5, 2, 1},
	{28, 25},
	{29, 27},
	{30, 6, 4, 1},
	{31, 28},
	{32, 31, 29, 1},
	{33, 20},
	{34, 27, 2, 1},
	{35, 33},
	{36, 25},
	{37, 5, 4, 3, 2, 1},
	{38, 6, 5, 1},
	{39, 35},
	{40, 38, 21, 19},
}

// An lfsr visits 0..n-1 once each in an order that looks random, without
// memory: a shift register with exclusive-nor feedback.
type lfsr struct {
	n, done       int64
	state         uint64
	feedback, top uint64
}

const lfsrMinWidth = 3

func newLFSR(n int64, seed uint64) (*lfsr, error) {
	width := max(bits.Len64(uint64(n)), lfsrMinWidth)
	if width-lfsrMinWidth >= len(lfsrTaps) {
		return nil, fmt.Errorf("random_generator=lfsr: %d blocks are too many", n)
	}
	l := &lfsr{n: n}
	if n == 0 {
		return l, nil
	}
	for _, tap := range lfsrTaps[width-lfsrMinWidth] {
		l.feedback |= 1 << (tap - 1)
	}
	l.top = 1 << (width - 1)
	mask := l.top<<1 - 1
	l.state = seed & mask
	if l.state == mask {
		return nil, fmt.Errorf("random_generator=lfsr: seed %#x stands still for %d blocks", seed,
			n)
	}
	return l, nil
}

// next is the next block, -1 behind the last.
func (l *lfsr) next() int64 {
	if l.done >= l.n {
		return -1
	}
	l.done++
	for {
		if l.step(); l.state < uint64(l.n) {
			return int64(l.state)
		}
	}
}

// step goes on to the next state, which may be no block.
func (l *lfsr) step() {
	odd := l.state&1 != 0
	l.state = l.state>>1 | l.top
	if !odd {
		l.state ^= l.feedback
	}
}
