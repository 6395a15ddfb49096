package luksheader

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
)

// AmendOptions change who can open an encrypted image. Given one of them, State must be.
type AmendOptions struct {
	State     *string `option:"state" values:"active,inactive" help:"what the keyslots are to be: active adds a passphrase, inactive erases"`
	NewSecret *string `option:"new-secret" help:"id of the secret with the passphrase to add"`
	OldSecret *string `option:"old-secret" help:"id of the secret with the passphrase of the keyslots to erase"`
	Keyslot   *int64  `option:"keyslot" help:"the one keyslot that is meant"`
	IterTime  *int64  `option:"iter-time" help:"how long opening by the new passphrase is to take, in milliseconds"`
}

// stateActive is the value of State that adds a passphrase; the other one erases.
const stateActive = "active"

// Given says whether there is any of them.
func (o AmendOptions) Given() bool { return o != AmendOptions{} }

// Amend decides what the options come to and returns what does it; nothing is changed before. The
// refusals are QEMU's, in its order. Between the two nobody else may change the slots.
func (v *Volume) Amend(ctx context.Context, a *driver.Amending, o AmendOptions) (
	do func(context.Context) error, err error,
) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.key == nil:
		return nil, ErrLocked
	case o.State == nil:
		return nil, invalid("Parameter 'state' is missing")
	case *o.State == stateActive:
		return v.amendActive(a, o)
	}
	return v.amendInactive(ctx, a, o)
}

// amendActive is Amend for one more passphrase.
func (v *Volume) amendActive(a *driver.Amending, o AmendOptions) (
	do func(context.Context) error, err error,
) {
	switch {
	case o.NewSecret == nil:
		return nil, invalid("'new-secret' is required to activate a keyslot")
	case o.OldSecret != nil:
		return nil, invalid("'old-secret' must not be given when activating keyslots")
	}
	var k driver.NewKey
	if k.Slot, err = v.meant(o); err != nil {
		return nil, err
	}
	if o.IterTime != nil {
		if k.Time, err = iterTime(max(*o.IterTime, 1)); err != nil {
			return nil, err
		}
	}
	if _, err := v.freeSlot(k.Slot); err != nil {
		return nil, err
	}
	secret, err := a.Secret(*o.NewSecret)
	if err != nil {
		return nil, err
	}
	secret.Wipe() // until it is needed
	return func(ctx context.Context) error {
		if k.Passphrase, err = a.Secret(*o.NewSecret); err != nil {
			return err
		}
		defer k.Passphrase.Wipe()
		_, err := v.AddKey(ctx, k)
		return err
	}, nil
}

// meant is the one keyslot that options name, -1 if they name none.
func (v *Volume) meant(o AmendOptions) (int, error) {
	if o.Keyslot == nil {
		return -1, nil
	}
	return v.slotNumber(*o.Keyslot)
}

// amendInactive is Amend for keyslots that are to be erased.
func (v *Volume) amendInactive(ctx context.Context, a *driver.Amending, o AmendOptions) (
	do func(context.Context) error, err error,
) {
	switch {
	case o.NewSecret != nil:
		err = invalid("'new-secret' must not be given when erasing keyslots")
	case o.IterTime != nil:
		err = invalid("'iter-time' must not be given when erasing keyslots")
	case o.Keyslot == nil && o.OldSecret == nil:
		err = invalid("To erase keyslot(s), either explicit keyslot " +
			"index or the password currently contained in them must be given")
	}
	if err != nil {
		return nil, err
	}
	slots, err := v.slotsToErase(ctx, a, o)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		for _, slot := range slots {
			if err := v.RemoveKey(ctx, slot); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// slotsToErase are the keyslots that options name, by number, by passphrase or by both. Another one
// is left.
func (v *Volume) slotsToErase(ctx context.Context, a *driver.Amending,
	o AmendOptions,
) ([]int, error) {
	slot, err := v.meant(o)
	if err != nil {
		return nil, err
	}
	if o.OldSecret == nil {
		return []int{slot}, v.erasable(slot)
	}
	passphrase, err := a.Secret(*o.OldSecret)
	if err != nil {
		return nil, err
	}
	defer passphrase.Wipe()
	slots, active, err := v.opened(ctx, passphrase)
	switch {
	case err != nil:
		return nil, err
	case slot >= 0 && !slices.Contains(slots, slot):
		return nil, invalid(
			"Given keyslot %d doesn't contain the given old password for erase operation", slot)
	case slot >= 0:
		return []int{slot}, v.erasable(slot)
	case len(slots) == 0:
		return nil, invalid("No keyslots match given (old) password for erase operation")
	case len(slots) == active:
		return nil, invalid(
			"All the active keyslots match the (old) password that was given and erasing them " +
				"will erase all the data in the image irreversibly - refusing operation")
	}
	return slots, nil
}

// opened are all keyslots that a passphrase opens, beside how many are in use.
func (v *Volume) opened(ctx context.Context,
	passphrase []byte,
) (slots []int, active int, err error) {
	for i, s := range v.header.Slots() {
		if !s.Active {
			continue
		}
		active++
		key, _, err := v.limits.unlock(ctx, v.header, passphrase, i)
		clear(key)
		switch {
		case err == nil:
			slots = append(slots, i)
		case !errors.Is(err, ErrPassphrase):
			return nil, 0, err
		}
	}
	return slots, active, nil
}

// iterTime is a number of milliseconds that opening may take.
func iterTime(ms int64) (time.Duration, error) {
	if ms <= 0 || ms > int64(maxTime/time.Millisecond) {
		return 0, invalid("iter-time must be from 1 to %d milliseconds",
			maxTime/time.Millisecond)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
