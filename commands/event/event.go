// Package event has everything that a shell command can have to say, as plain values.
//
// A command formats nothing: it emits events, and the printer of the current dialect turns them
// into bytes on one of two streams. So the same command speaks the words of three QEMU versions, or
// JSON, and a test can look at what happened instead of at text.
//
// An event holds facts: numbers, names as typed, the error itself. It holds no sentence, except
// where the sentence is the fact (a complaint about options that do not go together).
//
// # Declaring an event
//
// An event is a struct that says all about itself, in one place:
//
//	// Sum is the checksum of a range.
//	type Sum struct {
//		Range
//		Algorithm string          `json:"algorithm" doc:"its name"`
//		Sum       verify.HexBytes `json:"sum" doc:"the checksum in hex"`
//	}
//
//	// Kind of the event.
//	func (Sum) Kind() Kind { return Kind{"sum", "The checksum of a range."} }
//
// One that says why a command failed has a [Class] too. It is a [Reason]: only such events go into
// [Fail], and from their class follow the exit status and that JSON calls them errors:
//
//	func (NotFound) Class() Class { return ClassData }
//
// The tags of a field are those of encoding/json, and some more:
//
//	json:"name"           its name in JSON; "-" if JSON does not have it
//	json:"name,omitempty" left out if it is zero, or without elements
//	json:"name,string"    a number as a text
//	omit:"negative"       left out if it is below zero
//	type:"path"           a text that is a file name, and need not be UTF-8
//	json:"-" type:"cause" an error that stands as its number, its request and who holds the image
//	unit:"bytes"          what a number counts: bytes or ns
//	doc:"first byte"      what it says; types with a method Values add the values they may have
//
// The fields of an embedded struct stand among the others. Where JSON has other fields than the
// struct, the event is a [Teller]. Each event has its word in [All]. The schema, the encoder and
// the reference are computed from that, see package print; tests tell what is missing.
//
// What one sentence of text tells in our own dialect, it tells itself, and is [Worded]:
//
//	func (s Sum) Words() string { return fmt.Sprintf("%x  %s of %s", s.Sum, s.Algorithm, ...) }
//
// What wants more than that has a case in package print: lines, colours, the name of the program.
package event

import (
	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// Event is one thing that happened.
type Event interface{ Kind() Kind }

// Kind is what an event is: a name, which is stable, since programs that read JSON rely on it, and
// what such an event says.
type Kind struct{ Name, Doc string }

// Teller is an event that JSON has in another shape.
type Teller interface {
	Event
	// Told is the struct that JSON has in place of the event, always of one type.
	Told() any
}

// Worded is an event that is one sentence in our own dialect, which is without an end of line; of a
// [Reason] it says why the command failed.
type Worded interface {
	Event
	Words() string
}

// Where says what an event belongs to.
type Where struct {
	Line    int    // of the input, from 1; 0 before the first
	Pos     string // of the line in a script, as file:line; "" if it stands in none
	Command string // its first word
	Image   string // "" if there is none, or only one
	ID      int64  // of the request in the background, 0 for what a command does itself
	Request RequestID
}

// RequestID is what a program called a request, as JSON: a number or a text; "" for none.
type RequestID string

// SchemaVersion is the version of the JSON of all events. New kinds and new fields leave it as it
// is; it grows when something that was there changes or goes.
const SchemaVersion = 1

// Schema is the field of an event that says SchemaVersion.
type Schema struct{}

// AsJSON is an event that is wanted as JSON wherever it is shown.
type AsJSON struct{ Event }

// Range is a run of bytes.
type Range struct {
	Off int64 `json:"offset" unit:"bytes" doc:"first byte"`
	Len int64 `json:"length" unit:"bytes" doc:"of the range"`
}

// End is the offset behind the range.
func (r Range) End() int64 { return r.Off + r.Len }

// OfNotice is the event that a layer of the block stack reports by itself.
func OfNotice(n blockdev.Notice) Event {
	switch n := n.(type) {
	case driver.Suspended:
		return Suspended(n)
	case driver.Resumed:
		return Resumed(n)
	case driver.BitmapsRetired:
		return BitmapsRetired(n)
	case driver.ImageCutShort:
		return ImageCutShort(n)
	}
	return Warning{n}
}
