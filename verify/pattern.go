package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
)

// Sector is the unit in which devices tear and misplace data, in bytes. Stamps
// and diagnoses work on it.
const Sector = 512

// A Pattern is content that any piece of a device should hold. It depends on
// nothing but the pattern and the position, so a piece can be made again
// without its neighbours. A Pattern is immutable and safe for concurrent use.
type Pattern interface {
	// Fill writes into p the bytes that belong at offset off, which is the
	// absolute byte offset of p[0] and not negative.
	Fill(p []byte, off int64)
	// String is the pattern in the grammar of [Parser.Parse].
	String() string
}

// matcher is a Pattern that can compare faster than fill-and-compare.
type matcher interface {
	// match reports whether p is what Fill would write at off. It may say no where that is not
	// found out faster than by Fill.
	match(p []byte, off int64) bool
}

// locator is a Pattern that can tell where a piece of its data comes from.
type locator interface {
	// locate guesses the offset at which got is at home when it is found at
	// off. The caller checks the guess.
	locate(got []byte, off int64) (home int64, ok bool)
}

// tagger is a Pattern of which there are generations.
type tagger interface {
	// generation tells which other pattern of the family fills got at off.
	generation(got []byte, off int64) (tag uint64, ok bool)
}

// Byte is the pattern that repeats one byte.
func Byte(b byte) Pattern { return bytePattern(b) }

// Zero is the pattern of zero bytes.
func Zero() Pattern { return bytePattern(0) }

type bytePattern byte

func (b bytePattern) String() string {
	if b == 0 {
		return "zero"
	}
	return fmt.Sprintf("0x%02x", byte(b))
}

func (b bytePattern) Fill(p []byte, _ int64) {
	if b == 0 {
		clear(p)
		return
	}
	page := bytePage(byte(b))
	for len(p) > 0 {
		p = p[copy(p, page):]
	}
}

func (b bytePattern) match(p []byte, _ int64) bool {
	page := bytePage(byte(b))
	for len(p) > bytePageSize {
		if !bytes.Equal(p[:bytePageSize], page) {
			return false
		}
		p = p[bytePageSize:]
	}
	return bytes.Equal(p, page[:len(p)])
}

// bytePageSize keeps a page and the data it is compared with inside the second level cache.
const bytePageSize = 64 << 10

var bytePages [256]atomic.Pointer[[bytePageSize]byte]

// bytePage is a page of b, made at the first use and kept.
func bytePage(b byte) []byte {
	page := bytePages[b].Load()
	if page == nil {
		page = new([bytePageSize]byte)
		if b != 0 {
			for i := range page {
				page[i] = b
			}
		}
		bytePages[b].Store(page)
	}
	return page[:]
}

// IsZero reports whether p holds zeroes only, at memory speed.
func IsZero(p []byte) bool { return bytePattern(0).match(p, 0) }

// Random is the pattern of pseudorandom bytes that seed chooses. It is
// splitmix64 used as a counter: the little-endian word at offset 8i is a
// bijection of i, so that foreign data tells where it belongs.
func Random(seed uint64) Pattern { return seeded{seed: seed, base: mix(seed)} }

type seeded struct {
	seed, base uint64
}

// golden is 2^64 divided by the golden ratio, the step of splitmix64; the
// others are its multiples modulo 2^64.
const (
	golden  = 0x9e3779b97f4a7c15
	golden2 = 2 * golden % (1 << 64)
	golden3 = 3 * golden % (1 << 64)
	golden4 = 4 * golden % (1 << 64)
)

func (s seeded) String() string { return fmt.Sprintf("random:%d", s.seed) }

// mix is the finalizer of splitmix64, a bijection.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unmix is the inverse of mix: the multipliers are the inverses modulo 2^64.
func unmix(z uint64) uint64 {
	z = (z ^ z>>31 ^ z>>62) * 0x319642b2d24d8ec3
	z = (z ^ z>>27 ^ z>>54) * 0x96de1b173f119089
	return z ^ z>>30 ^ z>>60
}

func (s seeded) Fill(p []byte, off int64) {
	z := s.base + uint64(off)/8*golden
	if skip := int(off % 8); skip != 0 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], mix(z))
		p = p[copy(p, word[skip:]):]
		z += golden
	}
	for len(p) >= 32 {
		q := p[:32]
		binary.LittleEndian.PutUint64(q[0:], mix(z))
		binary.LittleEndian.PutUint64(q[8:], mix(z+golden))
		binary.LittleEndian.PutUint64(q[16:], mix(z+golden2))
		binary.LittleEndian.PutUint64(q[24:], mix(z+golden3))
		z += golden4
		p = p[32:]
	}
	for len(p) > 0 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], mix(z))
		p = p[copy(p, word[:]):]
		z += golden
	}
}

