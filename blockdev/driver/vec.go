package driver

import (
	"iter"
	"unsafe"
)

// Vec is the memory of one request, in several pieces. Pieces may be empty.
type Vec [][]byte

// Len is the number of bytes in all pieces.
func (v Vec) Len() int64 {
	var n int64
	for _, p := range v {
		n += int64(len(p))
	}
	return n
}

// Slice is the part of v that begins off bytes in and is n bytes long. It shares v's memory, and
// takes a new list of pieces only if v has more than one. The range must lie within v.
func (v Vec) Slice(off, n int64) Vec {
	if off == 0 && n == v.Len() {
		return v
	}
	if len(v) == 1 {
		return Vec{v[0][off : off+n : off+n]}
	}
	var part Vec
	for _, p := range v {
		if n == 0 {
			break
		}
		if off >= int64(len(p)) {
			off -= int64(len(p))
			continue
		}
		p = p[off:]
		off = 0
		if int64(len(p)) > n {
			p = p[:n:n]
		}
		n -= int64(len(p))
		part = append(part, p)
	}
	return part
}

// CopyFrom fills v from p and returns the number of bytes copied.
func (v Vec) CopyFrom(p []byte) int {
	n := 0
	for _, piece := range v {
		n += copy(piece, p[n:])
	}
	return n
}

// CopyTo copies v into p and returns the number of bytes copied.
func (v Vec) CopyTo(p []byte) int {
	n := 0
	for _, piece := range v {
		n += copy(p[n:], piece)
	}
	return n
}

// Clear makes all bytes zero.
func (v Vec) Clear() {
	for _, p := range v {
		clear(p)
	}
}

// Pieces walks v in pieces of at most limit bytes, each with its offset from the start of v.
func (v Vec) Pieces(limit int64) iter.Seq2[int64, Vec] {
	return func(yield func(int64, Vec) bool) {
		total := v.Len()
		for off := int64(0); off < total; off += limit {
			if !yield(off, v.Slice(off, min(limit, total-off))) {
				return
			}
		}
	}
}

// Aligned is n bytes of fresh memory that begin at a multiple of align, a power of two or at most
// 1.
func Aligned(n, align int64) []byte {
	if align <= 1 {
		return make([]byte, n)
	}
	b := make([]byte, n+align)
	skip := -int64(uintptr(unsafe.Pointer(&b[0]))) & (align - 1)
	return b[skip : skip+n : skip+n]
}
