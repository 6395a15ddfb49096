package event

import (
	"fmt"

	"github.com/blksh/blksh/blockdev"
)

// The events of this file are what layers of the block stack report by themselves.

// Suspended says that a request stopped at a breakpoint.
type Suspended struct {
	Tag string `json:"tag" doc:"of the breakpoint"`
}

// Kind of the event.
func (Suspended) Kind() Kind { return Kind{"suspended", "A request stopped at a breakpoint."} }

// Resumed says that a request went on from a breakpoint.
type Resumed struct {
	Tag string `json:"tag" doc:"of the breakpoint"`
}

// Kind of the event.
func (Resumed) Kind() Kind { return Kind{"resumed", "A request went on from a breakpoint."} }

// Warning is something that a person should see.
type Warning struct {
	Notice blockdev.Notice `json:"text" doc:"a sentence"`
}

// Kind of the event.
func (Warning) Kind() Kind { return Kind{"warning", "Something a person should see."} }

// BitmapsRetired says what became of dirty bitmaps that could not be kept true.
type BitmapsRetired struct {
	Names []string `json:"names" doc:"of the bitmaps that are marked as in use"`
	Err   error    `json:"error,omitempty" doc:"why all of them were removed instead"`
}

// Kind of the event.
func (BitmapsRetired) Kind() Kind {
	return Kind{
		"bitmaps_retired",
		"Dirty bitmaps of an image could not be kept up to date while it changed.",
	}
}

// ImageCutShort says that a file of an image is too short for what was read or written there.
type ImageCutShort struct {
	End int64 `json:"size" unit:"bytes" doc:"of the file"`
}

// Kind of the event.
func (ImageCutShort) Kind() Kind {
	return Kind{
		"cut_short",
		"An image was cut short before what was read or written; zeroes stand for what is gone.",
	}
}

// Class of the failure.
func (ImageCutShort) Class() Class { return ClassData }

// Words say what is wrong.
func (c ImageCutShort) Words() string {
	return fmt.Sprintf("the image was cut short: the file with its data ended at %d, and zeroes "+
		"stand for what was behind", c.End)
}
