package print

import (
	"fmt"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// keySlots shows the slots of an encrypted image, a line each.
func (n *Native) keySlots(list []event.KeySlot) {
	for _, s := range list {
		n.say("slot %d: %s\n", s.Number, keySlotWords(s))
	}
}

func keySlotWords(s event.KeySlot) string {
	switch {
	case !s.Active:
		return "free"
	case s.Memory > 0:
		return fmt.Sprintf("%s, %s, %s of memory", s.KDF,
			units.Count(s.Iterations, "pass", "passes"),
			units.Size(s.Memory))
	}
	return fmt.Sprintf("%s-%s, %s", s.KDF, s.Hash,
		units.Count(s.Iterations, "iteration"))
}
