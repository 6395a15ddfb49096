package event

import (
	"fmt"

	"github.com/blksh/blksh/commands/units"
	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/merkle"
)

// The events of this file are about content: what a range holds, how it differs, and bytes as they
// are.

// DumpStyle is how bytes are shown.
type DumpStyle string

// The styles of dumps; "" is the usual one.
const (
	StyleQEMU DumpStyle = "qemu" // as qemu-io's read -v
	StyleXXD  DumpStyle = "xxd"  // as xxd, which can turn it back into bytes
	StyleC    DumpStyle = "c"    // as numbers of an array of C
)

// DumpLayout is how bytes are shown, and of how many a number is made in the usual style: 1, 2, 4
// or 8, the least significant first unless BigEndian is set. 0 is 1.
type DumpLayout struct {
	Style     DumpStyle
	Word      int
	BigEndian bool
}

// Bytes is content for stdout, as it is: Data, and then so many zeroes that are not in memory.
type Bytes struct {
	Data   []byte `json:"data" doc:"the bytes"`
	Zeroes int64  `json:"zeroes,omitempty" unit:"bytes" doc:"how many zeroes follow them that were not read"`
}

// Kind of the event.
func (Bytes) Kind() Kind { return Kind{"bytes", "Content as it is."} }

// Zero says that a range holds nothing but zeroes.
type Zero struct{ Range }

// Kind of the event.
func (Zero) Kind() Kind { return Kind{"zero", "A range holds nothing but zeroes."} }

// Words of the event.
func (z Zero) Words() string {
	return fmt.Sprintf("%s at offset %d %s zero", units.Exact(z.Len), z.Off, units.Are(z.Len))
}

// NotZero says where a range is not zero, whatever was asked of it: Op is the command.
type NotZero struct {
	dataFailure
	Op string
	Range
	Places verify.Diff
}

// Kind of the event.
func (NotZero) Kind() Kind { return Kind{"not_zero", "A range that should be zero is not."} }

type notZero struct {
	Range
	places
	Op    string `json:"op" doc:"the command"`
	Value byte   `json:"value" doc:"the first byte that is not zero"`
}

// Told is where and what it is.
func (n NotZero) Told() any { return notZero{n.Range, placesOf(n.Places), n.Op, n.Places.Got} }

// places is a verify.Diff that has something.
type places struct {
	First  int64              `json:"first" unit:"bytes" doc:"offset of the first byte that is wrong"`
	Ranges []verify.DiffRange `json:"ranges" doc:"where wrong bytes are: offset and length of a run of sectors with such, and bad, how many there are; up to a limit"`
	Count  int64              `json:"range_count" doc:"how many ranges there are"`
	Bytes  int64              `json:"bytes" unit:"bytes" doc:"what is wrong in all of them"`
}

func placesOf(d verify.Diff) places {
	p := places{Ranges: d.List, Count: d.Count, Bytes: d.Bytes}
	if len(d.List) > 0 {
		p.First = d.List[0].Off
	}
	return p
}

// Verified says that what a command did to a range was read back and is right. As is what is there
// now: "zero", "trimmed" or "written".
type Verified struct {
	Range
	As     string `json:"as" doc:"zero, trimmed (which is zero as well) or written"`
	Stored int64  `json:"stored" unit:"bytes" doc:"how much of the range has storage behind it"`
	Untold int64  `json:"untold,omitempty" unit:"bytes" doc:"of how much a device does not tell whether it has"`
}

// Kind of the event.
func (Verified) Kind() Kind {
	return Kind{"verified", "What a command did was read back and is right."}
}

