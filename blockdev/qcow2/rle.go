package qcow2

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// A cluster of one byte, repeated, is the commonest one to be compressed. It is packed here without
// looking for anything: what a general compressor would find is known. The result is as long as
// those of zlib and libzstd with the parameters that QEMU 7.2 gives them, so that images come out
// at the same length.

// isRun says whether all bytes of p are alike.
func isRun(p []byte) bool { return len(p) > 0 && bytes.Equal(p[1:], p[:len(p)-1]) }

// packRun appends n times b, packed, to out. n is a cluster size.
func packRun(how compression, out []byte, b byte, n int) []byte {
	if how == compressZstd {
		return zstdRun(out, b, n)
	}
	return deflateRun(out, b, n)
}

// bitWriter appends bits, the lowest first.
type bitWriter struct {
	out  []byte
	acc  uint64
	held uint
}

func (w *bitWriter) put(value uint64, n uint) {
	w.acc |= value << w.held
	for w.held += n; w.held >= 8; w.held -= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
	}
}

// bytes ends the last byte.
func (w *bitWriter) bytes() []byte {
	if w.held > 0 {
		w.put(0, 8-w.held)
	}
	return w.out
}

// Deflate (RFC 1951). A run is a literal or a few, and then copies of the byte before, each as long
// as may be.
const (
	endOfBlock = 256
	longest    = 285 // the code of a copy of maxCopy bytes
	maxCopy    = 258
	minCopy    = 3
	litCodes   = 286
	distCodes  = 30
)

// copyCode is the code of a copy of n bytes, with the extra bits behind it.
func copyCode(n int) (code int, extra uint64, width uint) {
	if n == maxCopy {
		return longest, 0, 0
	}
	if n -= minCopy; n < 8 {
		return 257 + n, 0, 0
	}
	width = uint(bits.Len(uint(n))) - 3
	return 257 + int(4*width) + n>>width, uint64(n) & (1<<width - 1), width
}

// tokens is what a run is made of: two literals, as zlib never copies from the first byte of all,
// then copies, and at the end what is too short for one.
type tokens struct {
	b      byte
	copies int // of maxCopy bytes
	rest   int // one more copy, 0 for none
	tail   int // literals
}

func runTokens(b byte, n int) tokens {
	t := tokens{b: b, copies: (n - 2) / maxCopy, rest: (n - 2) % maxCopy}
	if t.rest < minCopy {
		t.rest, t.tail = 0, t.rest
	}
	return t
}

// put writes the tokens with the given codes.
func (t tokens) put(w *bitWriter, lit, dist prefixCode) {
	lit.put(w, int(t.b))
	lit.put(w, int(t.b))
	for range t.copies {
		lit.put(w, longest)
		dist.put(w, 0)
	}
	if t.rest > 0 {
		code, extra, width := copyCode(t.rest)
		lit.put(w, code)
		w.put(extra, width)
		dist.put(w, 0)
	}
	for range t.tail {
		lit.put(w, int(t.b))
	}
	lit.put(w, endOfBlock)
}

// deflateRun writes a block with codes of its own and one with the fixed codes, and takes the
// shorter.
func deflateRun(out []byte, b byte, n int) []byte {
	t := runTokens(b, n)
	own := &bitWriter{}
	t.dynamic(own)
	fixed := &bitWriter{}
	fixed.put(0b011, 3) // last block, fixed codes
	lit, dist := fixedLengths()
	t.put(fixed, newPrefixCode(lit[:]), newPrefixCode(dist[:]))
	if short := fixed.bytes(); len(short) <= len(own.bytes()) {
		return append(out, short...)
	}
	return append(out, own.out...)
}

