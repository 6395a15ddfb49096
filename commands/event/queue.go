package event

import (
	"fmt"
	"time"

	"github.com/blksh/blksh/commands/units"
)

// The events of this file are about requests in the background.

// Queued is a request in the background, with its number.
type Queued struct {
	Request int64  `json:"request" doc:"its number, as \"id\" of what is said when it ends"`
	Command string `json:"command" doc:"what made it"`
	Range
	Image   string        `json:"on" doc:"name of its image"`
	Elapsed time.Duration `json:"elapsed_ns" unit:"ns" doc:"since it was made"`
}

// Kind of the event.
func (Queued) Kind() Kind { return Kind{"request", "A request in the background."} }

// Words of the event.
func (q Queued) Words() string {
	on := ""
	if q.Image != "" {
		on = " of " + q.Image
	}
	since := ""
	if q.Elapsed > 0 {
		since = ", for " + units.Time(q.Elapsed)
	}
	return fmt.Sprintf("%d  %s: %s at offset %d%s%s", q.Request, q.Command, units.Exact(q.Len),
		q.Off, on, since)
}

// Canceled says that a request in the background was given up. What it had done by then is done.
type Canceled struct {
	Command string `json:"command" doc:"what made it"`
	Range
}

// Kind of the event.
func (Canceled) Kind() Kind {
	return Kind{"canceled", "A request in the background was given up; a part of it may be done."}
}

// Words of the event.
func (c Canceled) Words() string {
	return fmt.Sprintf("%s given up: %s at offset %d", c.Command, units.Exact(c.Len), c.Off)
}

// NoRequest says that no request in the background has that number.
type NoRequest struct {
	usageFailure
	Request int64 `json:"request" doc:"the number"`
}

// Kind of the event.
func (NoRequest) Kind() Kind {
	return Kind{"no_request", "No request in the background has that number."}
}

// Words of the event.
func (n NoRequest) Words() string {
	return fmt.Sprintf("no request in the background has the number %d; aio_list shows them", n.Request)
}
