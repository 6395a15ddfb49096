package print

import (
	"fmt"
	"strings"

	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
	"github.com/blksh/blksh/verify"
)

// What a range holds, and what of it is not as expected, is a result even where it makes the
// command fail.

// alloc says how much is allocated, and what is behind the bytes.
func (n *Native) alloc(e event.Alloc) {
	n.say("%d/%s allocated at offset %d\n", e.Allocated, units.Bytes(e.Count), e.Off)
	n.say("  %s with storage, %s known to be zero\n", units.Exact(e.Data-e.Untold),
		units.Exact(e.Zero))
	n.untold(e.Untold)
}

// transfer says in qemu-io's words what was done, and below it how long that took.
func (n *Native) transfer(e event.Transfer) {
	if e.Terse {
		n.QEMU.transfer(e)
		return
	}
	n.say("%s %d/%s at offset %d\n", string(e.Verb), e.Done, units.Bytes(e.Count), e.Off)
	holes := ""
	if unread := e.Done - e.Moved; e.Verb == event.Read && unread > 0 {
		holes = fmt.Sprintf("; %s of it known to be zero and not read", units.Size(unread))
	}
	n.say("%s%s\n", rateWords(e.Done, e.Moved, e.Elapsed), holes)
}

// finding is how it is said that data are not as expected: apart from a stream of bytes.
func (n *Native) finding(at event.Where) func(format string, a ...any) {
	if n.streamed(at) {
		return n.warn
	}
	return n.say
}

// streamed says that standard output has the bytes of the command and nothing else.
func (n *Native) streamed(at event.Where) bool { return at.Line > 0 && n.bytesOf == at }

func (n *Native) notZero(at event.Where, e event.NotZero) {
	say := n.finding(at)
	say("%s\n  it is 0x%02x; %s\n", reason(e), e.Places.Got, placesWords(e.Places))
	places(say, e.Places)
}

func (n *Native) different(at event.Where, e event.Different) {
	say := n.finding(at)
	say("%s\n  0x%02x here, 0x%02x in %s; %s\n", reason(e), e.Places.Want, e.Places.Got, e.Name,
		placesWords(e.Places))
	var zeroes []string
	if n := e.Places.NoWant; n > 0 {
		zeroes = append(zeroes, units.Bytes(n)+" here")
	}
	if n := e.Places.NoGot; n > 0 {
		zeroes = append(zeroes, units.Bytes(n)+" in "+e.Name)
	}
	if len(zeroes) > 0 {
		say("  of them are zero: %s\n", strings.Join(zeroes, ", "))
	}
	places(say, e.Places)
}

// placeWords is an offset in both notations.
func placeWords(off int64) string { return fmt.Sprintf("%d (0x%x)", off, off) }

func placesWords(p verify.Diff) string {
	return units.Bytes(p.Bytes) + " in " + units.Count(p.Count, "range")
}

func places(say func(string, ...any), p verify.Diff) {
	for _, r := range p.List {
		if r.Bad < r.Len {
			say("  %s: %d of %s\n", placeWords(r.Off), r.Bad, units.Bytes(r.Len))
		} else {
			say("  %s: %s\n", placeWords(r.Off), units.Bytes(r.Len))
		}
	}
	if more := p.Count - int64(len(p.List)); more > 0 {
		say("  and %s more; --all shows them\n", units.Count(more, "range"))
	}
}

// mismatch says which bytes differ from a pattern, how, and what may have happened to them.
func (n *Native) mismatch(at event.Where, e event.Mismatch) {
	say, m := n.finding(at), e.Detail
	say("%s\n", reason(e))
	if m == nil {
		return
	}
	in := units.Count(len(m.Ranges), "range")
	if m.More > 0 {
		in = "more than " + in
	}
	say("  first wrong byte at %s; %d of %s wrong, in %s\n", placeWords(m.Off), m.Bad,
		units.Bytes(e.Len), in)
	n.bothSides(at, m)
	for _, r := range m.Ranges {
		say("  %s: %s\n", placeWords(r.Off), rangeWordsOf(r))
	}
	if m.More > 0 {
		say("  and wrong bytes in %s more; --all shows them\n", units.Count(m.More, "sector"))
	}
}