// goldenInverse is the inverse of golden modulo 2^64.
const goldenInverse = 0xf1de83e19937733d

// counter finds two consecutive words of some random pattern in got and gives
// what mix was called with for the word at got[at:].
func counter(got []byte) (z uint64, at int, ok bool) {
	for at := 0; at < 8 && at+16 <= len(got); at++ {
		z := unmix(binary.LittleEndian.Uint64(got[at:]))
		if unmix(binary.LittleEndian.Uint64(got[at+8:]))-z == golden {
			return z, at, true
		}
	}
	return 0, 0, false
}

func (s seeded) locate(got []byte, _ int64) (int64, bool) {
	z, at, ok := counter(got)
	word := (z - s.base) * goldenInverse
	if !ok || bits.Len64(word) > 60 {
		return 0, false
	}
	home := int64(word)*8 - int64(at)
	return home, home >= 0
}

// largestGuessedSeed bounds the seeds that generation believes in: a larger
// one is as likely a seed in use at another offset.
const largestGuessedSeed = 1 << 32

func (s seeded) generation(got []byte, off int64) (uint64, bool) {
	z, at, ok := counter(got)
	if !ok || (off+int64(at))%8 != 0 {
		return 0, false
	}
	seed := unmix(z - uint64(off+int64(at))/8*golden)
	return seed, seed != s.seed && seed < largestGuessedSeed
}

// Stamp is the pattern that writes into each sector of 512 bytes 32 times the
// sector's offset and the tag, both as little-endian 64-bit words: a hexdump
// shows where each sector belongs and which generation it is.
func Stamp(tag uint64) Pattern { return stamp(tag) }

type stamp uint64

const stampSize = 16

func (s stamp) String() string { return fmt.Sprintf("stamp:%d", uint64(s)) }

func (s stamp) Fill(p []byte, off int64) {
	var word [stampSize]byte
	binary.LittleEndian.PutUint64(word[8:], uint64(s))
	for len(p) > 0 {
		in := off % Sector
		binary.LittleEndian.PutUint64(word[:], uint64(off-in))
		n := min(len(p), int(Sector-in))
		fillPeriod(p[:n], word[:], int(in%stampSize))
		p, off = p[n:], off+int64(n)
	}
}

// locate tries every phase, for the data may be shifted. Stamps of one sector
// are all alike: only where they change says which byte of the sector it is.
func (s stamp) locate(got []byte, off int64) (int64, bool) {
	for at := 0; at+stampSize <= len(got) && at < stampSize; at++ {
		sector, tag := readStamp(got[at:])
		if tag != uint64(s) || sector%Sector != 0 || sector > 1<<62 {
			continue
		}
		home := int64(sector) + (off+int64(at))%Sector - int64(at)
		for i := at + stampSize; i+stampSize <= len(got); i += stampSize {
			if next, _ := readStamp(got[i:]); next == sector+Sector {
				home = int64(next) - int64(i)
				break
			}
		}
		return home, home >= 0
	}
	return 0, false
}

func (s stamp) generation(got []byte, off int64) (uint64, bool) {
	at := int(-off & (stampSize - 1))
	if len(got) < at+stampSize {
		return 0, false
	}
	sector, tag := readStamp(got[at:])
	pos := off + int64(at)
	return tag, tag != uint64(s) && sector == uint64(pos-pos%Sector)
}

func readStamp(p []byte) (sector, tag uint64) {
	return binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
}

// fillPeriod fills p with repetitions of unit, beginning with unit[phase].
func fillPeriod(p, unit []byte, phase int) {
	n := copy(p, unit[phase:])
	n += copy(p[n:], unit[:phase])
	for block := n; n < len(p); n += copy(p[n:], p[:block]) {
		if block < scratchSize {
			block = n
		}
	}
}

// MatchPeriod reports whether fillPeriod would leave p as it is. Beyond the
// first period it compares p with itself.
func MatchPeriod(p, unit []byte, phase int) bool {
	n := min(len(p), len(unit)-phase)
	if !bytes.Equal(p[:n], unit[phase:phase+n]) {
		return false
	}
	m := min(len(p)-n, phase)
	if !bytes.Equal(p[n:n+m], unit[:m]) {
		return false
	}
	return bytes.Equal(p[min(len(p), len(unit)):], p[:max(0, len(p)-len(unit))])
}

// scratch lends buffers for expected content.
var scratch = sync.Pool{New: func() any { return new([scratchSize]byte) }}

const scratchSize = 16 << 10
