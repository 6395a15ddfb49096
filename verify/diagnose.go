package verify

import (
	"bytes"
	"math/bits"
)

// minEvidence is how many bytes must agree before a run of one byte counts as
// filled and not as chance.
const minEvidence = 8

// diagnose guesses why got, a sector or a piece of one found at off, is not
// want. The bytes that differ are got[first] to got[last], count in number.
func diagnose(pat Pattern, want, got []byte, off int64, first, last, count int) Cause {
	if count == 1 {
		if diff := want[first] ^ got[first]; bits.OnesCount8(diff) == 1 {
			return Cause{
				Class: OneBit, Bit: uint8(bits.TrailingZeros8(diff)),
				At: off + int64(first),
			}
		}
	}
	if c, ok := FilledWith(got[first : last+1]); ok {
		return c
	}
	if c, ok := displaced(pat, got, off); ok {
		return c
	}
	// The beginning of the sector may be right: the wrong part may begin in
	// the middle, where data of another offset were laid over it.
	if first > 0 {
		if c, ok := displaced(pat, got[first:], off+int64(first)); ok {
			return c
		}
	}
	if t, ok := pat.(tagger); ok {
		if tag, ok := t.generation(got, off); ok {
			return Cause{Class: Stale, Generation: tag}
		}
	}
	return Cause{Class: Other}
}

// FilledWith recognises a run of one byte.
func FilledWith(p []byte) (Cause, bool) {
	if len(p) < minEvidence || !bytes.Equal(p[1:], p[:len(p)-1]) {
		return Cause{}, false
	}
	if p[0] == 0 {
		return Cause{Class: Zeroed}, true
	}
	return Cause{Class: Filled, Fill: p[0]}, true
}

// displaced recognises data that the pattern has elsewhere.
func displaced(pat Pattern, got []byte, off int64) (Cause, bool) {
	l, ok := pat.(locator)
	if !ok {
		return Cause{}, false
	}
	home, ok := l.locate(got, off)
	if !ok || home == off {
		return Cause{}, false
	}
	var want [Sector]byte
	pat.Fill(want[:len(got)], home)
	if !bytes.Equal(want[:len(got)], got) {
		return Cause{}, false
	}
	delta := home - off
	if delta%Sector == 0 {
		return Cause{Class: Misdirected, Delta: delta}, true
	}
	return Cause{Class: Shifted, Delta: delta}, true
}
