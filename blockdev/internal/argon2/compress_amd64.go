//go:build !purego

package argon2

import "github.com/blksh/blksh/blockdev/internal/cpu"

// compressFast is compress by AVX2. mask is what is kept of to.
//
//go:noescape
func compressFast(to, x, y, scratch *block, mask uint64)

// compress makes a block of two others, G of the RFC, and adds it to the one that was there if so
// told. scratch is lost.
func compress(to, x, y, scratch *block, add bool) {
	if !cpu.Has(cpu.AVX2) {
		compressPlain(to, x, y, scratch, add)
		return
	}
	mask := uint64(0)
	if add {
		mask = ^mask
	}
	compressFast(to, x, y, scratch, mask)
}
