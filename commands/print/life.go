package print

import (
	"fmt"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

func (n *Native) copied(e event.Copied) {
	n.say("copied %s", units.Exact(e.Len))
	if e.Off > 0 {
		n.say(" at offset %d", e.Off)
	}
	n.say(" to %s: %s, %s of data", e.Name, e.Format, units.Exact(e.Written))
	if e.Verified {
		n.say(", read back")
	}
	n.say("\n")
	if e.Behind > 0 {
		n.say("  behind them %s %s as before\n", units.Exact(e.Behind), units.Are(e.Behind))
	}
}

// unfinishedWords says what stands where.
func unfinishedWords(e event.Unfinished) string {
	done := fmt.Sprintf("%s of %s are in %s",
		units.Size(e.Done), units.Size(e.Len), e.Part)
	said := fmt.Sprintf("%s was not made; %s", e.Name, done)
	if e.InPlace {
		said = done + ", and behind them nothing that counts"
	}
	if e.Resumes {
		said += "; with --resume the copy goes on there"
	}
	return said
}

func (n *Native) committed(e event.Committed) {
	n.say("committed %s into %s: %s of data", e.Name, e.Base, units.Exact(e.Written))
	if e.Emptied {
		n.say("; %s is empty now", e.Name)
	}
	n.say("\n")
}

func (n *Native) rebased(e event.Rebased) {
	if e.Backing == "" {
		n.say("%s stands on nothing now", e.Name)
	} else {
		n.say("%s stands on %s now (%s)", e.Name, e.Backing, e.Format)
	}
	n.say("; %s of data were copied into it\n", units.Exact(e.Written))
}

func (n *Native) bitmapListed(e event.BitmapListed) {
	state := units.Exact(e.Dirty) + " dirty"
	switch {
	case e.Uncounted:
		state = "how much is dirty is not known"
	case e.Remote:
		state += ", says the server"
	}
	if e.Remote {
		n.say("%s: %s\n", e.Name, state)
		return
	}
	switch {
	case e.Inconsistent:
		state = "inconsistent, which only 'bitmap remove' helps"
	case !e.Enabled:
		state += ", disabled"
	}
	n.say("%s: %s a bit, %s\n", e.Name, units.Size(e.Granularity), state)
}
