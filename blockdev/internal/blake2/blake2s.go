package blake2

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

// Lengths of BLAKE2s, in bytes.
const (
	size256     = 32
	smallBlocks = 64
)

// smallIV is the initial state, which is that of SHA-256.
var smallIV = [8]uint32{
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}

// New256 is BLAKE2s with hashes of 32 bytes.
func New256() hash.Hash {
	d := &digest[uint32]{
		compress: smallCompress, iv: &smallIV, size: size256, blockLen: smallBlocks,
	}
	d.Reset()
	return d
}

// smallCompress is F of the RFC for BLAKE2s.
func smallCompress(d *digest[uint32], last uint32) {
	var m [16]uint32
	for i := range m {
		m[i] = binary.LittleEndian.Uint32(d.block[4*i:])
	}
	v := [16]uint32{}
	copy(v[:], d.state[:])
	copy(v[8:], smallIV[:])
	v[12] ^= uint32(d.taken)
	v[13] ^= uint32(d.taken >> 32)
	v[14] ^= last
	for r := range schedule {
		s := &schedule[r]
		for i := range 4 {
			smallMix(&v[i], &v[4+i], &v[8+i], &v[12+i], m[s[2*i]&15], m[s[2*i+1]&15])
		}
		for i := range 4 {
			smallMix(&v[i], &v[4+(i+1)&3], &v[8+(i+2)&3], &v[12+(i+3)&3],
				m[s[8+2*i]&15], m[s[9+2*i]&15])
		}
	}
	for i := range d.state {
		d.state[i] ^= v[i] ^ v[8+i]
	}
}

// smallMix is G of the RFC for BLAKE2s.
func smallMix(a, b, c, d *uint32, x, y uint32) {
	*a += *b + x
	*d = bits.RotateLeft32(*d^*a, -16)
	*c += *d
	*b = bits.RotateLeft32(*b^*c, -12)
	*a += *b + y
	*d = bits.RotateLeft32(*d^*a, -8)
	*c += *d
	*b = bits.RotateLeft32(*b^*c, -7)
}
