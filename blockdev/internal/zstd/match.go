package zstd

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Matches are looked up by their first eight bytes, and by their first five if that finds none:
// long ones are worth more than near ones.
const (
	longLog, shortLog = 16, 15
	longMatch         = 8
	minMatch          = 4
	// endRoom is how many bytes of a block are left for literals where no match begins: a look-up
	// reads that many.
	endRoom = 9
	// skipLog: of places without a match, one more is passed over for each 1<<skipLog in a row.
	skipLog = 7
)

// sequence is so many literals and then a match.
type sequence struct {
	literals, match uint32
	offset          uint32 // as it is written: above 3, or the number of one that was used last
}

// matcher finds matches. The tables hold positions of one input after the other, so that they need
// no clearing between two.
type matcher struct {
	long  [1 << longLog]uint32
	short [1 << shortLog]uint32
	base  uint32 // position of the first byte of the input; what lies below is of another

	src       []byte
	at        int // the next byte, of those without a place in a sequence
	recent    recent
	sequences []sequence
	literals  []byte
}

// begin begins another input.
func (m *matcher) begin(src []byte) {
	if m.base == 0 || uint64(m.base)+uint64(len(src)) > math.MaxUint32 {
		clear(m.long[:])
		clear(m.short[:])
		m.base = 1
	}
	m.src, m.at = src, 0
	m.recent = recent{1, 4, 8}
}

// end forgets the input.
func (m *matcher) end() {
	m.base += uint32(len(m.src))
	m.src = nil
}

func longHash(v uint64) uint64  { return v * 0xcf1bbcdcb7a56463 >> (64 - longLog) }
func shortHash(v uint64) uint64 { return v << 24 * 0x9e3779b185ebca87 >> (64 - shortLog) }

// find turns the input up to end into sequences, and the literals that no match follows.
func (m *matcher) find(end int) {
	m.sequences, m.literals = m.sequences[:0], m.literals[:0]
	src := m.src
	anchor, i := m.at, m.at
	for last := end - endRoom; i <= last; {
		at, from, n := m.look(i, last, end)
		if n == 0 {
			i += 1 + (i-anchor)>>skipLog
			continue
		}
		i = at
		for i > anchor && from > 0 && src[i-1] == src[from-1] {
			i, from, n = i-1, from-1, n+1
		}
		m.add(anchor, i, n, i-from)
		m.enter(i+2, last)
		i += n
		anchor = i
		m.enter(i-2, last)
		for i <= last && m.recent[1] <= i && load32(src, i) == load32(src, i-m.recent[1]) {
			n = minMatch + equal(src[:end], i+minMatch, i+minMatch-m.recent[1])
			m.put(i)
			m.add(i, i, n, m.recent[1])
			i += n
			anchor = i
		}
	}
	m.literals = append(m.literals, src[anchor:end]...)
	m.at = end
}

// look looks for a match of what stands at i or, if that is as good, right behind it. It returns
// where it begins, where the same is, and how long it is, 0 if there is none.
func (m *matcher) look(i, last, end int) (at, from, n int) {
	src := m.src
	v := binary.LittleEndian.Uint64(src[i:])
	far := m.visit(&m.long[longHash(v)], i)
	near := m.visit(&m.short[shortHash(v)], i)
	if r := m.recent[0]; r <= i && load32(src, i+1-r) == uint32(v>>8) {
		i++
		return i, i - r, minMatch + equal(src[:end], i+minMatch, i+minMatch-r)
	}
	if far >= 0 && binary.LittleEndian.Uint64(src[far:]) == v {
		return i, far, longMatch + equal(src[:end], i+longMatch, far+longMatch)
	}
	if near < 0 || load32(src, near) != uint32(v) {
		return 0, 0, 0
	}
	if i < last {
		v = binary.LittleEndian.Uint64(src[i+1:])
		far = m.visit(&m.long[longHash(v)], i+1)
		if far >= 0 && binary.LittleEndian.Uint64(src[far:]) == v {
			i++
			return i, far, longMatch + equal(src[:end], i+longMatch, far+longMatch)
		}
	}
	return i, near, minMatch + equal(src[:end], i+minMatch, near+minMatch)
}

// visit puts a place into a slot of a table, and returns the one that was there, -1 if that is of
// another input.
func (m *matcher) visit(slot *uint32, i int) int {
	was := *slot
	*slot = m.base + uint32(i)
	if was < m.base {
		return -1
	}
	return int(was - m.base)
}

// enter enters a place into the tables, unless it is behind last.
func (m *matcher) enter(i, last int) {
	if i <= last {
		m.put(i)
	}
}

func (m *matcher) put(i int) {
	v := binary.LittleEndian.Uint64(m.src[i:])
	position := m.base + uint32(i)
	m.long[longHash(v)], m.short[shortHash(v)] = position, position
}

// add adds a sequence: the literals from anchor to i, and a match of n bytes.
func (m *matcher) add(anchor, i, n, offset int) {
	m.literals = append(m.literals, m.src[anchor:i]...)
	m.sequences = append(m.sequences, sequence{
		literals: uint32(i - anchor), match: uint32(n), offset: m.number(offset, i-anchor),
	})
}

// number is how an offset is written, and remembers it.
func (m *matcher) number(offset, literals int) uint32 {
	at, number := 2, 3
	switch r := &m.recent; {
	case offset == r[0] && literals > 0:
		return 1
	case offset == r[1]:
		at, number = 1, 2
	case offset == r[2]:
	case offset == r[0]-1 && literals == 0 && offset > 1:
		number = 4
	default:
		m.recent.use(2, offset)
		return uint32(offset + 3)
	}
	m.recent.use(at, offset)
	if literals == 0 {
		number--
	}
	return uint32(number)
}

func load32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

// equal is how many bytes from i on are those from an earlier place on.
func equal(b []byte, i, from int) (n int) {
	a, b := b[from:], b[i:]
	for ; n+8 <= len(b); n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
