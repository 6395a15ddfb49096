package verify

// holePiece is how many zeroes of a hole are compared at a time.
const holePiece = 64 << 10

// CheckZeroes is [CheckUpTo] for n zero bytes at off that are not in memory,
// because a device knows them to be a hole. Where the pattern is one byte that
// takes no time.
func CheckZeroes(limit int, pat Pattern, off, n int64) *Mismatch {
	b, plain := pat.(bytePattern)
	if plain && b == 0 || n <= 0 {
		return nil
	}
	zeroes := bytePage(0)
	m := CheckUpTo(limit, pat, zeroes[:min(n, holePiece)], off)
	if plain && n > holePiece { // all of them are wrong, and for the same reason
		m.Bad, m.More = n, 0
		m.Ranges = append(m.Ranges[:0], Range{Off: off, Len: n, Bad: n, Cause: Cause{Class: Zeroed}})
		return m
	}
	for at := int64(holePiece); at < n; at += holePiece {
		m = m.Join(CheckUpTo(limit, pat, zeroes[:min(n-at, holePiece)], off+at))
	}
	return m
}
