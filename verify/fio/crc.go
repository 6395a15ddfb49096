package fio

import (
	"encoding/binary"
	"sync"
)

// sliced is how many bytes the sliced CRCs below take at once: with table k giving the effect of a
// byte that k others follow, the bytes of a step are looked up independently of each other.
const sliced = 16

// A slicedCRC is made of a CRC for single bytes, step, when its tables are first asked for: the
// effect of each byte followed by 0 to 15 zero bytes.
type slicedCRC[T uint8 | uint16 | uint32 | uint64] struct {
	step   func(crc T, b byte) T
	once   sync.Once
	tables [sliced][256]T
}

func (c *slicedCRC[T]) get() *[sliced][256]T {
	c.once.Do(func() {
		for b := range 256 {
			crc := c.step(0, byte(b))
			for k := range c.tables {
				c.tables[k][b] = crc
				crc = c.step(crc, 0)
			}
		}
	})
	return &c.tables
}

// crc7Tables are for CRC-7/MMC: polynomial 0x09, start 0, not reflected. The
// seven bits are kept in the upper part of a byte until the end.
var crc7Tables = slicedCRC[uint8]{step: func(crc uint8, b byte) uint8 {
	crc ^= b
	for range 8 {
		if crc&0x80 != 0 {
			crc = crc<<1 ^ 0x09<<1
		} else {
			crc <<= 1
		}
	}
	return crc
}}

func crc7(p []byte) uint8 {
	t := crc7Tables.get()
	var crc uint8
	for len(p) >= sliced {
		q := p[:sliced]
		crc = t[15][q[0]^crc] ^ t[14][q[1]] ^ t[13][q[2]] ^ t[12][q[3]] ^
			t[11][q[4]] ^ t[10][q[5]] ^ t[9][q[6]] ^ t[8][q[7]] ^
			t[7][q[8]] ^ t[6][q[9]] ^ t[5][q[10]] ^ t[4][q[11]] ^
			t[3][q[12]] ^ t[2][q[13]] ^ t[1][q[14]] ^ t[0][q[15]]
		p = p[sliced:]
	}
	for _, b := range p {
		crc = t[0][crc^b]
	}
	return crc >> 1
}

// crc16Tables are for CRC-16/ARC: polynomial 0x8005 reflected, start 0.
var crc16Tables = slicedCRC[uint16]{step: func(crc uint16, b byte) uint16 {
	crc ^= uint16(b)
	for range 8 {
		crc = crc>>1 ^ 0xa001&-(crc&1)
	}
	return crc
}}

func crc16(p []byte) uint16 {
	t := crc16Tables.get()
	var crc uint16
	for len(p) >= sliced {
		q := p[:sliced]
		crc = t[15][q[0]^uint8(crc)] ^ t[14][q[1]^uint8(crc>>8)] ^ t[13][q[2]] ^ t[12][q[3]] ^
			t[11][q[4]] ^ t[10][q[5]] ^ t[9][q[6]] ^ t[8][q[7]] ^
			t[7][q[8]] ^ t[6][q[9]] ^ t[5][q[10]] ^ t[4][q[11]] ^
			t[3][q[12]] ^ t[2][q[13]] ^ t[1][q[14]] ^ t[0][q[15]]
		p = p[sliced:]
	}
	for _, b := range p {
		crc = t[0][uint8(crc)^b] ^ crc>>8
	}
	return crc
}

// crc32Tables are for polynomial 0x04c11db7, the highest bit first.
var crc32Tables = slicedCRC[uint32]{step: func(crc uint32, b byte) uint32 {
	crc ^= uint32(b) << 24
	for range 8 {
		crc = crc<<1 ^ 0x04c11db7&-(crc>>31)
	}
	return crc
}}

// crc32MSB is the CRC-32 of POSIX cksum without the length and the final
// inversion: start 0, the highest bit first.
func crc32MSB(p []byte) uint32 {
	t := crc32Tables.get()
	var crc uint32
	for len(p) >= sliced {
		q := p[:sliced]
		crc ^= binary.BigEndian.Uint32(q)
		crc = t[15][crc>>24] ^ t[14][uint8(crc>>16)] ^ t[13][uint8(crc>>8)] ^ t[12][uint8(crc)] ^
			t[11][q[4]] ^ t[10][q[5]] ^ t[9][q[6]] ^ t[8][q[7]] ^
			t[7][q[8]] ^ t[6][q[9]] ^ t[5][q[10]] ^ t[4][q[11]] ^
			t[3][q[12]] ^ t[2][q[13]] ^ t[1][q[14]] ^ t[0][q[15]]
		p = p[sliced:]
	}
	for _, b := range p {
		crc = t[0][uint8(crc>>24)^b] ^ crc<<8
	}
	return crc
}

// crc64Tables are for Jones' polynomial 0xad93d23594c935a9, reflected.
var crc64Tables = slicedCRC[uint64]{step: func(crc uint64, b byte) uint64 {
	crc ^= uint64(b)
	for range 8 {
		crc = crc>>1 ^ 0x95ac9329ac4bc9b5&-(crc&1)
	}
	return crc
}}

// crc64Jones is CRC-64/Redis: start 0, reflected. The standard library takes the polynomial too,
// but builds its sliced tables anew for each long call and does without them for short ones.
func crc64Jones(p []byte) uint64 {
	t := crc64Tables.get()
	var crc uint64
	for len(p) >= sliced {
		q := p[:sliced]
		crc ^= binary.LittleEndian.Uint64(q)
		crc = t[15][uint8(crc)] ^ t[14][uint8(crc>>8)] ^ t[13][uint8(crc>>16)] ^ t[12][uint8(
			crc>>24)] ^
			t[11][uint8(crc>>32)] ^ t[10][uint8(crc>>40)] ^ t[9][uint8(crc>>48)] ^ t[8][crc>>56] ^
			t[7][q[8]] ^ t[6][q[9]] ^ t[5][q[10]] ^ t[4][q[11]] ^
			t[3][q[12]] ^ t[2][q[13]] ^ t[1][q[14]] ^ t[0][q[15]]
		p = p[sliced:]
	}
	for _, b := range p {
		crc = t[0][uint8(crc)^b] ^ crc>>8
	}
	return crc
}
