package print

import (
	"fmt"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/verify"
)

// data shows what a range holds, and what of it is not as expected. That is a result even where it makes the command fail.
func (n *Native) data(at event.Where, e event.Event) bool {
	switch e := e.(type) {
	case event.Dump:
		n.dump(e)
	case event.Bytes:
		n.bytesOf = at
		n.bytes(e)
	case event.Alloc:
		n.QEMU.Print(at, e)
		n.say("  %s with storage, %s known to be zero\n", sizeWords(e.Data-e.Untold), sizeWords(e.Zero))
		n.untold(e.Untold)
	case event.MapRun:
		n.mapRun(e)
	case event.MapTotals:
		n.mapTotals(e)
	case event.Zero:
		n.say("%s at offset %d are zero\n", sizeWords(e.Len), e.Off)
	case event.Verified:
		n.verified(e)
	case event.Sum:
		n.say("%x  %s of %s at offset %d\n", []byte(e.Sum), e.Algorithm, sizeWords(e.Len), e.Off)
	case event.Found:
		n.say("%s\n", placeWords(e.Off))
	case event.Searched:
		n.searched(e)
	case event.Same:
		n.say("the same: %s at offset %d\n", sizeWords(e.Len), e.Off)
	case event.Lengths:
		n.say("%s\n", lengthWords(e))
	default:
		return n.finding(at, e) || n.verification(e)
	}
	return true
}

// finding shows what is not as expected. It is kept out of a stream of bytes.
func (n *Native) finding(at event.Where, e event.Event) bool {
	say := n.say
	if at.Line > 0 && n.bytesOf == at {
		say = n.warn
	}
	switch e := e.(type) {
	case event.Mismatch:
		say("%s\n", firstLine(e))
		if e.Detail != nil {
			mismatch(say, e)
		}
	case event.NotZero:
		say("%s\n  it is 0x%02x; %s\n", reasonOfData(e), e.Places.Got, placesWords(e.Places))
		places(say, e.Places)
	case event.Different:
		say("%s\n  0x%02x here, 0x%02x in %s; %s\n", reasonOfData(e), e.Places.Want, e.Places.Got, e.Name, placesWords(e.Places))
		places(say, e.Places)
	case event.NotFound, event.OtherLength:
		say("%s\n", reasonOfData(e))
	default:
		return false
	}
	return true
}

// reasonOfData says in a sentence what is wrong with data, "" for other events.
func reasonOfData(e event.Event) string {
	switch e := e.(type) {
	case event.NotZero:
		return fmt.Sprintf("%s: not zero at %s", e.Op, placeWords(e.Places.List[0].Off))
	case event.Different:
		return "different at " + placeWords(e.Places.List[0].Off)
	case event.OtherLength:
		return lengthWords(e.Lengths)
	case event.NotFound:
		return fmt.Sprintf("not found in %s at offset %d", sizeWords(e.Len), e.Off)
	case event.Interrupted:
		if e.Op == "" {
			return "interrupted"
		}
		return fmt.Sprintf("interrupted: %s stopped at %d, %s of %s done", e.Op, e.Off+e.Done, args.Size(float64(e.Done)), args.Size(float64(e.Len)))
	}
	return ""
}

// placeWords is an offset in both notations.
func placeWords(off int64) string { return fmt.Sprintf("%d (0x%x)", off, off) }

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// lengthWords says how long two images are.
func lengthWords(e event.Lengths) string {
	behind := "only zeroes"
	if !e.Zero {
		behind = "not only zeroes"
	}
	return fmt.Sprintf("different lengths: %s here, %s in %s; behind the end of the shorter one are %s",
		sizeWords(e.Here), sizeWords(e.There), e.Name, behind)
}

func placesWords(p verify.Diff) string {
	return plural(p.Bytes, "byte", "bytes") + " in " + plural(p.Count, "range", "ranges")
}

func places(say func(string, ...any), p verify.Diff) {
	for _, r := range p.List {
		if r.Bad < r.Len {
			say("  %s: %d of %s\n", placeWords(r.Off), r.Bad, plural(r.Len, "byte", "bytes"))
		} else {
			say("  %s: %s\n", placeWords(r.Off), plural(r.Len, "byte", "bytes"))
		}
	}
	if more := p.Count - int64(len(p.List)); more > 0 {
		say("  and %s more; --all shows them\n", plural(more, "range", "ranges"))
	}
}

