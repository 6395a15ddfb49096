package verify

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// A Diff counts the bytes that differ, and no others, whether data are compared as a whole or in
// pieces, on whatever side zeroes are; and it never lists more than it may.
func TestDiff(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		b := make([]byte, 1+r.IntN(100<<10))
		for range r.IntN(40) {
			b[r.IntN(len(b))] = 7
		}
		off := r.Int64N(5000)
		whole := NewDiff(1 + r.IntN(8))
		whole.Compare(nil, b, off)
		inParts, sides := whole.Part(), [2]*Diff{whole.Part(), whole.Part()}
		for at := 0; at < len(b); {
			n := min(512*(1+r.IntN(20))-int(off+int64(at))%512, len(b)-at)
			part := whole.Part()
			part.Compare(make([]byte, n), b[at:at+n], off+int64(at))
			inParts.Join(part)
			sides[0].Compare(b[at:at+n], nil, off+int64(at))
			sides[1].Compare(b[at:at+n], make([]byte, n), off+int64(at))
			at += n
		}
		for _, d := range []*Diff{inParts, sides[0], sides[1]} {
			if whole.NoWant+whole.NoGot != d.NoWant+d.NoGot || whole.NoWant != whole.Bytes ||
				whole.Count != d.Count || whole.Bytes != d.Bytes ||
				!slices.Equal(whole.List, d.List) || whole.Got|whole.Want != d.Got|d.Want ||
				whole.End() != d.End() {
				t.Fatalf("whole %+v\nin parts %+v", whole, d)
			}
		}
		if whole.Bytes != int64(bytes.Count(b, []byte{7})) {
			t.Fatalf("%d bytes differ, want %d", whole.Bytes, bytes.Count(b, []byte{7}))
		}
		if len(whole.List) > whole.limit ||
			int64(len(whole.List)) != min(whole.Count, int64(whole.limit)) {
			t.Fatalf("%d listed of %d, limit %d", len(whole.List), whole.Count, whole.limit)
		}
		first, last := bytes.IndexByte(b, 7), bytes.LastIndexByte(b, 7)
		if first < 0 != (whole.Count == 0) || first >= 0 &&
			(whole.List[0].Off != off+int64(first) || whole.End() != off+int64(last)+1) {
			t.Fatalf("from %d to %d, not in %+v", first, last, whole)
		}
	}
}

// TestDifferences compares the count by words with one by bytes.
func TestDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 70; n++ {
		for range 20 {
			want := make([]byte, n)
			Random(r.Uint64()).Fill(want, 0)
			got := bytes.Clone(want)
			for range 1 + r.IntN(n) {
				got[r.IntN(n)] ^= byte(1 << r.IntN(8))
				want[r.IntN(n)], got[r.IntN(n)] = 0, 0
			}
			if bytes.Equal(want, got) {
				continue
			}
			first, last, count := Differences(want, got)
			wrong := []int{}
			noWant, noGot := 0, 0
			for i := range want {
				if want[i] == got[i] {
					continue
				}
				wrong = append(wrong, i)
				if want[i] == 0 {
					noWant++
				}
				if got[i] == 0 {
					noGot++
				}
			}
			if w, g := zeroesAmong(want, got); w != noWant || g != noGot {
				t.Fatalf("%d and %d zeroes, want %d and %d", w, g, noWant, noGot)
			}
			if first != wrong[0] || last != wrong[len(wrong)-1] || count != len(wrong) {
				t.Fatalf("%d to %d, %d of them, want %v", first, last, count, wrong)
			}
		}
	}
}
