package verify

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math/bits"
)

// A Diff is where data are not what they should be, without a word on why: runs of sectors in which
// bytes differ, in ascending order. It is made of pieces in that order.
type Diff struct {
	// Bytes is how many bytes differ. Count is how many ranges they make, and List has the first of
	// them, up to a limit.
	Bytes, Count int64
	List         []DiffRange
	// NoWant of the bytes are zero in what was wanted, NoGot in what was found.
	NoWant, NoGot int64
	// Want and Got are the first byte that differs, on both sides.
	Want, Got byte
	// Note gets what differs in each sector of a piece that is compared, on the goroutine that
	// compares it; nil if nobody wants to know.
	Note func(DiffRange)

	limit int
	last  DiffRange // the one that may still grow
}

// A DiffRange is a run of sectors in each of which bytes differ, from the first to the last of
// these. Bad is how many do.
type DiffRange struct {
	Off int64 `json:"offset"`
	Len int64 `json:"length"`
	Bad int64 `json:"bad"`
}

// End is the offset behind the range.
func (r DiffRange) End() int64 { return r.Off + r.Len }

// NewDiff makes a Diff that lists up to limit ranges.
func NewDiff(limit int) *Diff { return &Diff{limit: limit} }

// Part makes a Diff like d for a piece of the data, for [Diff.Join].
func (d *Diff) Part() *Diff { return &Diff{limit: d.limit, Note: d.Note} }

// End is the offset behind the last byte that differs; 0 if none does.
func (d *Diff) End() int64 { return d.last.End() }

// Compare looks for bytes of got, which were found at off, that are not those of want. Both are of
// one length, unless one is nil, which stands for zeroes.
func (d *Diff) Compare(want, got []byte, off int64) {
	for left := max(len(want), len(got)); left > 0; {
		n := min(left, bytePageSize)
		w, g := bytePage(0)[:n], bytePage(0)[:n]
		if want != nil {
			w, want = want[:n], want[n:]
		}
		if got != nil {
			g, got = got[:n], got[n:]
		}
		for at, s := range wrongSectors(w, g, off) {
			if d.Count == 0 {
				d.Want, d.Got = w[at+s.first], g[at+s.first]
			}
			noWant, noGot := zeroesAmong(w[at:at+s.n], g[at:at+s.n])
			d.NoWant, d.NoGot = d.NoWant+int64(noWant), d.NoGot+int64(noGot)
			r := s.from(off + int64(at))
			if d.Note != nil {
				d.Note(r)
			}
			d.add(r)
		}
		left, off = left-n, off+int64(n)
	}
}

// add notes a range behind all that were noted before.
func (d *Diff) add(r DiffRange) {
	d.Bytes += r.Bad
	if d.Count > 0 && adjoins(d.last.End(), r.Off) {
		d.last.Len = r.End() - d.last.Off
		d.last.Bad += r.Bad
	} else {
		d.Count++
		d.last = r
		if d.Count <= int64(d.limit) {
			d.List = append(d.List, r)
		}
	}
	if d.Count <= int64(d.limit) {
		d.List[d.Count-1] = d.last
	}
}

// Join adds what was found behind everything that is in d.
func (d *Diff) Join(next *Diff) {
	if d.Count == 0 {
		d.Want, d.Got = next.Want, next.Got
	}
	d.NoWant, d.NoGot = d.NoWant+next.NoWant, d.NoGot+next.NoGot
	listed := int64(0)
	for _, r := range next.List {
		d.add(r)
		listed += r.Bad
	}
	if more := next.Count - int64(len(next.List)); more > 0 {
		d.Count += more
		d.Bytes += next.Bytes - listed
		d.last = next.last
	}
}

// adjoins reports whether a range that begins at off lies in the sector of the last byte before
// end, or in the one behind it.
func adjoins(end, off int64) bool { return off/Sector <= (end-1)/Sector+1 }

// A wrongSector is a sector, or a piece of one, with bytes that differ: the first and the last of
// them, counted from its beginning, and how many do.
type wrongSector struct {
	first, last, count int
	n                  int // bytes of it
}

// from is where the bytes are that differ, of a sector that begins at off.
func (s wrongSector) from(off int64) DiffRange {
	return DiffRange{off + int64(s.first), int64(s.last - s.first + 1), int64(s.count)}
}

// wrongSectors yields those sectors of got, which was found at off, that are not those of want, by
// where they begin in got.
func wrongSectors(want, got []byte, off int64) iter.Seq2[int, wrongSector] {
	const block = 4096 // so much is compared at once
	return func(yield func(int, wrongSector) bool) {
		for from := 0; from < len(got); {
			to := min(len(got), from+int(block-(off+int64(from))%block))
			if bytes.Equal(want[from:to], got[from:to]) {
				from = to
				continue
			}
			for at := from; at < to; {
				end := min(to, at+int(Sector-(off+int64(at))%Sector))
				if w, g := want[at:end], got[at:end]; !bytes.Equal(w, g) {
					s := wrongSector{n: end - at}
					s.first, s.last, s.count = Differences(w, g)
					if !yield(at, s) {
						return
					}
				}
				at = end
			}
			from = to
		}
	}
}

// zeroesAmong counts bytes that differ and are zero on one side: in want, and in got. The two have
// the same length.
func zeroesAmong(want, got []byte) (noWant, noGot int) {
	at := 0
	for ; at+8 <= len(got); at += 8 {
		w, g := binary.LittleEndian.Uint64(want[at:]), binary.LittleEndian.Uint64(got[at:])
		differ := notZero(w ^ g)
		noWant += bits.OnesCount64(differ &^ notZero(w))
		noGot += bits.OnesCount64(differ &^ notZero(g))
	}
	for ; at < len(got); at++ {
		switch {
		case want[at] == got[at]:
		case want[at] == 0:
			noWant++
		case got[at] == 0:
			noGot++
		}
	}
	return noWant, noGot
}

// notZero has the top bit of each byte that is not zero.
func notZero(x uint64) uint64 {
	const low, high = 0x7f7f7f7f7f7f7f7f, 0x8080808080808080
	return (x&low + low | x) & high
}

// Differences finds the first and last byte that differ and how many do. The
// slices have the same length and are not equal.
func Differences(want, got []byte) (first, last, count int) {
	first = -1
	at := 0
	for ; at+8 <= len(got); at += 8 {
		x := binary.LittleEndian.Uint64(want[at:]) ^ binary.LittleEndian.Uint64(got[at:])
		if x == 0 {
			continue
		}
		if first < 0 {
			first = at + bits.TrailingZeros64(x)/8
		}
		last = at + 7 - bits.LeadingZeros64(x)/8
		count += bits.OnesCount64(notZero(x))
	}
	for ; at < len(got); at++ {
		if want[at] != got[at] {
			if first < 0 {
				first = at
			}
			last = at
			count++
		}
	}
	return first, last, count
}
