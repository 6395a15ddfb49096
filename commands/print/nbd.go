package print

import (
	"fmt"
	"strings"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

func (n *Native) serving(e event.Serving) {
	if e.Unasked {
		return
	}
	how := ""
	if e.ReadOnly {
		how += ", read-only"
	}
	if e.TLS {
		how += ", encrypted"
	}
	switch len(e.Bitmaps) {
	case 0:
	case 1:
		how += ", with bitmap " + e.Bitmaps[0]
	default:
		how += ", with bitmaps " + strings.Join(e.Bitmaps, ", ")
	}
	n.say("serving %s%s\n", e.URI, how)
}

func (n *Native) client(e event.Client) {
	if e.Unasked {
		return
	}
	who := fmt.Sprintf("client %d", e.Number)
	if e.Address != "" {
		who += " (" + e.Address + ")"
	}
	why := ""
	if e.Reason != "" {
		why = ": " + e.Reason
	}
	done := func() string {
		return fmt.Sprintf("%s, %s read, %s written",
			units.Count(e.Requests, "request"),
			units.Exact(e.Read), units.Exact(e.Written))
	}
	switch {
	case !e.Left:
		n.say("%s uses export '%s'\n", who, e.Export)
	case e.Declined:
		n.say("%s used no export%s\n", who, why)
	case e.Reason == "":
		n.say("%s left export '%s': %s\n", who, e.Export, done())
	default:
		n.say("%s lost export '%s' after %s%s\n", who, e.Export, done(), why)
	}
}

func (n *Native) export(e event.Export) {
	n.say("export '%s': %s\n", e.Name, units.Exact(int64(e.Size)))
	if e.Description != "" {
		n.say("  description: %s\n", e.Description)
	}
	if e.Flags != "" {
		n.say("  flags: %s\n", e.Flags)
	}
	if e.Minimum != 0 {
		n.say("  block sizes: %d minimum, %d preferred, %d of data at most\n",
			e.Minimum, e.Preferred, e.Maximum)
	}
	if len(e.Contexts) > 0 {
		n.say("  meta contexts: %s\n", strings.Join(e.Contexts, " "))
	}
}
