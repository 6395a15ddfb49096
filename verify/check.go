package verify

import (
	"bytes"
	"encoding/hex"
)

// maxRanges bounds the ranges that a Mismatch lists if nobody asks for more.
const maxRanges = 16

// excerptSize is how many bytes of both sides a Mismatch shows.
const excerptSize = 32

// A Range is a run of sectors with wrong bytes in them that have one cause.
type Range struct {
	DiffRange
	Cause Cause `json:"cause"`
}

// A Mismatch is how data differ from a pattern.
type Mismatch struct {
	// Off is the absolute offset of the first wrong byte.
	Off int64 `json:"offset"`
	// Bad is the number of wrong bytes.
	Bad int64 `json:"bad"`
	// Ranges lists where they are, in ascending order, up to a limit; More is
	// how many bad sectors are not listed.
	Ranges []Range `json:"ranges"`
	More   int64   `json:"more,omitempty"`
	// Want and Got are some bytes of both sides from ExcerptOff on, which is a
	// multiple of 16 at or before Off unless the data begin later.
	ExcerptOff int64    `json:"excerpt_offset"`
	Want       HexBytes `json:"want"`
	Got        HexBytes `json:"got"`

	limit int // of Ranges
}

// HexBytes are bytes that JSON shows in hexadecimal.
type HexBytes []byte

// MarshalText is the hexadecimal form.
func (h HexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText reads the hexadecimal form.
func (h *HexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// Cause is the likely cause of the whole mismatch: that of its ranges if it is
// the same for all of them, and Mixed otherwise.
func (m *Mismatch) Cause() Cause {
	if len(m.Ranges) == 0 {
		return Cause{Class: Other}
	}
	c := m.Ranges[0].Cause
	for _, r := range m.Ranges[1:] {
		if r.Cause != c {
			return Cause{Class: Mixed}
		}
	}
	return c
}

// Check compares p, which was found at absolute offset off, with what pat wants there. It returns
// nil if all bytes are right, and then allocates nothing.
func Check(pat Pattern, p []byte, off int64) *Mismatch {
	return CheckUpTo(maxRanges, pat, p, off)
}

// CheckUpTo is Check with a limit on the ranges that are listed. Joining
// mismatches keeps the limit of the first.
func CheckUpTo(limit int, pat Pattern, p []byte, off int64) *Mismatch {
	if m, ok := pat.(matcher); ok && m.match(p, off) {
		return nil
	}
	buf := scratch.Get().(*[scratchSize]byte)
	defer scratch.Put(buf)
	var m *Mismatch
	for len(p) > 0 {
		want := buf[:min(len(p), scratchSize-int(off%Sector))]
		got := p[:len(want)]
		pat.Fill(want, off)
		if !bytes.Equal(want, got) {
			if m == nil {
				m = newMismatch(limit, want, got, off)
			}
			for at, s := range wrongSectors(want, got, off) {
				m.sector(pat, want[at:at+s.n], got[at:at+s.n], off+int64(at), s)
			}
		}
		p, off = p[len(want):], off+int64(len(want))
	}
	return m
}

func newMismatch(limit int, want, got []byte, off int64) *Mismatch {
	first, _, _ := Differences(want, got)
	from := max(0, first-int((off+int64(first))%16))
	to := min(len(got), from+excerptSize)
	return &Mismatch{
		Off:        off + int64(first),
		ExcerptOff: off + int64(from),
		Want:       bytes.Clone(want[from:to]),
		Got:        bytes.Clone(got[from:to]),
		limit:      limit,
	}
}

// sector adds a sector of got that is wrong.
func (m *Mismatch) sector(pat Pattern, want, got []byte, off int64, s wrongSector) {
	m.Bad += int64(s.count)
	if m.More > 0 {
		m.More++
		return
	}
	m.add(Range{s.from(off), diagnose(pat, want, got, off, s.first, s.last, s.count)})
}

// add appends r, or joins it to the last range if they lie in neighbouring
// sectors and have the same cause.
func (m *Mismatch) add(r Range) {
	if k := len(m.Ranges) - 1; k >= 0 {
		last := &m.Ranges[k]
		if last.Cause == r.Cause && adjoins(last.End(), r.Off) {
			last.Len = r.End() - last.Off
			last.Bad += r.Bad
			return
		}
	}
	if len(m.Ranges) >= m.limit {
		m.More += (r.End()-1)/Sector - r.Off/Sector + 1
		return
	}
	m.Ranges = append(m.Ranges, r)
}

// Join adds next, a mismatch at higher offsets, to m and returns the whole.
// Either may be nil. It lets a long read be checked piece by piece.
func (m *Mismatch) Join(next *Mismatch) *Mismatch {
	if m == nil || next == nil {
		if m == nil {
			return next
		}
		return m
	}
	m.Bad += next.Bad
	for _, r := range next.Ranges {
		m.add(r)
	}
	m.More += next.More
	return m
}

// WrongRanges lists runs of sectors that differ and have one cause.
func WrongRanges(want, got []byte, off int64) []Range {
	m := Mismatch{limit: maxRanges}
	for at, s := range wrongSectors(want, got, off) {
		cause, _ := FilledWith(got[at+s.first : at+s.last+1])
		m.add(Range{s.from(off + int64(at)), cause})
	}
	return m.Ranges
}
