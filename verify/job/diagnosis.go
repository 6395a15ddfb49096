package job

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// diagnose finds out what is wrong with a block that is not as it should be.
func (c *checker) diagnose(p []byte, pos int64, x *expectation) *Bad {
	b := &Bad{Off: pos, Len: int64(len(p)), Type: c.l.Verify, got: p}
	if x.known {
		b.Seed, b.Number = x.Seed, x.Number
	}
	if cause, ok := verify.FilledWith(p); ok {
		b.Cause = cause
		return b
	}
	h, ok := c.header(p)
	if !ok {
		c.diagnoseHeaderless(b, x)
		return b
	}
	b.Header = &h
	c.diagnoseHeader(b, &h, x)
	return b
}

// diagnoseHeader finds out what is wrong with a block whose header is intact.
func (c *checker) diagnoseHeader(b *Bad, h *fio.Header, x *expectation) {
	home := int64(h.Offset)
	list := c.types(h)
	b.Type = typeNames(list, c.l.Verify)
	switch {
	case home != b.Off:
		b.Cause = verify.Cause{Class: verify.Misdirected, Delta: home - b.Off}
	case int(h.Len) > len(b.got) && !x.known && b.Off+b.Len == c.l.Offset+c.l.Extent:
		b.Cause = verify.Cause{Class: verify.CutOff}
	case int(h.Len) != len(b.got) || c.l.Generation != 0 && !c.current(h, x):
		b.Cause = stale(h)
	case len(list) == 0:
		c.diagnoseType(b, h, x)
	default:
		k, sound := c.sound(b.got, h)
		if sound && (k.Size > 0 || len(list) == 1) { // otherwise nothing speaks for the type
			b.Type = k.OptionName()
			if !c.current(h, x) {
				b.Cause = stale(h)
				return
			}
			c.diagnoseContent(b, h, k, x)
			return
		}
		c.diagnoseData(b, h, c.nearest(b, h, list, x), x)
	}
}

// diagnoseType judges a block of a type that was not asked for.
func (c *checker) diagnoseType(b *Bad, h *fio.Header, x *expectation) {
	b.Type, b.Cause = fmt.Sprintf("type %d", h.Type), verify.Cause{Class: verify.OtherType}
	list := h.Checksums()
	if len(list) == 0 {
		return
	}
	b.Type = typeNames(list, "")
	for _, k := range list {
		if c.holds(b.got, h, k) {
			b.Type = k.OptionName()
			return
		}
	}
	c.diagnoseData(b, h, c.nearest(b, h, list, x), x)
}

// nearest is the type that leaves the least of a block wrong, where its number
// has several meanings.
func (c *checker) nearest(b *Bad, h *fio.Header, list []*fio.Checksum,
	x *expectation,
) *fio.Checksum {
	best, least := list[0], [2]int{math.MaxInt}
	for _, k := range list {
		data := h.Size() + k.Size
		if len(list) == 1 || data > len(b.got) || !c.restore(b.got, data) {
			continue
		}
		if wrong := c.wrong(b, h, k, x); slices.Compare(wrong[:], least[:]) < 0 {
			best, least = k, wrong
		}
		c.restore(b.got, data)
	}
	return best
}

// wrong says how wrong a block is if it is of type k: the bytes of its data that are not what the
// seed makes count more than the bits of its checksum, whose number decides if nothing else does.
func (c *checker) wrong(b *Bad, h *fio.Header, k *fio.Checksum, x *expectation) [2]int {
	const byteWeight, maxBits = 8, 16
	n, data := 0, h.Size()+k.Size
	if want := c.origin(b.got, b.Off, h.Seed, data, x); want != nil &&
		!bytes.Equal(want[data:], b.got[data:]) {
		_, _, count := verify.Differences(want[data:], b.got[data:])
		n = count * byteWeight
	}
	stored, computed := b.got[h.Size():data], make([]byte, k.Size)
	copy(computed, stored)
	k.Compute(c.sums, computed, b.got[data:])
	bitsWrong := 0
	for i := range stored {
		bitsWrong += bits.OnesCount8(stored[i] ^ computed[i])
	}
	return [2]int{n + min(bitsWrong, maxBits), bitsWrong}
}

