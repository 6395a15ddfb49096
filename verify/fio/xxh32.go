package fio

import (
	"encoding/binary"
	"math/bits"
)

// The primes of XXH32, xxHash specification 0.1.1.
const (
	xxPrime1 uint32 = 2654435761
	xxPrime2 uint32 = 2246822519
	xxPrime3 uint32 = 3266489917
	xxPrime4 uint32 = 668265263
	xxPrime5 uint32 = 374761393
)

func xxRound(acc, lane uint32) uint32 {
	return bits.RotateLeft32(acc+lane*xxPrime2, 13) * xxPrime1
}

// xxh32 is XXH32 of p.
func xxh32(p []byte, seed uint32) uint32 {
	n := uint32(len(p))
	h := seed + xxPrime5
	if len(p) >= 16 {
		a, b, c, d := seed+xxPrime1+xxPrime2, seed+xxPrime2, seed, seed-xxPrime1
		for len(p) >= 16 {
			q := p[:16]
			a = xxRound(a, binary.LittleEndian.Uint32(q[0:]))
			b = xxRound(b, binary.LittleEndian.Uint32(q[4:]))
			c = xxRound(c, binary.LittleEndian.Uint32(q[8:]))
			d = xxRound(d, binary.LittleEndian.Uint32(q[12:]))
			p = p[16:]
		}
		h = bits.RotateLeft32(a, 1) + bits.RotateLeft32(b, 7) + bits.RotateLeft32(c, 12) +
			bits.RotateLeft32(d, 18)
	}
	h += n
	for ; len(p) >= 4; p = p[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(p)*xxPrime3, 17) * xxPrime4
	}
	for _, b := range p {
		h = bits.RotateLeft32(h+uint32(b)*xxPrime5, 11) * xxPrime1
	}
	h = (h ^ h>>15) * xxPrime2
	h = (h ^ h>>13) * xxPrime3
	return h ^ h>>16
}
