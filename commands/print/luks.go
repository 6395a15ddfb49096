package print

import (
	"fmt"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
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
		return fmt.Sprintf("%s, %d passes, %s of memory", s.KDF, s.Iterations,
			args.Size(float64(s.Memory)))
	}
	return fmt.Sprintf("%s-%s, %d iterations", s.KDF, s.Hash, s.Iterations)
}

// keyChangedWords says what was done with a slot.
func keyChangedWords(e event.KeyChanged) string {
	if e.Action == "add" {
		return fmt.Sprintf("added a passphrase in slot %d", e.Slot)
	}
	return fmt.Sprintf("erased slot %d", e.Slot)
}