// stale is the cause of blocks that another job wrote, or an earlier loop.
func stale(h *fio.Header) verify.Cause {
	if gen, ok := h.Generation(); ok {
		return verify.Cause{Class: verify.Stale, Generation: uint64(gen)}
	}
	return verify.Cause{Class: verify.Stale, Generation: h.Number}
}

func typeNames(list []*fio.Checksum, fallback string) string {
	if len(list) == 0 {
		return fallback
	}
	var names []string
	for _, k := range list {
		names = append(names, k.OptionName())
	}
	return strings.Join(slices.Compact(names), " or ")
}

// diagnoseContent judges a block whose checksum is right while its content is not what its seed
// makes.
func (c *checker) diagnoseContent(b *Bad, h *fio.Header, k *fio.Checksum, x *expectation) {
	data := h.Size() + k.Size
	b.blind = k.Blind
	if !x.known && (!k.Blind || c.known.content == unexplained) {
		// whoever wrote it made its content in another way
		b.Cause = verify.Cause{Class: verify.ContentMismatch}
		return
	}
	want := c.original(b, h, data, x)
	if want == nil {
		b.Cause = verify.Cause{Class: verify.ContentMismatch}
		return
	}
	c.compare(b, h, k, want)
}

// original makes what the data of a block should be; nil if it is not known how they were made.
func (c *checker) original(b *Bad, h *fio.Header, data int, x *expectation) []byte {
	c.locateRequest(h, b.Off, x)
	want := c.origin(b.got, b.Off, h.Seed, data, x)
	if want == nil && (x.known || c.known.content == explained) && !c.untold(h, x) {
		want = c.presumed(b.got, b.Off, h.Seed, x)
	}
	return want
}

// diagnoseData judges a block whose checksum is wrong while its header is right.
func (c *checker) diagnoseData(b *Bad, h *fio.Header, k *fio.Checksum, x *expectation) {
	data := h.Size() + k.Size
	b.Cause = verify.Cause{Class: verify.PayloadOnly}
	if data > len(b.got) || !c.restore(b.got, data) {
		return
	}
	want := c.original(b, h, data, x)
	if want == nil {
		c.diagnoseUnknown(b, data)
		return
	}
	c.compare(b, h, k, want)
}

// maxParts bounds the parts of a block that are told of.
const maxParts = 16

// diagnoseUnknown looks for damage that shows without knowing the right content.
func (c *checker) diagnoseUnknown(b *Bad, data int) {
	p := b.got
	for at := firstSector(b.Off, data); at+verify.Sector <= len(p); at += verify.Sector {
		if cause, ok := verify.FilledWith(p[at : at+verify.Sector]); ok {
			b.Cause = cause
			sector := verify.DiffRange{
				Off: b.Off + int64(at), Len: verify.Sector, Bad: verify.Sector,
			}
			b.Parts = append(b.Parts, verify.Range{DiffRange: sector, Cause: cause})
			if len(b.Parts) == maxParts {
				return
			}
		}
	}
}

// firstSector is the first index at or behind from that is on a sector's
// beginning, in a block at off.
func firstSector(off int64, from int) int {
	return from + int(-(off+int64(from))&(verify.Sector-1))
}

// compare judges a block by its right content, which it completes with header and checksum.
func (c *checker) compare(b *Bad, h *fio.Header, k *fio.Checksum, want []byte) {
	data := h.Size() + k.Size
	got := b.got
	b.want = bytes.Clone(want)
	copy(b.want, got[:h.Size()])
	k.Compute(c.sums, b.want[h.Size():data], b.want[data:])
	if bytes.Equal(b.want, got) {
		b.Cause = verify.Cause{Class: verify.Other}
		return
	}
	b.Cause, b.Parts = causeOf(b.want, got, b.Off)
	if b.Cause.Class == verify.OneBit {
		b.Cause.At = c.stored(b.Cause.At, b.Off, data)
	}
	if b.Cause.Class != verify.OneBit && bytes.Equal(b.want[data:], got[data:]) {
		b.Cause = verify.Cause{Class: verify.HeaderOnly}
	}
}

