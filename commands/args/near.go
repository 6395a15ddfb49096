package args

import (
	"cmp"
	"slices"
	"strings"
)

// mostNear is how many names are offered in place of one that is wrong.
const mostNear = 3

// Near are the names that word may stand for, the likeliest first and at most three: those that
// few letters tell apart, and those that one is the beginning of. It is the one judge of that, for
// commands, flags, topics and values. A '_' is as good as a '-'.
func Near(word string, names []string) []string {
	type candidate struct {
		name string
		far  int
	}
	var found []candidate
	plain := strings.ReplaceAll(word, "-", "_")
	for _, name := range names {
		other := strings.ReplaceAll(name, "-", "_")
		far := distance(plain, other)
		switch short := min(len(word), len(name)); {
		case strings.EqualFold(plain, other):
			far = 0
		case begins(plain, other), short > 2 && far <= max(1, short/3):
		default:
			continue
		}
		if len(name) > 1 {
			found = append(found, candidate{name, far})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.name, b.name))
	})
	var list []string
	for _, c := range found[:min(len(found), mostNear)] {
		list = append(list, c.name)
	}
	return list
}

// begins says whether one is the beginning of the other: two letters of a name, or a name of three
// and more that somebody wrote on.
func begins(word, name string) bool {
	return len(word) > 1 && strings.HasPrefix(name, word) ||
		len(name) > 2 && strings.HasPrefix(word, name)
}

// longestGuess bounds the words that are compared, in bytes: no name is longer.
const longestGuess = 32

// distance is how many letters must be changed, added, dropped or swapped with their neighbour to
// make b of a.
func distance(a, b string) int {
	if len(a) > longestGuess || len(b) > longestGuess {
		return longestGuess
	}
	var rows [3][longestGuess + 1]int // the row before the last, the last, this one
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	for i := range len(a) {
		rows[2][0] = i + 1
		for j := range len(b) {
			change := rows[1][j]
			if a[i] != b[j] {
				change++
			}
			rows[2][j+1] = min(change, rows[1][j+1]+1, rows[2][j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				rows[2][j+1] = min(rows[2][j+1], rows[0][j-1]+1)
			}
		}
		rows[0], rows[1] = rows[1], rows[2]
	}
	return rows[1][len(b)]
}
