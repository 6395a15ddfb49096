package event

import (
	"fmt"

	"github.com/blksh/blksh/verify"
)

// The events of this file show what servers answer to requests that were made by hand.

// WireReply is one piece of what a server answered.
type WireReply struct {
	Request  string          `json:"request" doc:"that it answers, as it was given"`
	Form     string          `json:"form" doc:"simple, structured or extended"`
	Type     string          `json:"type" doc:"of the chunk, or reply"`
	Last     bool            `json:"last,omitempty" doc:"nothing more belongs to the request"`
	Off      uint64          `json:"offset" unit:"bytes" doc:"of data, a hole or an error"`
	Len      uint64          `json:"length" unit:"bytes" doc:"of data or a hole"`
	Head     verify.HexBytes `json:"bytes,omitempty" doc:"how the data begins"`
	Code     uint32          `json:"code,omitempty" doc:"error number on the wire"`
	Error    string          `json:"errno,omitempty" doc:"its name"`
	Text     string          `json:"text,omitempty" doc:"what the server says about it"`
	Context  string          `json:"context,omitempty" doc:"meta context of the extents"`
	Extents  []WireExtent    `json:"extents,omitempty" doc:"from the offset of the request on"`
	Wrong    []string        `json:"wrong,omitempty" doc:"what the protocol does not allow"`
	Duration int64           `json:"elapsed_ns" unit:"ns" doc:"since the request was sent"`
}

// WireExtent is a run of bytes with the same flags.
type WireExtent struct {
	Len   uint64 `json:"length" unit:"bytes" doc:"of the run"`
	Flags uint64 `json:"flags" doc:"as the context has them"`
}

// Kind of the event.
func (WireReply) Kind() Kind {
	return Kind{"wire_reply", "One piece of what a server answered to a request made by hand."}
}

// WireDone says how a request ended that was made by hand.
type WireDone struct {
	Request  string `json:"request" doc:"as it was given"`
	Outcome  string `json:"outcome" doc:"OK, the name of an error, closed, timeout or broken"`
	Code     uint32 `json:"code,omitempty" doc:"error number on the wire"`
	Why      string `json:"why,omitempty" doc:"what came instead of an answer"`
	Duration int64  `json:"elapsed_ns" unit:"ns" doc:"since the request was sent"`
}

// Kind of the event.
func (WireDone) Kind() Kind {
	return Kind{"wire", "How a request ended that was made by hand."}
}

// WireUnexpected says that a request made by hand did not end as was said with it.
type WireUnexpected struct {
	dataFailure
	Request  string `json:"request" doc:"as it was given"`
	Outcome  string `json:"outcome" doc:"how it ended"`
	Expected string `json:"expected" doc:"how it should have"`
}

// Kind of the event.
func (WireUnexpected) Kind() Kind {
	return Kind{"wire_unexpected", "A request made by hand did not end as was said with it."}
}

// Words of the event.
func (w WireUnexpected) Words() string {
	return fmt.Sprintf("%s: %s, expected %s", w.Request, w.Outcome, w.Expected)
}