// stored is where the byte at offset at is on the device, when the header of n
// bytes of the block at off has been moved to its beginning.
func (c *checker) stored(at, off int64, n int) int64 {
	moved := int64(c.l.HeaderOffset)
	switch in := at - off; {
	case moved == 0:
	case in < int64(n):
		return at + moved
	case in >= moved && in < moved+int64(n):
		return at - moved
	}
	return at
}

// causeOf compares a block at off with what it should be. The parts are its wrong sectors.
func causeOf(want, got []byte, off int64) (verify.Cause, []verify.Range) {
	first, last, count := verify.Differences(want, got)
	parts := verify.WrongRanges(want, got, off)
	if count == 1 {
		if diff := want[first] ^ got[first]; bits.OnesCount8(diff) == 1 {
			return verify.Cause{
				Class: verify.OneBit, Bit: uint8(bits.TrailingZeros8(diff)),
				At: off + int64(first),
			}, parts
		}
	}
	if cause, ok := verify.FilledWith(got[first : last+1]); ok {
		return cause, parts
	}
	if delta, ok := displacement(want, got, first, last); ok {
		return verify.Cause{Class: verify.Shifted, Delta: delta}, parts
	}
	if _, ok := fio.ParseHeader(got[first:]); ok && first > 0 {
		return verify.Cause{Class: verify.Leftover, At: off + int64(first)}, parts
	}
	if cause, ok := filledParts(parts); ok {
		return cause, parts
	}
	if torn(got, off, parts) {
		return verify.Cause{Class: verify.Torn}, parts
	}
	return verify.Cause{Class: verify.PayloadOnly}, parts
}

// filledParts is the cause of all parts if that is the same and they are filled.
func filledParts(parts []verify.Range) (verify.Cause, bool) {
	cause := parts[0].Cause
	for _, r := range parts {
		if r.Cause != cause {
			return cause, false
		}
	}
	return cause, cause.Class == verify.Zeroed || cause.Class == verify.Filled
}

// displacement looks for the data of got in want, moved by less than a block.
func displacement(want, got []byte, first, last int) (delta int64, ok bool) {
	const probe = 16
	for _, at := range []int{first, (first + last) / 2, last - probe + 1} {
		if at < 0 || at+probe > len(got) {
			continue
		}
		home := bytes.Index(want, got[at:at+probe])
		if _, dull := verify.FilledWith(got[at : at+probe]); home < 0 || home == at || dull {
			continue
		}
		n := min(last+1-at, len(want)-home)
		if n >= 2*probe && bytes.Equal(want[home:home+n], got[at:at+n]) {
			return int64(home - at), true
		}
	}
	return 0, false
}

// torn reports whether the wrong parts are whole sectors of another write's
// random content, as when a write ended early.
func torn(got []byte, off int64, parts []verify.Range) bool {
	for _, r := range parts {
		from, to := int(r.Off-off+7)&^7, int(r.End()-off)&^7
		followed := false
		for i := range fio.Fillers {
			followed = followed || from < to && fio.Fillers[i].Follows(got[from:to])
		}
		if !followed {
			return false
		}
	}
	return wholeSectors(parts, off, len(got))
}

// wholeSectors reports whether the wrong parts of a block of n bytes at off are
// whole sectors and others are right. Nearly all bytes of random data differ,
// so a run of sectors begins and ends within a few bytes of their bounds.
func wholeSectors(parts []verify.Range, off int64, n int) bool {
	const slack = 8
	wrong := int64(0)
	for _, r := range parts {
		if r.Off%verify.Sector > slack && r.Off-off > slack {
			return false
		}
		if -r.End()&(verify.Sector-1) > slack && r.End() != off+int64(n) {
			return false
		}
		wrong += r.Len
	}
	return wrong > 0 && wrong < int64(n)-verify.Sector/2
}