// Shard says which part of its work a command does, before anything else of that command. Whoever
// adds up what became of all parts finds in it what they have in common.
type Shard struct {
	Range
	Op     string `json:"op" doc:"the command"`
	K      int64  `json:"shard" doc:"which part it is, from 1"`
	N      int64  `json:"shards" doc:"how many parts there are"`
	Source string `json:"source,omitempty" doc:"the variable of the environment that says which part it is, with its value, if one does"`
	// Whole is cut between blocks. Asked is the call, and Digest what it stands for where the call
	// does not tell all.
	Whole  Range  `json:"-"`
	Block  int64  `json:"block" unit:"bytes" doc:"parts are cut at multiples of so many bytes from the start of the whole range"`
	Size   int64  `json:"image_size" unit:"bytes" doc:"of the image"`
	Asked  string `json:"asked" doc:"the call, without those flags that are each shard's own"`
	Job    string `json:"job,omitempty" doc:"section of a job file, or its number where it has clones"`
	File   string `json:"file,omitempty" doc:"name of the image, where there are several"`
	Digest string `json:"digest,omitempty" doc:"a hash of what the blocks of a job depend on"`
}

// Kind of the event.
func (Shard) Kind() Kind { return Kind{"shard", "Which part of its work a command does."} }

type shard struct {
	shardOf
	WholeOff int64 `json:"whole_offset" unit:"bytes" doc:"first byte of what all shards are about"`
	WholeLen int64 `json:"whole_length" unit:"bytes" doc:"of that"`
}

// shardOf is a Shard by another name: it tells of itself field by field.
type shardOf Shard

// Told adds the range of all shards.
func (s Shard) Told() any { return shard{shardOf(s), s.Whole.Off, s.Whole.Len} }

// Sum is the checksum of a range.
type Sum struct {
	Range
	Algorithm string          `json:"algorithm" doc:"its name"`
	Sum       verify.HexBytes `json:"sum" doc:"the checksum in hex"`
}

// Kind of the event.
func (Sum) Kind() Kind { return Kind{"sum", "The checksum of a range."} }

// Words of the event.
func (s Sum) Words() string {
	return fmt.Sprintf("%x  %s of %s at offset %d", []byte(s.Sum), s.Algorithm, units.Exact(s.Len),
		s.Off)
}

// TreeSum is how the names of sums begin that are made in a tree; see package merkle.
const TreeSum = "tree-"

// SumPart is what a shard knows of the sum of a tree: the hashes of the largest subtrees that are
// all its own.
type SumPart struct {
	Range
	Algorithm string        `json:"algorithm" doc:"of the sum"`
	Leaf      int64         `json:"leaf" unit:"bytes" doc:"length of a leaf"`
	First     int64         `json:"first" doc:"number of the first leaf"`
	Leaves    int64         `json:"leaves" doc:"how many leaves"`
	Nodes     []merkle.Node `json:"nodes" doc:"the subtrees: level, which says that there are 2 to the power of so many leaves, and sum in hex"`
}

// Kind of the event.
func (SumPart) Kind() Kind { return Kind{"sum_part", "What a shard knows of the sum of a tree."} }

// Words of the event.
func (s SumPart) Words() string {
	return fmt.Sprintf("%s of %s at offset %d: leaves %d to %d, in %s; merge makes the sum",
		s.Algorithm, units.Exact(s.Len), s.Off, s.First, s.First+s.Leaves-1,
		units.Count(len(s.Nodes), "subtree"))
}

// Found is a place where bytes were found that were looked for.
type Found struct {
	Off        int64  `json:"offset" unit:"bytes" doc:"of the first of them"`
	Len        int64  `json:"length" unit:"bytes" doc:"how many there are"`
	ExcerptOff int64  `json:"excerpt_offset,omitempty" unit:"bytes" doc:"of the first byte of the excerpt"`
	Excerpt    []byte `json:"excerpt,omitempty" doc:"what is around them, in whole lines of a dump, as --context asks"`
}

// Kind of the event.
func (Found) Kind() Kind {
	return Kind{"found", "A place where the bytes are that were looked for."}
}

// Searched ends a search that found something.
type Searched struct {
	Range
	Matches int64 `json:"matches" doc:"places that were found"`
	More    bool  `json:"more,omitempty" doc:"the search ended before the range did"`
}

// Kind of the event.
func (Searched) Kind() Kind {
	return Kind{"searched", "The end of a search that found something."}
}

// Words of the event.
func (s Searched) Words() string {
	more := ""
	if s.More {
		more = ", and perhaps more"
	}
	return fmt.Sprintf("%s%s in %s at offset %d", units.Count(s.Matches, "match", "matches"), more,
		units.Exact(s.Len), s.Off)
}

