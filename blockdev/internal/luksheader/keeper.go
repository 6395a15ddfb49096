package luksheader

import (
	"cmp"
	"context"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
)

var _ driver.Keeper = (*Volume)(nil)

// KeySlots lists the slots: all of version 1, those in use of version 2.
func (v *Volume) KeySlots() (list []driver.KeySlot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, s := range v.header.Slots() {
		if !s.Active && v.header.Version() > 1 {
			continue
		}
		list = append(list, driver.KeySlot{
			Number: i, Active: s.Active, KDF: s.KDF.Type, Hash: s.KDF.Hash,
			Iterations: int64(s.KDF.Iterations), Memory: int64(s.KDF.Memory) << 10,
		})
	}
	return list
}

// AddKey lets one more passphrase open the disk.
func (v *Volume) AddKey(ctx context.Context, k driver.NewKey) (slot int, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.key == nil {
		return 0, ErrLocked
	}
	if slot, err = v.freeSlot(k.Slot); err != nil {
		return 0, err
	}
	c := Cost{Type: k.KDF, Hash: v.header.Digest().Hash, Time: k.Time, Memory: k.Memory}
	if c.Type == "" && v.header.Version() > 1 {
		c.Type = Argon2id
	}
	c.Type = cmp.Or(c.Type, PBKDF2)
	if v.header.Version() == 1 && c.Type != PBKDF2 {
		return 0, invalid("LUKS version 1 knows no other key derivation than %s", PBKDF2)
	}
	if c.Time <= 0 {
		c.Time = defaultTime
	}
	if c.Memory <= 0 {
		c.Memory = defaultMemory
	}
	return slot, v.header.SetSlot(ctx, slot, v.key, k.Passphrase, c)
}

// What a new slot costs where nothing is said.
const (
	defaultTime   = 2 * time.Second
	defaultMemory = 64 << 20
)

// RemoveKey erases a slot, but never the last one, which would lose the disk.
func (v *Volume) RemoveKey(ctx context.Context, slot int) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.erasable(slot); err != nil {
		return err
	}
	return v.header.ClearSlot(ctx, slot)
}

// FindKey is the slot that a passphrase opens.
func (v *Volume) FindKey(ctx context.Context, passphrase driver.Secret) (slot int, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key, slot, err := v.limits.unlock(ctx, v.header, passphrase, -1)
	clear(key)
	return slot, err
}

// slotNumber is a number that somebody gave as that of a slot there can be.
func (v *Volume) slotNumber(n int64) (int, error) {
	if last := len(v.header.Slots()) - 1; n < 0 || n > int64(last) {
		return 0, invalid("Invalid keyslot %d specified, must be between 0 and %d", n, last)
	}
	return int(n), nil
}

// freeSlot is the slot of that number, or the first free one if that is below 0. It holds no key.
// The caller holds mu.
func (v *Volume) freeSlot(n int) (int, error) {
	if n < 0 {
		return FreeSlot(v.header)
	}
	slot, err := v.slotNumber(int64(n))
	if err == nil && v.header.Slots()[slot].Active {
		err = invalid("Refusing to overwrite active keyslot %d - please erase it first", slot)
	}
	return slot, err
}

// erasable refuses a slot that holds no key, and the last one that does. The caller holds mu.
func (v *Volume) erasable(slot int) error {
	slot, err := v.slotNumber(int64(slot))
	switch {
	case err != nil:
		return err
	case !v.header.Slots()[slot].Active:
		return invalid("Given keyslot %d is already erased (inactive)",
			slot)
	case Active(v.header) == 1:
		return invalid(
			"Attempt to erase the only active keyslot %d which will erase all the data in the image "+
				"irreversibly - refusing operation", slot)
	}
	return nil
}
