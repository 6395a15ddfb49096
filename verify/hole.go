package verify

// holePiece is how many zeroes of a hole are compared at a time.
const holePiece = 64 << 10

// CheckZeroes is [CheckUpTo] for zero bytes at off that are not in memory,
// because a device knows them to be a hole. It looks at the first of n bytes and
// says at how many: at all of them where the pattern is one byte, which takes no
// time, and otherwise at a piece of them, so that the caller can stop.
func CheckZeroes(limit int, pat Pattern, off, n int64) (m *Mismatch, looked int64) {
	b, plain := pat.(bytePattern)
	if plain && b == 0 || n <= 0 {
		return nil, max(0, n)
	}
	looked = min(n, holePiece)
	m = CheckUpTo(limit, pat, bytePage(0)[:looked], off)
	if plain && n > looked { // all of them are wrong, and for the same reason
		m.Bad, m.More, looked = n, 0, n
		m.Ranges = append(m.Ranges[:0],
			Range{DiffRange{off, n, n}, Cause{Class: Zeroed}})
	}
	return m, looked
}
