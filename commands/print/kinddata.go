package print

import (
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/verify"
)

// dataKinds is about what ranges hold.
func dataKinds() []kind {
	return []kind{
		of("bytes", "Content as it is.",
			must("data", Base64, "the bytes", func(e event.Bytes) any { return e.Data }),
			may("zeroes", Int, "how many zeroes follow them that were not read", func(e event.Bytes) any { return count(e.Zeroes) }),
		),
		of("zero", "A range holds nothing but zeroes.", rangeOf(func(e event.Zero) event.Range { return e.Range })...),
		failure("not_zero", "A range that should be zero is not.", append(rangeOf(func(e event.NotZero) event.Range { return e.Range }),
			append(placesOf(func(e event.NotZero) verify.Diff { return e.Places }),
				must("op", Text, "the command", func(e event.NotZero) any { return e.Op }),
				must("value", Int, "the first byte that is not zero", func(e event.NotZero) any { return int(e.Places.Got) }),
			)...)...),
		of("verified", "What a command did was read back and is right.", append(
			rangeOf(func(e event.Verified) event.Range { return e.Range }),
			must("as", Text, "zero, trimmed (which is zero as well) or written", func(e event.Verified) any { return e.As }),
			must("stored", Int, "bytes of the range that have storage behind them", func(e event.Verified) any { return e.Stored }),
			may("untold", Int, "bytes of which a device does not tell whether they have", func(e event.Verified) any { return count(e.Untold) }),
		)...),
		of("sum", "The checksum of a range.", append(
			rangeOf(func(e event.Sum) event.Range { return e.Range }),
			must("algorithm", Text, "its name", func(e event.Sum) any { return e.Algorithm }),
			must("sum", Text, "the checksum in hex", func(e event.Sum) any { return hexText(e.Sum) }),
		)...),
		of("found", "A place where the bytes are that were looked for.",
			must("offset", Int, "of the first of them", func(e event.Found) any { return e.Off })),
		of("searched", "The end of a search that found something.", append(
			rangeOf(func(e event.Searched) event.Range { return e.Range }),
			must("matches", Int, "places that were found", func(e event.Searched) any { return e.Matches }),
			may("more", Bool, "the search ended before the range did", func(e event.Searched) any { return flag(e.More) }),
		)...),
		failure("not_found", "A range does not contain what was looked for.",
			rangeOf(func(e event.NotFound) event.Range { return e.Range })...),
		of("same", "Two images agree over a range.", append(
			rangeOf(func(e event.Same) event.Range { return e.Range }),
			must("name", Path, "the other image", func(e event.Same) any { return e.Name }),
		)...),
		failure("different", "Two images do not agree.", append(rangeOf(func(e event.Different) event.Range { return e.Range }),
			append(placesOf(func(e event.Different) verify.Diff { return e.Places }),
				must("name", Path, "the other image", func(e event.Different) any { return e.Name }),
				must("here", Int, "the first byte that differs, in the current image", func(e event.Different) any { return int(e.Places.Want) }),
				must("there", Int, "the same in the other", func(e event.Different) any { return int(e.Places.Got) }),
			)...)...),
		of("lengths", "Two images that are compared are not of one length.", lengthsOf(func(e event.Lengths) event.Lengths { return e })...),
		failure("other_length", "Two images agree, and are not of one length.",
			lengthsOf(func(e event.OtherLength) event.Lengths { return e.Lengths })...),
		of("map_totals", "The runs of a map added up, in bytes.", append(
			rangeOf(func(e event.MapTotals) event.Range { return e.Range }),
			must("runs", Int, "number of runs", func(e event.MapTotals) any { return e.Runs }),
			must("data", Int, "with storage, and not known to be zero", func(e event.MapTotals) any { return e.Data }),
			must("zero", Int, "with storage, and known to be zero", func(e event.MapTotals) any { return e.Zero }),
			must("hole", Int, "without storage", func(e event.MapTotals) any { return e.Hole }),
			must("compressed", Int, "of the data: compressed", func(e event.MapTotals) any { return e.Compressed }),
			must("backing", Int, "of the data: held by images below", func(e event.MapTotals) any { return e.Backing }),
			may("untold", Int, "of the data: bytes of which a device does not tell whether they have storage",
				func(e event.MapTotals) any { return count(e.Untold) }),
		)...),
	}
}

// rangeOf is the fields of an event about a range.
func rangeOf[E event.Event](get func(e E) event.Range) []fieldOf[E] {
	return []fieldOf[E]{
		must("offset", Int, "first byte", func(e E) any { return get(e).Off }),
		must("length", Int, "bytes", func(e E) any { return get(e).Len }),
	}
}

// lengthsOf is the fields about two lengths.
func lengthsOf[E event.Event](get func(e E) event.Lengths) []fieldOf[E] {
	return []fieldOf[E]{
		must("name", Path, "the other image", func(e E) any { return get(e).Name }),
		must("here", Int, "bytes of the current image", func(e E) any { return get(e).Here }),
		must("there", Int, "bytes of the other", func(e E) any { return get(e).There }),
		must("zero", Bool, "whether nothing but zeroes lies behind the end of the shorter one", func(e E) any { return get(e).Zero }),
	}
}

// placesOf is the fields about places in it.
func placesOf[E event.Event](get func(e E) verify.Diff) []fieldOf[E] {
	return []fieldOf[E]{
		must("first", Int, "offset of the first byte that is wrong", func(e E) any { return get(e).List[0].Off }),
		must("ranges", List, "where wrong bytes are: offset and length of a run of sectors with such, and bad, how many there are; up to a limit", func(e E) any { return get(e).List }),
		must("range_count", Int, "how many ranges there are", func(e E) any { return get(e).Count }),
		must("bytes", Int, "bytes that are wrong in all of them", func(e E) any { return get(e).Bytes }),
	}
}

func hexText(b []byte) string {
	text := make([]byte, 0, 2*len(b))
	for _, c := range b {
		text = append(text, hexDigits[c>>4], hexDigits[c&15])
	}
	return string(text)
}

// count leaves out none.
func count(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// known leaves out what nobody noted.
func known(e event.Interrupted, n int64) any {
	if e.Op == "" {
		return nil
	}
	return n
}
