// Package blake2 is the hashes BLAKE2b and BLAKE2s (RFC 7693) without a key.
package blake2

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

// Lengths of BLAKE2b, in bytes.
const (
	Size       = 64
	blockBytes = 128
)

// iv is the initial state, which is that of SHA-512.
var iv = [8]uint64{
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
}

// schedule is which words of a block a round takes, in which order. BLAKE2b has two more rounds,
// which begin again.
var schedule = [10][16]uint8{
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
}

// digest is a hash under way, of which the state is words of 64 bits in BLAKE2b and of 32 in
// BLAKE2s. A block is taken when it is known not to be the last.
type digest[W uint32 | uint64] struct {
	compress func(d *digest[W], last W) // takes the block; last is all ones for the last one
	iv       *[8]W                      // the initial state
	size     int
	blockLen int // bytes of block that are used, 16 words
	state    [8]W
	taken    uint64 // bytes, of at most 1<<64
	block    [blockBytes]byte
	held     int // bytes of block
}

// New512 is BLAKE2b with hashes of 64 bytes.
func New512() hash.Hash { return New(Size) }

// New is BLAKE2b with hashes of size bytes, from 1 to [Size].
func New(size int) hash.Hash {
	d := &digest[uint64]{compress: compress, iv: &iv, size: size, blockLen: blockBytes}
	d.Reset()
	return d
}

func (d *digest[W]) Size() int { return d.size }

func (d *digest[W]) BlockSize() int { return d.blockLen }

func (d *digest[W]) Reset() {
	d.state = *d.iv
	d.state[0] ^= 1<<24 | 1<<16 | W(d.size)
	d.taken, d.held = 0, 0
}

func (d *digest[W]) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if d.held == d.blockLen {
			d.taken += uint64(d.held)
			d.compress(d, 0)
			d.held = 0
		}
		k := copy(d.block[d.held:d.blockLen], p)
		d.held, p = d.held+k, p[k:]
	}
	return n, nil
}

func (d *digest[W]) Sum(b []byte) []byte {
	last := *d
	clear(last.block[last.held:])
	last.taken += uint64(last.held)
	last.compress(&last, ^W(0))
	var out []byte
	for _, w := range last.state {
		for at := 0; at < d.blockLen/16*8; at += 8 {
			out = append(out, byte(w>>at))
		}
	}
	return append(b, out[:d.size]...)
}

// compress is F of the RFC for BLAKE2b.
func compress(d *digest[uint64], last uint64) {
	var m [16]uint64
	for i := range m {
		m[i] = binary.LittleEndian.Uint64(d.block[8*i:])
	}
	h := &d.state
	v0, v1, v2, v3, v4, v5, v6, v7 := h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
	v8, v9, v10, v11 := iv[0], iv[1], iv[2], iv[3]
	v12, v13, v14, v15 := iv[4]^d.taken, iv[5], iv[6]^last, iv[7]
	for r := range 12 {
		s := &schedule[r%len(schedule)]
		v0, v4, v8, v12 = mix(v0, v4, v8, v12, m[s[0]&15], m[s[1]&15])
		v1, v5, v9, v13 = mix(v1, v5, v9, v13, m[s[2]&15], m[s[3]&15])
		v2, v6, v10, v14 = mix(v2, v6, v10, v14, m[s[4]&15], m[s[5]&15])
		v3, v7, v11, v15 = mix(v3, v7, v11, v15, m[s[6]&15], m[s[7]&15])
		v0, v5, v10, v15 = mix(v0, v5, v10, v15, m[s[8]&15], m[s[9]&15])
		v1, v6, v11, v12 = mix(v1, v6, v11, v12, m[s[10]&15], m[s[11]&15])
		v2, v7, v8, v13 = mix(v2, v7, v8, v13, m[s[12]&15], m[s[13]&15])
		v3, v4, v9, v14 = mix(v3, v4, v9, v14, m[s[14]&15], m[s[15]&15])
	}
	for i, w := range [8]uint64{
		v0 ^ v8, v1 ^ v9, v2 ^ v10, v3 ^ v11, v4 ^ v12, v5 ^ v13, v6 ^ v14, v7 ^ v15,
	} {
		h[i] ^= w
	}
}

// mix is G of the RFC for BLAKE2b.
func mix(a, b, c, d, x, y uint64) (_, _, _, _ uint64) {
	a += b + x
	d = bits.RotateLeft64(d^a, -32)
	c += d
	b = bits.RotateLeft64(b^c, -24)
	a += b + y
	d = bits.RotateLeft64(d^a, -16)
	c += d
	b = bits.RotateLeft64(b^c, -63)
	return a, b, c, d
}
