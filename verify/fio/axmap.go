package fio

import "math/bits"

// A blockMap remembers which blocks of a random job were done, so that each is done once.
type blockMap interface {
	isSet(b int64) bool
	// nextFree is a block to take instead of b, which is taken; -1 if all are.
	nextFree(b int64) int64
	// set marks up to n blocks from b on, stops before the first that is marked
	// already, and returns how many it marked.
	set(b int64, n int) int
}

const (
	wordBits = 64
	wordMask = wordBits - 1
	wordLog  = 6
	full     = ^uint64(0)
)

// mapLevels makes the words of a map of n bits: level 0 has a bit a block, and
// each further level a bit a word of the one below, set when that is full.
func mapLevels(n int64) (levels [][]uint64) {
	for {
		n = (n + wordMask) >> wordLog
		levels = append(levels, make([]uint64, n))
		if n <= 1 {
			return levels
		}
	}
}

// A axmap is that of fio since 3.9: instead of a taken block the next free
// one, from the start again behind the last.
type axmap struct {
	n      int64
	levels [][]uint64
}

func newAxmap(n int64) *axmap {
	m := &axmap{n: n, levels: mapLevels(n)}
	// The bits behind the last block count as taken.
	for bit := n; bit&wordMask != 0; bit++ {
		m.mark(bit)
	}
	return m
}

func (m *axmap) isSet(b int64) bool {
	return m.levels[0][b>>wordLog]>>(b&wordMask)&1 != 0
}

func (m *axmap) mark(b int64) {
	for _, level := range m.levels {
		word := &level[b>>wordLog]
		*word |= 1 << (b & wordMask)
		if *word != full {
			return
		}
		b >>= wordLog
	}
}

func (m *axmap) set(b int64, n int) int {
	for i := range n {
		if b >= m.n || m.isSet(b) {
			return i
		}
		m.mark(b)
		b++
	}
	return n
}

func (m *axmap) nextFree(b int64) int64 {
	if free := m.freeFrom(b + 1); free >= 0 {
		return free
	}
	return m.freeFrom(0)
}

// freeFrom is the first free block from b on, -1 if there is none: up while the
// rest of the word is full, then down to the block.
func (m *axmap) freeFrom(b int64) int64 {
	for up := 0; up < len(m.levels); up++ {
		index := b >> wordLog
		if index >= int64(len(m.levels[up])) {
			return -1
		}
		free := ^m.levels[up][index] & (full << (b & wordMask))
		if free == 0 {
			b = index + 1
			continue
		}
		b = index<<wordLog + int64(bits.TrailingZeros64(free))
		for up--; up >= 0; up-- {
			if b >= int64(len(m.levels[up])) {
				return -1
			}
			b = b<<wordLog + int64(bits.TrailingZeros64(^m.levels[up][b]))
		}
		if b >= m.n {
			return -1
		}
		return b
	}
	return -1
}

// A oldAxmap is that of fio 2.2, which may answer with a free block before the
// one asked for, and remembers the first free one until it is taken.
type oldAxmap struct {
	n      int64
	levels [][]uint64
	first  int64 // -1: to be searched
}

func newOldAxmap(n int64) *oldAxmap { return &oldAxmap{n: n, levels: mapLevels(n)} }

func (m *oldAxmap) isSet(b int64) bool {
	if b > m.n {
		return false
	}
	for i := len(m.levels) - 1; i >= 0; i-- {
		at := b >> (wordLog * i)
		if word := at >> wordLog; word < int64(len(m.levels[i])) &&
			m.levels[i][word]>>(at&wordMask)&1 != 0 {
			return true
		}
	}
	return false
}

// freeBelow follows the last word with a free bit at each level down from word index of a level.
func (m *oldAxmap) freeBelow(level int, index int64) int64 {
	found := int64(-1)
	for i := level; i >= 0; i-- {
		words := m.levels[i]
		if index >= int64(len(words)) {
			return -1
		}
		for j := index; j < int64(len(words)); j++ {
			if words[j] != full {
				found = j<<wordLog + int64(bits.TrailingZeros64(^words[j]))
				index = found
				break
			}
		}
	}
	if found >= m.n {
		return -1
	}
	return found
}

func (m *oldAxmap) firstFree() int64 {
	if m.first < 0 {
		m.first = m.freeBelow(len(m.levels)-1, 0)
	}
	return m.first
}

func (m *oldAxmap) nextFree(b int64) int64 {
	if m.first >= 0 && b < m.first {
		return m.first
	}
	next := b
	for i, words := range m.levels {
		word := b >> (wordLog * (i + 1))
		later := full << ((next + 1) & wordMask)
		if later&^words[word] == 0 {
			continue
		}
		if words[word] != full {
			if free := m.freeBelow(i, word); free >= 0 {
				return free
			}
			return m.firstFree()
		}
		next = (next + wordMask) >> wordLog
	}
	return m.firstFree()
}

func (m *oldAxmap) set(b int64, n int) int {
	total := 0
	for n > 0 {
		part := min(n, int(wordBits-b&wordMask))
		got := m.setInWord(b, part)
		total += got
		if got != part {
			break
		}
		n -= got
		b += int64(got)
	}
	return total
}

func (m *oldAxmap) setInWord(b int64, n int) (marked int) {
	if m.first >= 0 && b <= m.first && m.first < b+int64(n) {
		m.first = -1
	}
	if b > m.n {
		return 0
	}
	n = int(min(int64(n), m.n-b))
	for i, words := range m.levels {
		at := b >> (wordLog * i)
		word := &words[at>>wordLog]
		k := min(n, int(wordBits-at&wordMask))
		mask := (uint64(1)<<k - 1) << (at & wordMask)
		if k == wordBits {
			mask = full
		}
		fresh := mask &^ *word
		if fresh == 0 {
			break
		}
		*word |= fresh
		if i == 0 {
			marked = bits.OnesCount64(fresh)
		}
		n = 1
		if *word != full {
			break
		}
	}
	return marked
}