// diagnoseHeaderless judges a block that does not begin with a header.
func (c *checker) diagnoseHeaderless(b *Bad, x *expectation) {
	p := b.got
	at := min(c.l.HeaderOffset, len(p))
	b.Cause = verify.Cause{Class: verify.Foreign}
	if h, bit, ok := fio.RepairHeader(p[at:]); ok {
		b.Header = &h
		b.Type = typeNames(c.types(&h), c.l.Verify)
		b.Cause = verify.Cause{
			Class: verify.OneBit, Bit: uint8(bit % 8),
			At: b.Off + int64(at+bit/8),
		}
		b.want = bytes.Clone(p)
		b.want[at+bit/8] ^= 1 << (bit % 8)
		return
	}
	if h, found, ok := fio.FindHeader(p); ok {
		if delta := int64(h.Offset) + int64(at) - (b.Off + int64(found)); delta != 0 {
			b.Header = &h
			b.Cause = verify.Cause{Class: verify.Misdirected, Delta: delta}
			if -b.Len < delta && delta < b.Len {
				b.Cause.Class = verify.Shifted
			}
			return
		} // otherwise it is at home: that of a smaller block within this one
	}
	if b.BigEndian = fio.SwappedHeader(p[at:]); !b.BigEndian {
		c.diagnoseLost(b, x)
	}
}

// diagnoseLost judges a block of which no header is left: the data may still be
// those of the job, or of some seed.
func (c *checker) diagnoseLost(b *Bad, x *expectation) {
	p := b.got
	damaged := fio.ResemblesHeader(p[min(c.l.HeaderOffset, len(p)):], b.Off, len(p))
	data := c.l.HeaderSize()
	if c.l.Checksum == nil {
		data = fio.LongHeader + fio.MaxSum // whatever the type is
	}
	if data >= len(p) || c.l.HeaderOffset != 0 {
		if damaged {
			b.Cause = verify.Cause{Class: verify.HeaderOnly}
		}
		return
	}
	for _, seed := range c.lostSeeds(p, b.Off, x) {
		want := c.origin(p, b.Off, seed, data, x)
		if want == nil {
			continue
		}
		if bytes.Equal(want[data:], p[data:]) {
			if bytes.Equal(want[:data], p[:data]) {
				return // content that never had a header, as fio lays out files
			}
			b.Cause = verify.Cause{Class: verify.HeaderOnly}
			if cause, ok := verify.FilledWith(p[:fio.ShortHeader]); ok {
				b.Cause = cause
			}
			return
		}
		b.want = bytes.Clone(want)
		if cause, parts := causeOf(want, p, b.Off); len(parts) > 0 {
			b.Cause, b.Parts = cause, parts
			if cause.Class == verify.PayloadOnly {
				b.Cause = verify.Cause{Class: verify.Foreign}
			}
		}
		return
	}
	if damaged {
		b.Cause = verify.Cause{Class: verify.HeaderOnly}
	}
}

// lostSeeds are the seeds that a block without header may have: the job's, the
// one that the field of a damaged header has, and the one that its data give.
func (c *checker) lostSeeds(p []byte, pos int64, x *expectation) (list []uint64) {
	if x.known {
		list = append(list, x.Seed)
	}
	if len(p) >= fio.ShortHeader {
		list = append(list, binary.LittleEndian.Uint64(p[8:]))
	}
	if x.N > 0 {
		if seed, ok := fio.SolveSeed(p, pos, x.Off); ok {
			list = append(list, seed)
		}
	}
	if seed, ok := fio.SolveSeed(p, pos, pos); ok {
		list = append(list, seed)
	}
	return list
}

// diagnosePlain judges a request without headers.
func (c *checker) diagnosePlain(p, want []byte, x *expectation) *Bad {
	b := &Bad{
		Off: x.Off, Len: int64(len(p)), Type: c.l.Verify, got: p, Seed: x.Seed,
		Number: x.Number,
	}
	b.want = bytes.Clone(want)
	if cause, ok := verify.FilledWith(p); ok {
		b.Cause = cause
		return b
	}
	b.Cause, b.Parts = causeOf(want, p, x.Off)
	if b.Cause.Class == verify.OneBit {
		return b
	}
	if pat := c.l.Payload.Pattern; pat != nil && !c.l.Payload.Still {
		if start, ok := pat.Start(p); ok && start != x.Off {
			b.Cause = verify.Cause{Class: verify.Misdirected, Delta: start - x.Off}
		}
	}
	return b
}