// dynamic writes a block whose codes are made for it.
func (t tokens) dynamic(w *bitWriter) {
	litUse, distUse := make([]int, litCodes), make([]int, distCodes)
	litUse[t.b] += 2 + t.tail
	litUse[endOfBlock]++
	litUse[longest] += t.copies
	distUse[0] += t.copies
	if t.rest > 0 {
		code, _, _ := copyCode(t.rest)
		litUse[code]++
		distUse[0]++
	}
	lit, dist := treeCode(litUse), treeCode(distUse)
	order := codeOrder[:]
	steps := append(lengthSteps(lit.lens), lengthSteps(dist.lens)...)
	use := make([]int, len(order))
	for _, s := range steps {
		use[s.code]++
	}
	lens := treeCode(use)
	count := len(order)
	for count > 4 && (order[count-1] >= len(lens.lens) || lens.lens[order[count-1]] == 0) {
		count--
	}
	w.put(0b101, 3) // last block, codes of its own
	w.put(uint64(len(lit.lens)-257), 5)
	w.put(uint64(len(dist.lens)-1), 5)
	w.put(uint64(count-4), 4)
	for _, code := range order[:count] {
		if code < len(lens.lens) {
			w.put(uint64(lens.lens[code]), 3)
		} else {
			w.put(0, 3)
		}
	}
	for _, s := range steps {
		lens.put(w, s.code)
		w.put(uint64(s.extra), s.width)
	}
	t.put(w, lit, dist)
}

// lengthStep is one or more code lengths as a block's header has them.
type lengthStep struct {
	code  int // the length, or 16 to 18 for a repetition
	extra int // how often, from the least on, in width bits
	width uint
}

// lengthSteps shortens runs of equal lengths: zlib repeats a length from the fourth time on, and
// zeroes from the third.
func lengthSteps(lens []uint8) []lengthStep {
	var steps []lengthStep
	before := -1
	for i := 0; i < len(lens); {
		length := int(lens[i])
		most, least := 6, 3
		switch {
		case length == 0:
			most = 138
		case length != before:
			most, least = 7, 4
		}
		n := 1
		for n < most && i+n < len(lens) && lens[i+n] == lens[i] {
			n++
		}
		i += n
		if n >= least && length != before && length != 0 {
			steps = append(steps, lengthStep{code: length})
			n--
		}
		switch {
		case n < 3:
			for range n {
				steps = append(steps, lengthStep{code: length})
			}
		case length != 0:
			steps = append(steps, lengthStep{16, n - 3, 2})
		case n <= 10:
			steps = append(steps, lengthStep{17, n - 3, 3})
		default:
			steps = append(steps, lengthStep{18, n - 11, 7})
		}
		before = length
	}
	return steps
}

// prefixCode is a canonical Huffman code.
type prefixCode struct {
	lens  []uint8  // of each symbol, 0 if it is not used
	codes []uint16 // with the first bit lowest
}

func (c prefixCode) put(w *bitWriter, symbol int) {
	w.put(uint64(c.codes[symbol]), uint(c.lens[symbol]))
}

func newPrefixCode(lens []uint8) prefixCode {
	c := prefixCode{lens, make([]uint16, len(lens))}
	next := uint16(0)
	for length := uint8(1); length <= 15; length++ {
		for symbol, l := range lens {
			if l == length {
				c.codes[symbol] = bits.Reverse16(next) >> (16 - length)
				next++
			}
		}
		next <<= 1
	}
	return c
}

// treeCode makes the best code for symbols that are used so often. Where several are best it takes
// zlib's: of two nodes of equal weight the one of smaller depth joins first, in the order of a
// binary heap. At least two symbols get a code.
func treeCode(use []int) prefixCode {
	h := treeHeap{weight: use, depth: make([]int, 2*len(use))}
	last := 0
	for symbol, n := range use {
		if n > 0 {
			h.nodes = append(h.nodes, symbol)
			last = symbol
		}
	}
	for len(h.nodes) < 2 {
		spare := 0
		if last < 2 {
			last++
			spare = last
		}
		use[spare] = 1
		h.nodes = append(h.nodes, spare)
	}
	h.weight = append(h.weight, make([]int, len(use))...)
	for k := len(h.nodes)/2 - 1; k >= 0; k-- {
		h.down(k)
	}
	parent := make([]int, 2*len(use))
	node := len(use)
	for ; len(h.nodes) > 1; node++ {
		a := h.pop()
		b := h.nodes[0]
		h.weight[node] = h.weight[a] + h.weight[b]
		h.depth[node] = max(h.depth[a], h.depth[b]) + 1
		parent[a], parent[b] = node, node
		h.nodes[0] = node
		h.down(0)
	}
	root := node - 1
	lens := make([]uint8, last+1)
	for symbol := range lens {
		if use[symbol] > 0 {
			for at := symbol; at != root; at = parent[at] {
				lens[symbol]++
			}
		}
	}
	return newPrefixCode(lens)
}

