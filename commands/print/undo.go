package print

import (
	"fmt"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

func (n *Native) undone(e event.Undone) {
	if e.Checked {
		n.say("%s can be put back: %s\n", e.Log, units.Exact(e.Bytes))
	} else {
		n.say("undone: %s that changed under %s are as they were\n", units.Exact(e.Bytes), e.Log)
	}
	if e.Torn > 0 {
		n.say("  the last %s of the log are no whole record; the change that they were for was not made\n", units.Exact(e.Torn))
	}
	if e.Damaged > 0 {
		n.say("  %s of the log are damaged; what they kept is lost\n", units.Exact(e.Damaged))
	}
}

// foreignWords says what others changed.
func foreignWords(e event.ForeignChanges) string {
	return fmt.Sprintf(
		"%s in %s, the first at %s, are neither what was there nor what was written; nothing was undone",
		units.Exact(e.Bytes), units.Count(e.Count, "range"), placeWords(e.First()))
}
