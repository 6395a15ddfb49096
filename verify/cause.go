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
	Classes
)

var classNames = [Classes]string{
	"other", "mixed", "filled", "zeroed", "one-bit", "shifted", "misdirected",
	"stale", "torn", "foreign", "header-only", "payload-only", "unfaithful",
	"leftover-header", "not-zero", "other-type", "cut-off",
}

// String is the class's name, a stable lower-case word.
func (c Class) String() string {
	if c >= Classes {
		return fmt.Sprintf("class-%d", uint8(c))
	}
	return classNames[c]
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

// String is a phrase that completes "the data are wrong here:".
func (c Cause) String() string {
	switch c.Class {
	case Other:
		return "no simple cause"
	case Mixed:
		return "several causes"
	case Filled:
		return fmt.Sprintf("filled with 0x%02x", c.Fill)
	case Zeroed:
		return "zeroes"
	case OneBit:
		return fmt.Sprintf("bit %d of the byte at %d is flipped", c.Bit, c.At)
	case Shifted:
		if c.Delta > 0 {
			return "shifted towards the start by " + byteWords(c.Delta)
		}
		return "shifted towards the end by " + byteWords(-c.Delta)
	case Misdirected:
		return fmt.Sprintf("data of another offset (%+d)", c.Delta)
	case Stale:
		return fmt.Sprintf("data of another generation (%d)", c.Generation)
	case Torn:
		return "torn: sectors of different generations"
	case Foreign:
		return "not a verification block"
	case HeaderOnly:
		return "the header is damaged, the data are not"
	case PayloadOnly:
		return "the data are damaged, the header is not"
	case ContentMismatch:
		return "intact, but not what its seed makes"
	case Leftover:
		return "an older header shows through in the data"
	case NotZero:
		return "trimmed, but not zeroes"
	case OtherType:
		return "intact, but of another type than asked for"
	case CutOff:
		return "the block goes on behind the end"
	}
	return c.Class.String()
}

func byteWords(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}
