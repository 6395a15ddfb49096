package verify

import "fmt"

// Class is what happened to data that is not as expected, as far as the data themselves tell.
type Class uint8

// The classes, the less specific ones first.
const (
	Other           Class = iota // nothing simple explains it
	Mixed                        // several of the following, at different offsets
	Filled                       // one byte repeated that is not zero
	Zeroed                       // zeroes
	OneBit                       // a single bit is flipped
	Shifted                      // the right data, moved by some bytes
	Misdirected                  // the data of another offset
	Stale                        // an older generation of the right offset
	Torn                         // some sectors are of this generation, some are not
	Foreign                      // no verification block at all
	HeaderOnly                   // the header is damaged, what it describes is not
	PayloadOnly                  // the header is right, the data are damaged
	ContentMismatch              // consistent in itself, but the data do not follow from the seed
	Leftover                     // an older header shows through in the data
	NotZero                      // a trimmed block that does not read as zeroes
	OtherType                    // intact, and of another type than asked for
	CutOff                       // longer than what is left of the range
)

// classTable has a row for each class: its name, a stable lower-case word, and a phrase that
// completes "the data are wrong here:".
var classTable = [...]struct{ name, phrase string }{
	Other:           {"other", "no simple cause"},
	Mixed:           {"mixed", "several causes"},
	Filled:          {"filled", "one byte again and again"},
	Zeroed:          {"zeroed", "zeroes"},
	OneBit:          {"one-bit", "a single bit is flipped"},
	Shifted:         {"shifted", "the right data, moved by some bytes"},
	Misdirected:     {"misdirected", "data of another offset"},
	Stale:           {"stale", "data of another generation"},
	Torn:            {"torn", "sectors of different generations"},
	Foreign:         {"foreign", "not a verification block"},
	HeaderOnly:      {"header-only", "the header is damaged, the data are not"},
	PayloadOnly:     {"payload-only", "the data are damaged, the header is not"},
	ContentMismatch: {"unfaithful", "intact, but not what its seed makes"},
	Leftover:        {"leftover-header", "an older header shows through in the data"},
	NotZero:         {"not-zero", "trimmed, but not zeroes"},
	OtherType:       {"other-type", "intact, but of another type than asked for"},
	CutOff:          {"cut-off", "the block goes on behind the end"},
}

// Classes lists the classes.
func Classes() []Class {
	list := make([]Class, len(classTable))
	for i := range list {
		list[i] = Class(i)
	}
	return list
}

// Values are the names of all classes.
func (Class) Values() []string {
	var names []string
	for _, row := range classTable {
		names = append(names, row.name)
	}
	return names
}

// String is the class's name.
func (c Class) String() string {
	if int(c) >= len(classTable) {
		return fmt.Sprintf("class-%d", uint8(c))
	}
	return classTable[c].name
}

// Phrase says what the class is about.
func (c Class) Phrase() string {
	if int(c) >= len(classTable) {
		return c.String()
	}
	return classTable[c].phrase
}

// MarshalText makes the name the value in JSON.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// A Cause is the likely reason of a wrong piece of data.
type Cause struct {
	Class Class `json:"class"`
	// Fill is the byte that Filled data consist of.
	Fill byte `json:"fill,omitempty"`
	// Bit says which bit of the byte at offset At is flipped, 0 the lowest; for OneBit.
	Bit uint8 `json:"bit,omitempty"`
	At  int64 `json:"at,omitempty"`
	// Delta is where the data belong minus where they are, in bytes; for Shifted and Misdirected.
	Delta int64 `json:"delta,omitempty"`
	// Generation is that of Stale data: a tag, seed or sequence number.
	Generation uint64 `json:"generation,omitempty"`
}

// String is the phrase of the class, with what is known of the case.
func (c Cause) String() string {
	switch c.Class {
	case Filled:
		return fmt.Sprintf("filled with 0x%02x", c.Fill)
	case OneBit:
		return fmt.Sprintf("bit %d of the byte at %d is flipped", c.Bit, c.At)
	case Shifted:
		if c.Delta > 0 {
			return "shifted towards the start by " + byteWords(c.Delta)
		}
		return "shifted towards the end by " + byteWords(-c.Delta)
	case Misdirected:
		return fmt.Sprintf("%s (%+d)", c.Class.Phrase(), c.Delta)
	case Torn:
		return "torn: " + c.Class.Phrase()
	case Stale:
		return fmt.Sprintf("%s (%d)", c.Class.Phrase(), c.Generation)
	}
	return c.Class.Phrase()
}

func byteWords(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}
