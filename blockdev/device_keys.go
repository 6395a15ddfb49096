package blockdev

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// KeySlots lists the slots that the key of an encrypted image is kept in. ENOTSUP if it keeps none.
func (d *Device) KeySlots(ctx context.Context) (list []driver.KeySlot, err error) {
	err = d.control(ctx, opKeySlots, 0, 0, with(d.keeper, func(k driver.Keeper) error {
		list = k.KeySlots()
		return nil
	}))
	return list, err
}

// FindKey is the slot that a passphrase opens.
func (d *Device) FindKey(ctx context.Context, passphrase driver.Secret) (slot int, err error) {
	err = d.control(ctx, opKeySlots, 0, 0, with(d.keeper, func(k driver.Keeper) error {
		slot, err = k.FindKey(ctx, passphrase)
		return err
	}))
	return slot, err
}

// AddKey lets one more passphrase open the image, and returns its slot. It is on stable storage
// then.
func (d *Device) AddKey(ctx context.Context, key driver.NewKey) (slot int, err error) {
	err = d.changeKeys(ctx, opAddKey, func(k driver.Keeper) error {
		slot, err = k.AddKey(ctx, key)
		return err
	})
	return slot, err
}

// RemoveKey erases a slot for good. The last one in use is refused.
func (d *Device) RemoveKey(ctx context.Context, slot int) error {
	return d.changeKeys(ctx, opRemoveKey,
		func(k driver.Keeper) error { return k.RemoveKey(ctx, slot) })
}

// changeKeys makes a request that is alone on the device.
func (d *Device) changeKeys(ctx context.Context, op Op, do func(driver.Keeper) error) error {
	return d.alone(ctx, op, with(d.keeper, do))
}

// keeper is what keeps the key of the image.
func (d *Device) keeper() (driver.Keeper, error) {
	if e, ok := driver.Find[driver.Encrypted](d.top); ok {
		if k := e.Keeper(); k != nil {
			return k, nil
		}
	}
	return nil, driver.RefuseAs(driver.ErrNotSupported, "the image keeps no key in slots")
}
