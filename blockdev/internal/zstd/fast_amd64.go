//go:build !purego

package zstd

import "github.com/blksh/blksh/blockdev/internal/cpu"

// executeFast reads and does sequences as long as there is room for more than they need. It leaves
// at least the last one. read says that it has read one that is to be copied still.
//
//go:noescape
func executeFast(s *sequences) (read bool)

// decodeFast reads batches of five literals of each stream, where each fills that many bytes of
// out, until a batch would end behind end in the last one, or one of them has no bits left. It says
// how many it has read of each.
//
//go:noescape
func decodeFast(rows *uint16, out *byte, each int, src *byte, streams *[4]backward, end int) (
	done int)

func (s *sequences) fast() (read bool) {
	// a part of a frame has headers before it, and three bytes behind these two
	if s.left < 2 || len(s.out) <= s.n+spare || len(s.literals) <= s.used+spare ||
		!cpu.Has(cpu.BMI2) {
		return false
	}
	return executeFast(s)
}

func (c *literalCode) fast(out []byte, each int, src []byte, streams *[4]backward) (done int) {
	end := len(out) - 3*each - refillBits/maxLiteralBits
	if end < 0 || !cpu.Has(cpu.BMI2) {
		return 0
	}
	return decodeFast(&c.rows[0], &out[0], each, &src[0], streams, end)
}
