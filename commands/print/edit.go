package print

import "github.com/blksh/blksh/commands/event"

// edited says what the editor did.
func (n *Native) edited(e event.Edited) {
	if e.Bytes > 0 {
		n.say("wrote %s in %s; 'undo %s' puts the old ones back\n",
			plural(int64(e.Bytes), "byte", "bytes"), plural(int64(e.Ranges), "range", "ranges"), e.Log)
	}
	if e.Dropped > 0 {
		n.say("%s not written\n", plural(int64(e.Dropped), "changed byte was", "changed bytes were"))
	}
}