// treeHeap is a heap of nodes, the lightest first.
type treeHeap struct {
	nodes         []int
	weight, depth []int
}

func (h *treeHeap) less(a, b int) bool {
	return h.weight[a] < h.weight[b] || h.weight[a] == h.weight[b] && h.depth[a] <= h.depth[b]
}

func (h *treeHeap) down(k int) {
	v := h.nodes[k]
	for {
		j := 2*k + 1
		if j >= len(h.nodes) {
			break
		}
		if j+1 < len(h.nodes) && h.less(h.nodes[j+1], h.nodes[j]) {
			j++
		}
		if h.less(v, h.nodes[j]) {
			break
		}
		h.nodes[k] = h.nodes[j]
		k = j
	}
	h.nodes[k] = v
}

func (h *treeHeap) pop() int {
	first := h.nodes[0]
	h.nodes[0] = h.nodes[len(h.nodes)-1]
	h.nodes = h.nodes[:len(h.nodes)-1]
	h.down(0)
	return first
}

// Zstandard (RFC 8878). The first block of a run is two literals and one copy of the byte before;
// those behind it say only how often the byte stands there.
const (
	zstdMagic    = 0xfd2fb528
	zstdMaxBlock = 128 << 10
	zstdRLE      = 1
	zstdPacked   = 2
)

// runMatch is the copy in a first block of 1<<bits bytes: what its length is counted from, in how
// many extra bits, and the state of the predefined table for such lengths.
type runMatch struct {
	base  int
	width uint
	state uint64
}

func matchOf(n int) runMatch {
	width := uint(bits.Len(uint(n))) - 2
	m := runMatch{base: 1<<width + minCopy, width: width, state: uint64(73 - width)}
	switch width {
	case 8:
		m.state = 42
	case 9:
		m.state = 21
	}
	return m
}

func zstdRun(out []byte, b byte, n int) []byte {
	le := binary.LittleEndian
	out = le.AppendUint32(out, zstdMagic)
	if n < 1<<16+256 {
		out = le.AppendUint16(append(out, 0x60), uint16(n-256))
	} else {
		out = le.AppendUint32(append(out, 0xa0), uint32(n))
	}
	first := zstdFirst(b, min(n, zstdMaxBlock))
	n -= min(n, zstdMaxBlock)
	out = append(zstdHeader(out, zstdPacked, len(first), n == 0), first...)
	for n > 0 {
		size := min(n, zstdMaxBlock)
		n -= size
		out = append(zstdHeader(out, zstdRLE, size, n == 0), b)
	}
	return out
}

func zstdHeader(out []byte, kind, size int, last bool) []byte {
	h := uint32(size)<<3 | uint32(kind)<<1
	if last {
		h |= 1
	}
	return append(out, byte(h), byte(h>>8), byte(h>>16))
}

// zstdFirst is a block of n bytes b.
func zstdFirst(b byte, n int) []byte {
	m := matchOf(n)
	// two raw literals, one sequence, predefined tables
	w := &bitWriter{out: []byte{2 << 3, b, b, 1, 0}}
	w.put(uint64(n-2-m.base), m.width)
	w.put(m.state, 6)
	w.put(0, 5)  // the offset is the one before, which at the start is 1
	w.put(24, 6) // behind two literals
	w.put(1, 1)
	return w.bytes()
}
