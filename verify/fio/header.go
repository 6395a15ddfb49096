package fio

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// A Header begins the blocks that fio writes. All numbers are little endian.
//
//	40 bytes (2.2 to 3.40)        48 bytes (since 3.41)
//	 0  magic          2           0  magic          2
//	 2  type           2           2  version 0x81   1
//	                               3  type           1
//	 4  length         4           4  length         4
//	 8  seed           8           8  seed           8
//	16  offset         8          16  offset         8
//	24  seconds        4          24  seconds        4
//	28  fraction       4          28  fraction       4
//	32  thread         2          32  write number   8
//	34  write number   2          40  thread         2
//	                              42  padding        2
//	36  crc            4          44  crc            4
//
// The crc is that of all bytes before it, CRC-32C without final inversion. The
// padding keeps what the buffer held. The checksum of the data follows.
type Header struct {
	// Long tells the 48-byte layout.
	Long bool `json:"long"`
	// Type is the number of the verify type.
	Type uint8 `json:"type"`
	// Len is the length of the block with its header, in bytes.
	Len uint32 `json:"length"`
	// Seed is what the content of the request was made from.
	Seed uint64 `json:"seed"`
	// Offset is where the block belongs.
	Offset uint64 `json:"offset"`
	// Sec and Frac are the writer's clock: seconds, and micro- or nanoseconds.
	Sec  uint32 `json:"sec"`
	Frac uint32 `json:"frac"`
	// Thread is the number of the writing job, from 1.
	Thread uint16 `json:"thread"`
	// Number counts the writes of the job from 0; 40-byte headers have its low 16 bits only.
	Number uint64 `json:"number"`
}

const (
	headerMagic   = 0xacca
	headerVersion = 0x81
	ShortHeader   = 40
	LongHeader    = 48
)

// generationMark in the fraction of the clock says that the seconds are a
// generation. It is no possible fraction.
const generationMark = 0xb15c0000

// Size is the length of the header without the checksum, in bytes.
func (h *Header) Size() int {
	if h.Long {
		return LongHeader
	}
	return ShortHeader
}

// Generation is the generation that a job of this package stamped on the
// block; ok is false if there is none.
func (h *Header) Generation() (gen uint32, ok bool) {
	return h.Sec, h.Frac == generationMark
}

// Put writes the header over the beginning of p. A long one keeps the padding.
func (h *Header) Put(p []byte) {
	le := binary.LittleEndian
	le.PutUint16(p, headerMagic)
	le.PutUint32(p[4:], h.Len)
	le.PutUint64(p[8:], h.Seed)
	le.PutUint64(p[16:], h.Offset)
	le.PutUint32(p[24:], h.Sec)
	le.PutUint32(p[28:], h.Frac)
	if h.Long {
		p[2], p[3] = headerVersion, h.Type
		le.PutUint64(p[32:], h.Number)
		le.PutUint16(p[40:], h.Thread)
		le.PutUint32(p[44:], CRC32C(p[:44]))
		return
	}
	le.PutUint16(p[2:], uint16(h.Type))
	le.PutUint16(p[32:], h.Thread)
	le.PutUint16(p[34:], uint16(h.Number))
	le.PutUint32(p[36:], CRC32C(p[:36]))
}

// ParseHeader reads a header of either layout at the beginning of p. It is a header if the magic
// and the crc are right; the fields may still be those of another block.
func ParseHeader(p []byte) (h Header, ok bool) {
	le := binary.LittleEndian
	if len(p) < ShortHeader || le.Uint16(p) != headerMagic {
		return h, false
	}
	h.Long = p[2] == headerVersion
	end := h.Size() - 4
	if len(p) < end+4 || !h.Long && p[3] != 0 || le.Uint32(p[end:]) != CRC32C(p[:end]) {
		return Header{}, false
	}
	h.Len, h.Seed, h.Offset = le.Uint32(p[4:]), le.Uint64(p[8:]), le.Uint64(p[16:])
	h.Sec, h.Frac = le.Uint32(p[24:]), le.Uint32(p[28:])
	if h.Long {
		h.Type, h.Number, h.Thread = p[3], le.Uint64(p[32:]), le.Uint16(p[40:])
	} else {
		h.Type, h.Number, h.Thread = p[2], uint64(le.Uint16(p[34:])), le.Uint16(p[32:])
	}
	return h, true
}

// SwappedHeader reports whether p begins with a header in big-endian byte order.
func SwappedHeader(p []byte) bool {
	be := binary.BigEndian
	if len(p) < LongHeader || be.Uint16(p) != headerMagic {
		return false
	}
	h := Header{Long: p[2] == headerVersion}
	end := h.Size() - 4
	return be.Uint32(p[end:]) == CRC32C(p[:end])
}

// RepairHeader looks for the single bit whose flip makes p begin with a header.
// It returns the bit's number, counted from the lowest of p[0].
func RepairHeader(p []byte) (h Header, bit int, ok bool) {
	if len(p) < ShortHeader {
		return h, 0, false
	}
	var buf [LongHeader]byte
	n := copy(buf[:], p)
	for bit := range 8 * n {
		buf[bit/8] ^= 1 << (bit % 8)
		if h, ok := ParseHeader(buf[:n]); ok {
			return h, bit, true
		}
		buf[bit/8] ^= 1 << (bit % 8)
	}
	return h, 0, false
}

// ResemblesHeader reports how many of a header's fixed bits p has, to tell a damaged header from
// data that never were one: the magic, and a length and an offset that fit.
func ResemblesHeader(p []byte, pos int64, length int) bool {
	if len(p) < ShortHeader {
		return false
	}
	le := binary.LittleEndian
	votes := 0
	if bits.OnesCount16(le.Uint16(p)^headerMagic) <= 1 {
		votes++
	}
	if le.Uint32(p[4:]) == uint32(length) {
		votes++
	}
	if le.Uint64(p[16:]) == uint64(pos) && pos != 0 {
		votes++
	}
	return votes >= 2
}

// Numbered reports whether the header's write number is n, as far as the header has it.
func (h *Header) Numbered(n uint64) bool {
	if h.Long {
		return h.Number == n
	}
	return h.Number == n&0xffff
}

// After reports whether the header's write came after write n: it may have
// been written over. In short headers the number is taken to be near.
func (h *Header) After(n uint64) bool {
	if h.Long {
		return h.Number > n
	}
	return int16(uint16(h.Number)-uint16(n)) > 0
}

// Continues reports whether the block begins where the one before it ends.
func (h *Header) Continues(before *Header) bool {
	return h.Offset == before.Offset+uint64(before.Len)
}

// SameWrite reports whether both are of one request.
func (h *Header) SameWrite(of *Header) bool {
	return h.Seed == of.Seed && h.Number == of.Number && h.Thread == of.Thread && h.Len == of.Len
}

// Possible reports whether a block can be as long as its header says.
func (h *Header) Possible() bool {
	return int(h.Len) > h.Size() && h.Len <= MaxBlockSize
}

// FindHeader looks for a header anywhere in p.
func FindHeader(p []byte) (h Header, at int, ok bool) {
	magic := []byte{headerMagic & 0xff, headerMagic >> 8}
	for {
		i := bytes.Index(p[at:], magic)
		if i < 0 {
			return h, 0, false
		}
		at += i
		if h, ok = ParseHeader(p[at:]); ok {
			return h, at, true
		}
		at++
	}
}