// bothSides shows what was expected and what was found, as far as it is at hand, and which bytes of
// it are wrong.
func (n *Native) bothSides(at event.Where, m *verify.Mismatch) {
	say, palette := n.say, n.Look.Out
	if n.streamed(at) {
		say, palette = n.warn, n.Look.Err
	}
	l := rowLayout{digits: addressDigits(m.ExcerptOff + int64(len(m.Want))), palette: palette}
	for at := 0; at < len(m.Want); at += dumpRow {
		want, got := m.Want[at:min(at+dumpRow, len(m.Want))], m.Got[at:min(at+dumpRow, len(m.Got))]
		if l.marked = unlike(want, got); l.marked == 0 {
			continue
		}
		off := m.ExcerptOff + int64(at)
		l.role = colour.Right
		say("  expected  %s", l.append(nil, want, off))
		l.role = colour.Wrong
		say("  found     %s", l.append(nil, got, off))
		if !palette {
			say("            %s", l.appendMarks(nil))
		}
	}
}

// unlike has a bit for each byte in which two rows differ, the lowest for the first.
func unlike(a, b []byte) (bits uint16) {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			bits |= 1 << i
		}
	}
	return bits
}

func rangeWordsOf(r verify.Range) string {
	said := units.Bytes(r.Len)
	if r.Bad < r.Len {
		said += fmt.Sprintf(", %d of them wrong", r.Bad)
	}
	if r.Cause.Class != verify.Other {
		said += ", " + r.Cause.String()
	}
	return said
}

// bytes writes content as it is.
func (n *Native) bytes(at event.Where, e event.Bytes) {
	n.bytesOf = at
	_, _ = n.Out.Write(e.Data)
	for left := e.Zeroes; left > 0; left -= int64(len(noBytes)) {
		_, _ = n.Out.Write(noBytes[:min(left, int64(len(noBytes)))])
	}
}

func (n *Native) mapTotals(e event.MapTotals) {
	share := func(part int64) string {
		return fmt.Sprintf("%s, %.2f%%", units.Exact(part),
			100*float64(part)/float64(max(1, e.Len)))
	}
	n.say("%s in %s at offset %d\n", units.Exact(e.Len), units.Count(e.Runs, "run"), e.Off)
	n.say("  data    %s\n  zeroes  %s\n  holes   %s\n", share(e.Data), share(e.Zero), share(e.Hole))
	if e.Compressed > 0 {
		n.say("  of the data %s %s compressed\n", units.Exact(e.Compressed),
			units.Are(e.Compressed))
	}
	if e.Backing > 0 {
		n.say("  of the data %s %s in images below\n", units.Exact(e.Backing),
			units.Are(e.Backing))
	}
	n.untold(e.Untold)
}

func (n *Native) verified(e event.Verified) {
	as := map[string]string{
		"zero": "as zeroes", "trimmed": "as zeroes",
		"written": "as written",
	}[e.As]
	n.say("verified: %s at offset %d read back %s", units.Exact(e.Len), e.Off, as)
	if e.As == "trimmed" && e.Untold < e.Len {
		n.say(", %s of them still have storage", units.Exact(e.Stored))
	}
	n.say("\n")
	if e.As == "trimmed" {
		n.untold(e.Untold)
	}
}

// untold says of how much nobody knows whether it has storage.
func (n *Native) untold(bytes int64) {
	if bytes > 0 {
		n.say("  whether %s have storage a device does not tell\n", units.Exact(bytes))
	}
}

// found shows a match, and if it comes with what is around it the lines of a dump.
func (n *Native) found(e event.Found) {
	n.say("%s\n", placeWords(e.Off))
	l := rowLayout{
		digits: addressDigits(e.ExcerptOff + int64(len(e.Excerpt))), palette: n.Look.Out,
		role: colour.Found,
	}
	for at := int64(0); at < int64(len(e.Excerpt)); at += dumpRow {
		off := e.ExcerptOff + at
		l.marked = 0
		for i := range int64(dumpRow) {
			if off+i >= e.Off && off+i < e.Off+e.Len {
				l.marked |= 1 << i
			}
		}
		row := e.Excerpt[at:min(at+dumpRow, int64(len(e.Excerpt)))]
		n.say("  %s", l.append(nil, row, off))
		if l.marked != 0 && !l.palette {
			n.say("  %s", l.appendMarks(nil))
		}
	}
}
