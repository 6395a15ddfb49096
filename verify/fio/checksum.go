package fio

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"slices"
	"strings"
)

// A Checksum is one way in which a block tells whether its data are right.
type Checksum struct {
	Name string
	// Size is how many bytes the checksum takes behind the header.
	Size int
	// old and now are the type numbers in headers written by fio up to 2.18 and
	// since 2.19; noNumber if that fio has no such type.
	old, now uint8
	// Blind says that the checksum does not see all damage to the data, so that
	// the content has to be made again and compared.
	Blind bool
	// Compute writes the checksum of data over dst, which is size bytes long. It
	// leaves those bytes alone that are undefined.
	Compute func(s *Hasher, dst, data []byte)
}

const noNumber = 0xff

// sums lists the types whose blocks have a header. The numbers are those of
// fio's headers, the checksums were measured on fio 2.2, 3.33 and 3.42.
var sums = []Checksum{
	{"meta", 0, 1, 1, true, putNothing},
	{"md5", 16, 2, 2, false, putMD5},
	{"crc64", 8, 3, 3, false, putCRC64},
	{"crc32", 4, 4, 4, false, putCRC32},
	{"crc32c", 4, 5, 5, false, putCRC32C},
	{"crc16", 2, 7, 7, false, putCRC16},
	{"crc7", 1, 8, 8, false, putCRC7},
	{"sha256", 64, 9, 9, false, putSHA256},
	{"sha512", 128, noNumber, 10, false, putSHA512},
	{"sha512-old", 128, 10, 10, true, putSHA512Old},
	{"sha3-224", 28, noNumber, 11, false, putSHA3x224},
	{"sha3-256", 32, noNumber, 12, false, putSHA3x256},
	{"sha3-384", 48, noNumber, 13, false, putSHA3x384},
	{"sha3-512", 64, noNumber, 14, false, putSHA3x512},
	{"xxhash", 4, 11, 15, false, putXXHash},
	{"sha1", 20, 12, 16, false, putSHA1},
	{"pattern_hdr", 0, 13, 17, true, putNothing},
}

// TypeAny, in place of a verify type, is the one that each header names.
const TypeAny = "any"

// The types without a header in their blocks.
const (
	typePattern = "pattern" // the data are the pattern
	TypeNull    = "null"    // the data are ordinary fill
)