// mismatch says which bytes differ from a pattern, how, and what may have happened to them.
func mismatch(say func(string, ...any), e event.Mismatch) {
	m := e.Detail
	in := plural(int64(len(m.Ranges)), "range", "ranges")
	if m.More > 0 {
		in = "more than " + in
	}
	say("  first wrong byte at %s; %d of %s wrong, in %s\n", placeWords(m.Off), m.Bad, plural(e.Len, "byte", "bytes"), in)
	for at := 0; at < len(m.Want); at += dumpRow {
		want, got := m.Want[at:min(at+dumpRow, len(m.Want))], m.Got[at:min(at+dumpRow, len(m.Got))]
		if string(want) != string(got) {
			say("  expected  %s", appendDump(nil, want, m.ExcerptOff+int64(at)))
			say("  found     %s", appendDump(nil, got, m.ExcerptOff+int64(at)))
		}
	}
	for _, r := range m.Ranges {
		say("  %s: %s\n", placeWords(r.Off), rangeWordsOf(r))
	}
	if m.More > 0 {
		say("  and wrong bytes in %s more; --all shows them\n", plural(m.More, "sector", "sectors"))
	}
}

func rangeWordsOf(r verify.Range) string {
	said := plural(r.Len, "byte", "bytes")
	if r.Bad < r.Len {
		said += fmt.Sprintf(", %d of them wrong", r.Bad)
	}
	if r.Cause.Class != verify.Other {
		said += ", " + r.Cause.String()
	}
	return said
}

// bytes writes content as it is.
func (n *Native) bytes(e event.Bytes) {
	_, _ = n.Out.Write(e.Data)
	for left := e.Zeroes; left > 0; left -= int64(len(noBytes)) {
		_, _ = n.Out.Write(noBytes[:min(left, int64(len(noBytes)))])
	}
}

// mapRun adds to qemu-io's line what the run is made of and where it lies.
func (n *Native) mapRun(e event.MapRun) {
	n.say("%s (0x%x) bytes %s at offset %s (0x%x): %s", args.Size(float64(e.Len)), e.Len, allocated(e.Allocated),
		args.Size(float64(e.Off)), e.Off, stateWords(e))
	if e.Depth > 0 {
		n.say(", depth %d", e.Depth)
	}
	if e.Data && e.HostOff >= 0 {
		n.say(", at 0x%x of the file", e.HostOff)
	}
	n.say("\n")
}

func stateWords(e event.MapRun) string {
	switch {
	case e.Compressed:
		return "compressed data"
	case e.Data && e.Zero:
		return "zeroes with storage"
	case e.Untold:
		return "data or hole, a device does not tell"
	case e.Data:
		return "data"
	case e.Zero:
		return "hole"
	}
	return "unknown"
}

func (n *Native) mapTotals(e event.MapTotals) {
	share := func(part int64) string {
		return fmt.Sprintf("%s, %.2f%%", sizeWords(part), 100*float64(part)/float64(max(1, e.Len)))
	}
	n.say("%s in %s at offset %d\n", sizeWords(e.Len), plural(e.Runs, "run", "runs"), e.Off)
	n.say("  data    %s\n  zeroes  %s\n  holes   %s\n", share(e.Data), share(e.Zero), share(e.Hole))
	if e.Compressed > 0 {
		n.say("  of the data %s are compressed\n", sizeWords(e.Compressed))
	}
	if e.Backing > 0 {
		n.say("  of the data %s are in images below\n", sizeWords(e.Backing))
	}
	n.untold(e.Untold)
}

func (n *Native) verified(e event.Verified) {
	as := map[string]string{"zero": "as zeroes", "trimmed": "as zeroes", "written": "as written"}[e.As]
	n.say("verified: %s at offset %d read back %s", sizeWords(e.Len), e.Off, as)
	if e.As == "trimmed" && e.Untold < e.Len {
		n.say(", %s of them still have storage", sizeWords(e.Stored))
	}
	n.say("\n")
	if e.As == "trimmed" {
		n.untold(e.Untold)
	}
}

// untold says of how much nobody knows whether it has storage.
func (n *Native) untold(bytes int64) {
	if bytes > 0 {
		n.say("  whether %s have storage a device does not tell\n", sizeWords(bytes))
	}
}

func (n *Native) searched(e event.Searched) {
	said := plural(e.Matches, "match", "matches")
	if e.More {
		said += ", and perhaps more"
	}
	n.say("%s in %s at offset %d\n", said, sizeWords(e.Len), e.Off)
}
