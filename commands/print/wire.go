package print

import (
	"fmt"
	"strings"
	"time"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// wireExtents is how many extents of a reply are shown.
const wireExtents = 16

// wireReply shows a piece of an answer. A simple reply that carries nothing says no more than the
// outcome does.
func (n *Native) wireReply(e event.WireReply) {
	if e.Form == "simple" && e.Len == 0 && len(e.Wrong) == 0 {
		return
	}
	parts := []string{e.Form + " " + e.Type}
	switch {
	case e.Code != 0:
		parts = append(parts, e.Error)
		if e.Off != 0 {
			parts = append(parts, fmt.Sprintf("at %d", e.Off))
		}
	case e.Len > 0:
		parts = append(parts, units.Bytes(e.Len)+fmt.Sprintf(" at %d", e.Off))
	}
	if len(e.Head) > 0 {
		more := ""
		if e.Len > uint64(len(e.Head)) {
			more = "..."
		}
		parts = append(parts, fmt.Sprintf("%x%s", []byte(e.Head), more))
	}
	if e.Text != "" {
		parts = append(parts, fmt.Sprintf("%q", e.Text))
	}
	if e.Last && e.Form != "simple" {
		parts = append(parts, "the last")
	}
	n.say("%s: %s\n", e.Request, strings.Join(parts, ", "))
	for i, x := range e.Extents {
		if i == wireExtents {
			n.say("  %s: %d more\n", e.Context, len(e.Extents)-i)
			break
		}
		n.say("  %s: %s, flags 0x%x\n", e.Context, units.Bytes(x.Len), x.Flags)
	}
	for _, w := range e.Wrong {
		n.say("  WRONG: %s\n", w)
	}
}

func (n *Native) wireDone(e event.WireDone) {
	why := ""
	if e.Why != "" {
		why = ": " + e.Why
	}
	if e.Code != 0 {
		why = fmt.Sprintf(", error number %d", e.Code)
	}
	after := ""
	if e.Duration > 0 {
		after = " after " + units.Time(time.Duration(e.Duration))
	}
	n.say("%s: %s%s%s\n", e.Request, e.Outcome, after, why)
}
