package event

import (
	"fmt"

	"github.com/blksh/blksh/blockdev/driver"
)

// KeySlot is a place for the key of an encrypted image.
type KeySlot struct {
	Number     int    `json:"slot" doc:"its number"`
	Active     bool   `json:"active" doc:"whether it holds the key"`
	KDF        string `json:"kdf,omitempty" doc:"what makes a key of the passphrase"`
	Hash       string `json:"hash,omitempty" doc:"the hash of pbkdf2"`
	Iterations int64  `json:"iterations,omitempty" doc:"of pbkdf2, or passes of an argon2"`
	Memory     int64  `json:"memory,omitempty" unit:"bytes" doc:"that an argon2 takes"`
}

// KeySlots lists the slots of an encrypted image.
type KeySlots struct {
	List []KeySlot `json:"slots" doc:"the slots"`
}

// KeySlotsOf is a list of slots as an event.
func KeySlotsOf(list []driver.KeySlot) KeySlots {
	all := make([]KeySlot, len(list))
	for i, s := range list {
		all[i] = KeySlot{Number: s.Number, Active: s.Active}
		if s.Active {
			all[i] = KeySlot{s.Number, s.Active, s.KDF, s.Hash, s.Iterations, s.Memory}
		}
	}
	return KeySlots{all}
}

// Kind of the event.
func (KeySlots) Kind() Kind {
	return Kind{"key_slots", "The slots that hold the key of an encrypted image."}
}

// KeyChanged says that a passphrase was added to an encrypted image, or removed.
type KeyChanged struct {
	Action string `json:"action" doc:"add or remove"`
	Slot   int    `json:"slot" doc:"of which slot"`
}

// Kind of the event.
func (KeyChanged) Kind() Kind {
	return Kind{"key", "A passphrase was added to an encrypted image, or removed."}
}

// Words of the event.
func (k KeyChanged) Words() string {
	if k.Action == "add" {
		return fmt.Sprintf("added a passphrase in slot %d", k.Slot)
	}
	return fmt.Sprintf("erased slot %d", k.Slot)
}
