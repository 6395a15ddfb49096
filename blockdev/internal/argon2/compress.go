package argon2

import "math/bits"

// compressPlain is compress in plain Go.
func compressPlain(to, x, y, scratch *block, add bool) {
	for i := range scratch {
		scratch[i] = x[i] ^ y[i]
	}
	for row := 0; row < blockWords; row += 16 {
		permute(scratch, row, 2)
	}
	for column := 0; column < 16; column += 2 {
		permute(scratch, column, 16)
	}
	for i, w := range scratch {
		w ^= x[i] ^ y[i]
		if add {
			w ^= to[i]
		}
		to[i] = w
	}
}

// permute is P of the RFC for the eight pairs of words from first on, step words apart.
func permute(b *block, first, step int) {
	var v [16]uint64
	for i := range v {
		v[i] = b[first+i/2*step+i%2]
	}
	for i := range 4 {
		mix(&v[i], &v[4+i], &v[8+i], &v[12+i])
	}
	for i := range 4 {
		mix(&v[i], &v[4+(i+1)&3], &v[8+(i+2)&3], &v[12+(i+3)&3])
	}
	for i, w := range v {
		b[first+i/2*step+i%2] = w
	}
}

// mix is GB of the RFC.
func mix(a, b, c, d *uint64) {
	*a = multiplyAdd(*a, *b)
	*d = bits.RotateLeft64(*d^*a, -32)
	*c = multiplyAdd(*c, *d)
	*b = bits.RotateLeft64(*b^*c, -24)
	*a = multiplyAdd(*a, *b)
	*d = bits.RotateLeft64(*d^*a, -16)
	*c = multiplyAdd(*c, *d)
	*b = bits.RotateLeft64(*b^*c, -63)
}

func multiplyAdd(a, b uint64) uint64 { return a + b + 2*uint64(uint32(a))*uint64(uint32(b)) }
