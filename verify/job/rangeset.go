package job

import (
	"slices"
	"sort"
)

// A rangeSet is a set of write numbers, kept as ascending half-open ranges that
// do not touch. Numbers complete nearly in order, so there are few.
type rangeSet [][2]uint64

// add puts lo to hi-1 into the set.
func (s *rangeSet) add(lo, hi uint64) {
	if lo >= hi {
		return
	}
	from := sort.Search(len(*s), func(i int) bool { return (*s)[i][1] >= lo })
	to := from
	for to < len(*s) && (*s)[to][0] <= hi {
		lo, hi = min(lo, (*s)[to][0]), max(hi, (*s)[to][1])
		to++
	}
	*s = slices.Replace(*s, from, to, [2]uint64{lo, hi})
}

// from is the index of the first range that ends behind n.
func (s rangeSet) from(n uint64) int {
	return sort.Search(len(s), func(i int) bool { return s[i][1] > n })
}

// has reports whether n is in the set.
func (s rangeSet) has(n uint64) bool {
	i := s.from(n)
	return i < len(s) && s[i][0] <= n
}

// count is how many numbers are in the set.
func (s rangeSet) count() (n uint64) {
	for _, r := range s {
		n += r[1] - r[0]
	}
	return n
}