// NotFound says that a range does not contain what was looked for.
type NotFound struct {
	dataFailure
	Range
}

// Kind of the event.
func (NotFound) Kind() Kind {
	return Kind{"not_found", "A range does not contain what was looked for."}
}

// Words of the event.
func (n NotFound) Words() string {
	return fmt.Sprintf("not found in %s at offset %d", units.Exact(n.Len), n.Off)
}

// Same says that two images agree over a range.
type Same struct {
	Range
	Name string `json:"name" type:"path" doc:"the other image"`
}

// Kind of the event.
func (Same) Kind() Kind { return Kind{"same", "Two images agree over a range."} }

// Words of the event.
func (s Same) Words() string {
	return fmt.Sprintf("the same: %s at offset %d", units.Exact(s.Len), s.Off)
}

// Different says where two images do not agree. Behind the end of the shorter one there is nothing
// but zeroes.
type Different struct {
	dataFailure
	Range
	Name   string
	Places verify.Diff // Want is of the current image, Got of the other
}

// Kind of the event.
func (Different) Kind() Kind { return Kind{"different", "Two images do not agree."} }

type different struct {
	Range
	places
	Name  string `json:"name" type:"path" doc:"the other image"`
	Here  byte   `json:"here" doc:"the first byte that differs, in the current image"`
	There byte   `json:"there" doc:"the same in the other"`
	// what a hole or a block that was never written shows as
	NotHere  int64 `json:"zero_here,omitempty" unit:"bytes" doc:"of those that differ: zero in the current image"`
	NotThere int64 `json:"zero_there,omitempty" unit:"bytes" doc:"zero in the other"`
}

// Told is where, and what it is on both sides.
func (d Different) Told() any {
	return different{
		d.Range, placesOf(d.Places), d.Name, d.Places.Want, d.Places.Got, d.Places.NoWant,
		d.Places.NoGot,
	}
}

// Lengths says that two images that are compared are not of one length.
type Lengths struct {
	Name  string `json:"name" type:"path" doc:"the other image"`
	Here  int64  `json:"here" unit:"bytes" doc:"of the current image"`
	There int64  `json:"there" unit:"bytes" doc:"of the other"`
	Zero  bool   `json:"zero" doc:"whether nothing but zeroes lies behind the end of the shorter one, as far as it was looked at"`
}

// Kind of the event.
func (Lengths) Kind() Kind {
	return Kind{"lengths", "Two images that are compared are not of one length."}
}

// Words of the event.
func (l Lengths) Words() string {
	behind := "only zeroes"
	if !l.Zero {
		behind = "not only zeroes"
	}
	return fmt.Sprintf(
		"different lengths: %s here, %s in %s; behind the end of the shorter one are %s",
		units.Exact(l.Here), units.Exact(l.There), l.Name, behind)
}

// OtherLength is Lengths where that is a difference.
type OtherLength struct {
	dataFailure
	Lengths
}

// Kind of the event.
func (OtherLength) Kind() Kind {
	return Kind{"other_length", "Two images agree, and are not of one length."}
}

// MapTotals adds up the runs of a map.
type MapTotals struct {
	Range
	Runs       int64 `json:"runs" doc:"number of runs"`
	Data       int64 `json:"data" unit:"bytes" doc:"with storage, and not known to be zero"`
	Zero       int64 `json:"zero" unit:"bytes" doc:"with storage, and known to be zero"`
	Hole       int64 `json:"hole" unit:"bytes" doc:"without storage"`
	Compressed int64 `json:"compressed" unit:"bytes" doc:"of the data: compressed"`
	Backing    int64 `json:"backing" unit:"bytes" doc:"of the data: held by images below"`
	Untold     int64 `json:"untold,omitempty" unit:"bytes" doc:"of the data: how much of it a device does not tell whether it has storage"`
}

// Kind of the event.
func (MapTotals) Kind() Kind { return Kind{"map_totals", "The runs of a map added up, in bytes."} }
