package fio

import (
	"fmt"
	"math/bits"
)

// lfsrTaps are the feedback taps by register width from 3 bits on, besides the highest bit (a
// maximal-length table as in Xilinx application note 52).
var lfsrTaps = [...][]uint{
	{2},
	{3},
	{3},
	{5},
	{6},
	{6, 5, 4},
	{5},
	{7},
	{9},
	{6, 4, 1},
	{4, 3, 1},
	{5, 3, 1},
	{14},
	{15, 13, 4},
	{14},
	{11},
	{6, 2, 1},
	{17},
	{19},
	{21},
	{18},
	{23, 22, 17},
	{22},
	{6, 2, 1},
	{5, 2, 1},
	{25},
	{27},
	{6, 4, 1},
	{28},
	{31, 29, 1},
	{20},
	{27, 2, 1},
	{33},
	{25},
	{5, 4, 3, 2, 1},
	{6, 5, 1},
	{35},
	{38, 21, 19},
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
	l.top = 1 << (width - 1)
	l.feedback = l.top
	for _, tap := range lfsrTaps[width-lfsrMinWidth] {
		l.feedback |= 1 << (tap - 1)
	}
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
