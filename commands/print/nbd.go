package print

import (
	"strings"

	"github.com/blksh/blksh/commands/event"
)

func (n *Native) serving(e event.Serving) {
	how := ""
	if e.ReadOnly {
		how += ", read-only"
	}
	if e.TLS {
		how += ", encrypted"
	}
	n.say("serving %s%s\n", e.URI, how)
}

func (n *Native) client(e event.Client) {
	who := e.Address
	if who == "" || who == "@" {
		who = "a client"
	}
	switch {
	case !e.Left:
		n.say("%s uses export '%s'\n", who, e.Export)
	case e.Reason == "":
		n.say("%s left export '%s'\n", who, e.Export)
	default:
		n.say("%s lost export '%s': %s\n", who, e.Export, e.Reason)
	}
}

func (n *Native) export(e event.Export) {
	n.say("export '%s': %s\n", e.Name, sizeWords(int64(e.Size)))
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
