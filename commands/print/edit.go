package print

import (
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// edited says what the editor did.
func (n *Native) edited(e event.Edited) {
	if e.Bytes > 0 {
		n.say("wrote %s in %s; 'undo %s' puts the old ones back\n",
			units.Bytes(e.Bytes), units.Count(e.Ranges, "range"), e.Log)
	}
	if e.Dropped > 0 {
		n.say("%s not written\n", units.Count(e.Dropped, "changed byte was", "changed bytes were"))
	}
}
