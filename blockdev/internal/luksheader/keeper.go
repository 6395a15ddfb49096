package luksheader

import (
	"context"
	"syscall"
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
	all := v.header.Slots()
	switch slot = k.Slot; {
	case v.key == nil:
		err = ErrLocked
	case slot < 0:
		slot, err = FreeSlot(v.header)
	case slot >= len(all):
		err = driver.RefuseAs(syscall.EINVAL,
			"Invalid keyslot %d specified, must be between 0 and %d", slot, len(all)-1)
	case all[slot].Active:
		err = driver.RefuseAs(syscall.EINVAL,
			"Refusing to overwrite active keyslot %d - please erase it first", slot)
	}
	if err != nil {
		return 0, err
	}
	c := Cost{Type: k.KDF, Hash: v.header.Digest().Hash, Time: k.Time, Memory: k.Memory}
	if c.Type == "" {
		c.Type = PBKDF2
		if v.header.Version() > 1 {
			c.Type = Argon2id
		}
	}
	if v.header.Version() == 1 && c.Type != PBKDF2 {
		return 0, driver.RefuseAs(syscall.EINVAL,
			"LUKS version 1 knows no other key derivation than %s", PBKDF2)
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
	all := v.header.Slots()
	switch {
	case slot < 0 || slot >= len(all):
		return driver.RefuseAs(syscall.EINVAL,
			"Invalid keyslot %d specified, must be between 0 and %d", slot, len(all)-1)
	case !all[slot].Active:
		return driver.RefuseAs(syscall.EINVAL, "Given keyslot %d is already erased (inactive)",
			slot)
	case Active(v.header) == 1:
		return driver.RefuseAs(syscall.EINVAL,
			"Attempt to erase the only active keyslot %d which will erase all the data in the image "+
				"irreversibly - refusing operation", slot)
	}
	return v.header.ClearSlot(ctx, slot)
}

// FindKey is the slot that a passphrase opens.
func (v *Volume) FindKey(ctx context.Context, passphrase driver.Secret) (slot int, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key, slot, err := v.header.Unlock(ctx, passphrase, -1, v.limits)
	clear(key)
	return slot, err
}
