package event

import "github.com/blksh/blksh/blockdev"

// The events of this file are what layers of the block stack report by themselves.
func noticeEvents() []Event {
	return []Event{Suspended{}, Resumed{}, Warning{}, BitmapsRetired{}}
}

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
