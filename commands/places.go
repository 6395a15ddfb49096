package commands

import (
	"bytes"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
)

const (
	// fewPlaces and manyPlaces are how many places are listed, without and with --all.
	fewPlaces  = 16
	manyPlaces = 1 << 16
)

// zeroes is memory to compare with and to show. Nobody writes to it.
var zeroes [64 << 10]byte

// places collects where bytes are not as they should be. Places in neighbouring sectors are one, from the first wrong byte to the last.
type places struct {
	event.Ranges
	limit int
	last  event.Range // the one that may still grow

	want, got byte // at the first place
}

func newPlaces(all bool) *places { return &places{limit: limitOf(all)} }

// limitOf is how many places are listed, with --all and without.
func limitOf(all bool) int {
	if all {
		return manyPlaces
	}
	return fewPlaces
}

// join adds what was found behind everything that is in p.
func (p *places) join(next *places) {
	if p.Count == 0 {
		p.want, p.got = next.want, next.got
	}
	listed := int64(0)
	for _, r := range next.List {
		p.add(r.Off, r.Len)
		listed += r.Len
	}
	if more := next.Count - int64(len(next.List)); more > 0 {
		p.Count += more
		p.Bytes += next.Bytes - listed
		p.last = next.last
	}
}

// add notes n bytes at off, behind all that were noted before.
func (p *places) add(off, n int64) {
	const sector = blockdev.SectorSize
	if p.Count > 0 && off/sector <= (p.last.End()-1)/sector+1 {
		p.Bytes += off + n - p.last.End()
		p.last.Len = off + n - p.last.Off
	} else {
		p.Count++
		p.Bytes += n
		p.last = event.Range{Off: off, Len: n}
		if p.Count <= int64(p.limit) {
			p.List = append(p.List, p.last)
		}
	}
	if p.Count <= int64(p.limit) {
		p.List[p.Count-1] = p.last
	}
}

// notZero looks for bytes of got, which was found at off, that are not zero.
func (p *places) notZero(got []byte, off int64) {
	for len(got) > 0 {
		n := min(len(got), len(zeroes))
		p.compare(zeroes[:n], got[:n], off)
		got, off = got[n:], off+int64(n)
	}
}

// missing looks for bytes of want that are not zero, where nothing but zeroes was found.
func (p *places) missing(want []byte, off int64) {
	for len(want) > 0 {
		n := min(len(want), len(zeroes))
		p.compare(want[:n], zeroes[:n], off)
		want, off = want[n:], off+int64(n)
	}
}

// compare looks for bytes of got, which was found at off, that are not those of want. Both are of one length.
func (p *places) compare(want, got []byte, off int64) {
	const block = 4096
	for len(got) > 0 {
		n := min(len(got), int(block-off%block))
		if !bytes.Equal(want[:n], got[:n]) {
			p.sectors(want[:n], got[:n], off)
		}
		want, got, off = want[n:], got[n:], off+int64(n)
	}
}

func (p *places) sectors(want, got []byte, off int64) {
	const sector = blockdev.SectorSize
	for len(got) > 0 {
		n := min(len(got), int(sector-off%sector))
		if !bytes.Equal(want[:n], got[:n]) {
			first, last := differing(want[:n], got[:n])
			if p.Count == 0 {
				p.want, p.got = want[first], got[first]
			}
			p.add(off+int64(first), int64(last-first+1))
		}
		want, got, off = want[n:], got[n:], off+int64(n)
	}
}

// differing is the first and the last byte that differ, of which there must be one.
func differing(a, b []byte) (first, last int) {
	for a[first] == b[first] {
		first++
	}
	last = len(a) - 1
	for a[last] == b[last] {
		last--
	}
	return first, last
}