// Types lists the names that Options.Verify takes.
func Types() []string {
	names := []string{TypeAny, "crc32c-intel", typePattern, TypeNull}
	for _, s := range sums {
		if s.Name != "sha512-old" {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names
}

// findSum finds a type by the name a user gives; release decides which sha512 is meant.
func findSum(name string, r Release) (*Checksum, error) {
	switch {
	case name == "crc32c-intel":
		name = "crc32c"
	case name == "sha512" && r < Fio340:
		name = "sha512-old"
	}
	for i := range sums {
		if s := &sums[i]; s.Name == name {
			if r == Fio22 && s.old == noNumber {
				return nil, fmt.Errorf("fio 2.2 has no verify type %s", name)
			}
			return s, nil
		}
	}
	return nil, fmt.Errorf("unknown verify type %q (known: %s)", name, strings.Join(Types(), ", "))
}

// number is the type as headers of a release have it.
func (s *Checksum) number(r Release) uint8 {
	if r == Fio22 {
		return s.old
	}
	return s.now
}

// OptionName is the name as findSum takes it.
func (s *Checksum) OptionName() string { return strings.TrimSuffix(s.Name, "-old") }

// sumsOf lists what a type number may mean in a header of 48 (long) or 40 bytes: the present
// meaning first, and one that a wrong block cannot fail last.
func sumsOf(number uint8, long bool) []*Checksum {
	var now, old []*Checksum
	for i := range sums {
		switch s := &sums[i]; {
		case s.now == number && (!long || s.Name != "sha512-old"):
			now = append(now, s)
		case !long && s.old == number:
			old = append(old, s)
		}
	}
	return append(now, old...)
}

// sumsByNumber is sumsOf for every number, of short and of long headers.
var sumsByNumber = lazy[*[2][256][]*Checksum]{make: func() *[2][256][]*Checksum {
	t := new([2][256][]*Checksum)
	for n := range 256 {
		t[0][n], t[1][n] = sumsOf(uint8(n), false), sumsOf(uint8(n), true)
	}
	return t
}}

// A Hasher computes checksums without allocating. It belongs to one goroutine.
type Hasher struct {
	sha256 hash.Hash
	state  []byte
	tail   [2 * sha256.BlockSize]byte
	stored [MaxSum]byte
}

// MaxSum is the size of the longest checksum.
const MaxSum = 128

// NewHasher makes one for a goroutine.
func NewHasher() *Hasher {
	return &Hasher{sha256: sha256.New(), state: make([]byte, 0, 128)}
}

// Matches reports whether stored is the checksum of data.
func (s *Hasher) Matches(k *Checksum, stored, data []byte) bool {
	got := s.stored[:k.Size]
	copy(got, stored)
	k.Compute(s, got, data)
	return string(got) == string(stored)
}

func putNothing(*Hasher, []byte, []byte) {}

func putMD5(_ *Hasher, dst, data []byte) {
	d := md5.Sum(data)
	copy(dst, d[:])
}

// putSHA1 stores the digest's words little endian.
func putSHA1(_ *Hasher, dst, data []byte) {
	d := sha1.Sum(data)
	for i := 0; i < len(d); i += 4 {
		binary.LittleEndian.PutUint32(dst[i:], binary.BigEndian.Uint32(d[i:]))
	}
}

// putSHA256 is not SHA-256: the bit count is appended little endian, the first
// 8 bytes are the low bytes of the state's words, and the rest is what the last
// padded block holds from its 8th byte on.
func putSHA256(s *Hasher, dst, data []byte) {
	whole := len(data) &^ (sha256.BlockSize - 1)
	tail := s.tail[:sha256.BlockSize]
	rest := len(data) - whole
	if rest >= sha256.BlockSize-8 {
		tail = s.tail[:2*sha256.BlockSize]
	}
	clear(tail)
	copy(tail, data[whole:])
	tail[rest] = 0x80
	binary.LittleEndian.PutUint64(tail[len(tail)-8:], uint64(len(data))*8)
	s.sha256.Reset()
	s.sha256.Write(data[:whole])
	s.sha256.Write(tail)
	state, err := s.sha256.(encoding.BinaryAppender).AppendBinary(s.state[:0])
	if err != nil {
		panic(err) // the standard library documents that its hashes do not fail
	}
	const magic = 4 // bytes before the state's words
	for i := range 8 {
		dst[i] = state[magic+4*i+3]
	}
	copy(dst[8:], tail[len(tail)-sha256.BlockSize+8:])
}

// putSHA512 is SHA-512 followed by the second half of the last padded block.
func putSHA512(_ *Hasher, dst, data []byte) {
	d := sha512.Sum512(data)
	copy(dst, d[:])
	rest := data[len(data)&^(sha512.BlockSize-1):]
	half := dst[sha512.Size:]
	clear(half)
	if len(rest) < sha512.BlockSize-16 {
		if len(rest) >= sha512.Size {
			n := copy(half, rest[sha512.Size:])
			half[n] = 0x80
		}
	}
	binary.BigEndian.PutUint64(half[len(half)-8:], uint64(len(data))*8)
}

// putSHA512Old is no hash. fio up to 3.38 stores its input buffer: the first
// 128 bytes, over which the bytes beyond the last multiple of 128 are laid.
// What data of less than 128 bytes do not reach is undefined.
func putSHA512Old(_ *Hasher, dst, data []byte) {
	if len(data) >= sha512.BlockSize {
		copy(dst, data)
	}
	copy(dst, data[len(data)&^(sha512.BlockSize-1):])
}

func putSHA3x224(_ *Hasher, dst, data []byte) {
	d := sha3.Sum224(data)
	copy(dst, d[:])
}

func putSHA3x256(_ *Hasher, dst, data []byte) {
	d := sha3.Sum256(data)
	copy(dst, d[:])
}

func putSHA3x384(_ *Hasher, dst, data []byte) {
	d := sha3.Sum384(data)
	copy(dst, d[:])
}

func putSHA3x512(_ *Hasher, dst, data []byte) {
	d := sha3.Sum512(data)
	copy(dst, d[:])
}

func putCRC7(_ *Hasher, dst, data []byte) { dst[0] = crc7(data) }

func putCRC16(_ *Hasher, dst, data []byte) {
	binary.LittleEndian.PutUint16(dst, crc16(data))
}

func putCRC32(_ *Hasher, dst, data []byte) {
	binary.LittleEndian.PutUint32(dst, crc32MSB(data))
}

// CRC32C is CRC-32C without the final inversion.
func CRC32C(p []byte) uint32 { return ^crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

func putCRC32C(_ *Hasher, dst, data []byte) {
	binary.LittleEndian.PutUint32(dst, CRC32C(data))
}

func putCRC64(_ *Hasher, dst, data []byte) {
	binary.LittleEndian.PutUint64(dst, crc64Jones(data))
}

// xxSeed is the seed that fio gives to XXH32.
const xxSeed = 1

func putXXHash(_ *Hasher, dst, data []byte) {
	binary.LittleEndian.PutUint32(dst, xxh32(data, xxSeed))
}

// Checksums lists what the type of the header may mean; see sumsOf.
func (h *Header) Checksums() []*Checksum {
	if h.Long {
		return sumsByNumber.get()[1][h.Type]
	}
	return sumsByNumber.get()[0][h.Type]
}
