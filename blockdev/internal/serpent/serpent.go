// Package serpent is the block cipher Serpent, as Anderson, Biham and Knudsen proposed it for the
// AES.
//
// A block of 128 bits goes through 32 rounds: a key is added, 32 equal S-boxes of four bits each
// are applied, and a linear transformation mixes the bits; the last round adds a key instead. The
// block is kept as four words of which bit i together are nibble i, so that a few operations on
// words do all S-boxes of a round at once.
package serpent

import (
	"crypto/cipher"
	"encoding/binary"
	"math/bits"
	"strconv"
)

// BlockSize is the length of a block in bytes.
const BlockSize = 16

// KeySizeError is the length of a key that Serpent does not take, in bytes.
type KeySizeError int

func (n KeySizeError) Error() string {
	return "serpent: invalid key size " + strconv.Itoa(int(n))
}

const (
	rounds = 32
	phi    = 0x9e3779b9 // the fraction of the golden ratio
)

// words are the four words of a block or of a round key. (A struct, since the compiler keeps no
// arrays in registers.)
type words struct{ a, b, c, d uint32 }

// block is a key, expanded.
type block struct {
	keys [rounds + 1]words
}

// New makes a cipher with a key of 16, 24 or 32 bytes.
func New(key []byte) (cipher.Block, error) {
	switch len(key) {
	case 16, 24, 32:
	default:
		return nil, KeySizeError(len(key))
	}
	var padded [33]byte // a short key is filled up with one bit that is set, and zeroes
	padded[copy(padded[:], key)] = 1
	var w [8 + 4*(rounds+1)]uint32
	for i := range 8 {
		w[i] = binary.LittleEndian.Uint32(padded[4*i:])
	}
	for i := 8; i < len(w); i++ {
		w[i] = bits.RotateLeft32(w[i-8]^w[i-5]^w[i-3]^w[i-1]^phi^uint32(i-8), 11)
	}
	b := &block{}
	for i := range b.keys {
		from := w[8+4*i:]
		b.keys[i] = sbox[(3-i)&7](from[0], from[1], from[2], from[3])
	}
	return b, nil
}

func (b *block) BlockSize() int { return BlockSize }

// Encrypt encrypts the first block of src into dst; they may be the same memory.
func (b *block) Encrypt(dst, src []byte) {
	x := load(src)
	for i := 0; i < rounds-1; i++ {
		x = x.add(b.keys[i]).through(sbox[i&7]).mix()
	}
	store(dst, x.add(b.keys[rounds-1]).through(sbox[7]).add(b.keys[rounds]))
}

// Decrypt decrypts the first block of src into dst; they may be the same memory.
func (b *block) Decrypt(dst, src []byte) {
	x := load(src).add(b.keys[rounds]).through(unbox[7]).add(b.keys[rounds-1])
	for i := rounds - 2; i >= 0; i-- {
		x = x.unmix().through(unbox[i&7]).add(b.keys[i])
	}
	store(dst, x)
}

func load(p []byte) words {
	_ = p[BlockSize-1]
	order := binary.LittleEndian
	return words{order.Uint32(p), order.Uint32(p[4:]), order.Uint32(p[8:]), order.Uint32(p[12:])}
}

func store(p []byte, x words) {
	_ = p[BlockSize-1]
	for i, w := range [4]uint32{x.a, x.b, x.c, x.d} {
		binary.LittleEndian.PutUint32(p[4*i:], w)
	}
}

func (x words) add(k words) words { return words{x.a ^ k.a, x.b ^ k.b, x.c ^ k.c, x.d ^ k.d} }

// mix is the linear transformation.
func (x words) mix() words {
	a, c := bits.RotateLeft32(x.a, 13), bits.RotateLeft32(x.c, 3)
	b, d := bits.RotateLeft32(x.b^a^c, 1), bits.RotateLeft32(x.d^c^a<<3, 7)
	return words{bits.RotateLeft32(a^b^d, 5), b, bits.RotateLeft32(c^d^b<<7, 22), d}
}

// unmix is its inverse.
func (x words) unmix() words {
	a, c := bits.RotateLeft32(x.a, -5)^x.b^x.d, bits.RotateLeft32(x.c, -22)^x.d^x.b<<7
	return words{
		bits.RotateLeft32(a, -13), bits.RotateLeft32(x.b, -1) ^ a ^ c,
		bits.RotateLeft32(c, -3), bits.RotateLeft32(x.d, -7) ^ c ^ a<<3,
	}
}
