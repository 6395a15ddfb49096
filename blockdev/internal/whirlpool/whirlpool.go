// Package whirlpool is the hash Whirlpool of Barreto and Rijmen, as ISO/IEC 10118-3 has it.
//
// It is a block cipher like AES, of 512 bits and ten rounds, whose key is the hash so far. What
// it makes of a block of the message is added to the block and to the hash.
package whirlpool

import (
	"encoding/binary"
	"hash"
	"math/bits"
	"sync"
)

const (
	// Size is the length of a hash in bytes.
	Size = 64
	// BlockSize is the length of a block in bytes.
	BlockSize = 64

	rounds    = 10
	lengthLen = 32 // bytes of the length at the end of the last block
)

// The S-box is made of two small ones, of four bits each, and the inverse of the first.
var (
	mini  = [16]byte{0x1, 0xb, 0x9, 0xc, 0xd, 0x6, 0xf, 0x3, 0xe, 0x8, 0x7, 0x4, 0xa, 0x2, 0x5, 0x0}
	mini2 = [16]byte{0x7, 0xc, 0xb, 0xd, 0xe, 0x4, 0x9, 0xf, 0x6, 0x3, 0x8, 0xa, 0x2, 0x5, 0x1, 0x0}
)

// diffusion is the first row of the circulant matrix that mixes the bytes of a row.
var diffusion = [8]byte{1, 1, 4, 1, 8, 5, 2, 9}

// tables are made when the first hash is.
type tables struct {
	mixed  [256]uint64 // the row that a byte in the first column becomes, by S-box and matrix
	rounds [rounds]uint64
}

// made is what table has made.
var made struct {
	once sync.Once
	tables
}

func table() *tables {
	made.once.Do(made.fill)
	return &made.tables
}

func (t *tables) fill() {
	box := sbox()
	for x, s := range box {
		for _, factor := range diffusion {
			t.mixed[x] = t.mixed[x]<<8 | uint64(multiply(s, factor))
		}
	}
	for r := range t.rounds {
		t.rounds[r] = binary.BigEndian.Uint64(box[8*r:])
	}
}

func sbox() (box [256]byte) {
	var inverse [16]byte
	for i, v := range mini {
		inverse[v] = byte(i)
	}
	for x := range box {
		high, low := mini[x>>4], inverse[x&15]
		middle := mini2[high^low]
		box[x] = mini[high^middle]<<4 | inverse[low^middle]
	}
	return box
}

// multiply is the product in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1.
func multiply(a, b byte) (product byte) {
	for ; b != 0; b >>= 1 {
		if b&1 != 0 {
			product ^= a
		}
		a = a<<1 ^ a>>7*0x1d
	}
	return product
}

// digest is a hash in work.
type digest struct {
	*tables
	state  [8]uint64
	block  [BlockSize]byte
	filled int // bytes in block
	length uint64
}

// New starts a hash. Messages of up to 2^61 bytes are right.
func New() hash.Hash { return &digest{tables: table()} }

func (d *digest) Size() int      { return Size }
func (d *digest) BlockSize() int { return BlockSize }

func (d *digest) Reset() { *d = digest{tables: d.tables} }

func (d *digest) Write(p []byte) (int, error) {
	n := len(p)
	d.length += uint64(n)
	for len(p) > 0 {
		took := copy(d.block[d.filled:], p)
		d.filled += took
		p = p[took:]
		if d.filled == BlockSize {
			d.compress()
			d.filled = 0
		}
	}
	return n, nil
}

// Sum appends the hash of what was written so far.
func (d *digest) Sum(to []byte) []byte {
	last := *d
	padding := [BlockSize + lengthLen]byte{0x80}
	n := BlockSize - lengthLen - last.filled
	if n <= 0 {
		n += BlockSize
	}
	length := d.length
	last.Write(padding[:n+lengthLen-8])
	last.Write(binary.BigEndian.AppendUint64(nil, length<<3))
	for _, word := range last.state {
		to = binary.BigEndian.AppendUint64(to, word)
	}
	return to
}

// compress adds the block to the hash.
func (d *digest) compress() {
	key := d.state
	var message, text [8]uint64
	for i := range message {
		message[i] = binary.BigEndian.Uint64(d.block[8*i:])
		text[i] = message[i] ^ key[i]
	}
	for r := range d.rounds {
		key = d.round(&key)
		key[0] ^= d.rounds[r]
		text = d.round(&text)
		for i := range text {
			text[i] ^= key[i]
		}
	}
	for i := range d.state {
		d.state[i] ^= text[i] ^ message[i]
	}
}

// round substitutes each byte, moves column j down by j and mixes each row.
func (d *digest) round(x *[8]uint64) (y [8]uint64) {
	for i := range y {
		for j := range 8 {
			b := byte(x[(i-j)&7] >> (56 - 8*j))
			y[i] ^= bits.RotateLeft64(d.mixed[b], -8*j)
		}
	}
	return y
}
