package zstd

import (
	"encoding/binary"
	"math/bits"
)

// backward reads bits from the end of a part of src to its beginning. It may look at up to seven
// bytes before the part, which are there: a frame has a longer header.
type backward struct {
	src []byte
	pos int // bits of src that are still to be read
	low int // those before the part
}

// refillBits is how many bits top has at least.
const refillBits = 56

// headRoom is how many bytes of src there are before what is read backward.
const headRoom = 8

// newBackward begins at the highest bit that is set, which is the end and not read.
func newBackward(src []byte, start, end int) (backward, error) {
	if start < headRoom || end > len(src) || start >= end || src[end-1] == 0 {
		return backward{}, errCorrupt
	}
	return backward{
		src: src, pos: end*8 - 9 + bits.Len8(src[end-1]), low: start * 8,
	}, nil
}

// top is the bits that come next, from the highest on.
func (b *backward) top() uint64 {
	return binary.LittleEndian.Uint64(b.src[b.pos>>3-7:]) << (8 - b.pos&7)
}

// take reads n <= refillBits bits. Behind the last one there are zeroes, and pos is below low.
func (b *backward) take(n int) int {
	if b.pos < b.low {
		b.pos -= n
		return 0
	}
	v := int(b.top() >> 1 >> (63 - n))
	b.pos -= n
	if short := b.low - b.pos; short > 0 { // of the bits before the part
		v = v >> short << short
	}
	return v
}
