package verify

import (
	"reflect"
	"testing"
)

// TestCheckZeroes compares with zeroes that are in memory.
func TestCheckZeroes(t *testing.T) {
	for _, pat := range []Pattern{Zero(), Byte(0xcd), Random(3), Stamp(7)} {
		for _, off := range []int64{0, 5, 509, 4096} {
			for _, n := range []int64{0, 1, 511, 4096, holePiece, holePiece + 1, 3*holePiece + 77} {
				got, want := checkHole(pat, off, n), CheckUpTo(4, pat, make([]byte, n), off)
				if got == nil || want == nil {
					if got != want {
						t.Errorf("%s, %d bytes at %d: %+v, want %+v", pat, n, off, got, want)
					}
					continue
				}
				if got.Bad != want.Bad || got.Off != want.Off {
					t.Errorf("%s, %d bytes at %d: %d wrong from %d, want %d from %d", pat, n, off,
						got.Bad, got.Off, want.Bad, want.Off)
				}
				if n <= holePiece && !reflect.DeepEqual(got, want) {
					t.Errorf("%s, %d bytes at %d: %+v, want %+v", pat, n, off, got, want)
				}
			}
		}
	}
}

func checkHole(pat Pattern, off, n int64) (m *Mismatch) {
	for at := int64(0); at < n; {
		part, looked := CheckZeroes(4, pat, off+at, n-at)
		m = m.Join(part)
		at += looked
	}
	return m
}

// TestCheckZeroesIsQuick: the work for a pattern of one byte does not depend on the length.
func TestCheckZeroesIsQuick(t *testing.T) {
	const n = 1 << 62
	m, looked := CheckZeroes(4, Byte(1), 512, n)
	want := []Range{{DiffRange{512, n, n}, Cause{Class: Zeroed}}}
	if looked != n || m.Bad != n || !reflect.DeepEqual(m.Ranges, want) {
		t.Errorf("%+v", m)
	}
}

func TestCheckUpTo(t *testing.T) {
	p := make([]byte, 64<<10)
	for i := 0; i < len(p); i += 2 * Sector {
		p[i] = byte(1 + i/1024%255)
	}
	for _, limit := range []int{1, 16, 1000} {
		var m *Mismatch
		for off := 0; off < len(p); off += 4096 {
			m = m.Join(CheckUpTo(limit, Zero(), p[off:off+4096], int64(off)))
		}
		if want := min(limit, 64); len(m.Ranges) != want || int64(want)+m.More != 64 ||
			m.Bad != 64 {
			t.Errorf("up to %d: %d ranges, %d sectors more, %d wrong", limit, len(m.Ranges), m.More,
				m.Bad)
		}
	}
}
