package event

import "github.com/blksh/blksh/verify"

// The events of this file are about content: what a range holds, how it differs, and bytes as they are.

// Range is a run of bytes.
type Range struct {
	Off int64 `json:"offset"`
	Len int64 `json:"length"`
}

// End is the offset behind the range.
func (r Range) End() int64 { return r.Off + r.Len }

// DumpStyle is how bytes are shown.
type DumpStyle string

// The styles of dumps.
const (
	StyleQEMU DumpStyle = "qemu" // as qemu-io's read -v
	StyleXXD  DumpStyle = "xxd"  // as xxd, which can turn it back into bytes
	StyleC    DumpStyle = "c"    // as numbers of an array of C
)

// Bytes is content for stdout, as it is: Data, and then so many zeroes that are not in memory.
type Bytes struct {
	Data   []byte
	Zeroes int64
}

// Zero says that a range holds nothing but zeroes.
type Zero struct{ Range }

// NotZero says where a range is not zero, whatever was asked of it: Op is the command.
type NotZero struct {
	Op string
	Range
	Places verify.Diff
}

// Verified says that what a command did to a range was read back and is right. As is what is there now: "zero", "trimmed" or
// "written". Stored is how many bytes of the range still have storage behind them; of Untold bytes a device does not tell.
type Verified struct {
	Range
	As             string
	Stored, Untold int64
}

// Sum is the checksum of a range.
type Sum struct {
	Range
	Algorithm string
	Sum       verify.HexBytes
}

// Found is a place where bytes were found that were looked for.
type Found struct{ Off int64 }

// Searched ends a search that found something. More: it ended before the range did.
type Searched struct {
	Range
	Matches int64
	More    bool
}

// NotFound says that a range does not contain what was looked for.
type NotFound struct{ Range }

// Same says that two images agree over a range.
type Same struct {
	Range
	Name string // of the other
}

// Different says where two images do not agree. Behind the end of the shorter one there is nothing but zeroes.
type Different struct {
	Range
	Name   string
	Places verify.Diff // Want is of the current image, Got of the other
}

// Lengths says that two images that are compared are not of one length, in bytes.
type Lengths struct {
	Name        string // of the other
	Here, There int64
	Zero        bool // nothing but zeroes lies behind the end of the shorter one
}

// OtherLength is Lengths where that is a difference.
type OtherLength struct{ Lengths }

// MapTotals adds up the runs of a map, in bytes.
type MapTotals struct {
	Range
	Runs int64
	// Data has storage and is not known to be zero; Zero has storage and reads as zeroes; Hole has none.
	Data, Zero, Hole int64
	Compressed       int64 // of Data
	Backing          int64 // of Data: held by images below
	Untold           int64 // of Data: a device does not tell whether it has storage
}

// Kind of each event.
func (Bytes) Kind() string       { return "bytes" }
func (Zero) Kind() string        { return "zero" }
func (NotZero) Kind() string     { return "not_zero" }
func (Verified) Kind() string    { return "verified" }
func (Sum) Kind() string         { return "sum" }
func (Found) Kind() string       { return "found" }
func (Searched) Kind() string    { return "searched" }
func (NotFound) Kind() string    { return "not_found" }
func (Same) Kind() string        { return "same" }
func (Different) Kind() string   { return "different" }
func (Lengths) Kind() string     { return "lengths" }
func (OtherLength) Kind() string { return "other_length" }
func (MapTotals) Kind() string   { return "map_totals" }
