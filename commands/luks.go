package commands

import (
	"context"
	"fmt"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var luksCommand = session.Command{
	Name: "luks", Needs: session.File, Keyless: true,
	Group: session.GroupInside,
	Args:  "[-n slot] [-s id] [-t ms] slots|add|remove",
	Short: "lists, adds or removes the passphrases of an encrypted image",
	Long: ` Examples:
 luks slots        shows in which slots the key is kept, and how
 luks add          lets one more passphrase open the image, which is asked for
 luks add -s new   the same, with that of --object secret,id=new,...
 luks remove -n 0  erases a slot: what opened it opens nothing any more
 luks remove -s s  erases the slot that this passphrase opens

 The key of the image stays the same. The last slot in use is never erased,
 since the data would be lost with it.
`,
	New: func(f *session.Flags) session.Run {
		var c keyChange
		f.Size(&c.slot, &c.numbered, 'n', "slot", "N",
			"the number of the slot (add: the first free one)")
		f.Size(&c.ms, nil, 't', "iter-time", "MS",
			"how long opening by it is to take (add); without it 2000")
		f.Text(&c.secret, 's', "secret", args.Text("ID"), "the passphrase is in this secret")
		f.EnumWord(&c.action, "action", "slots", "add", "remove")
		f.Check("slot-or-secret", func() error { return c.check(f) })
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			switch c.action {
			case "add":
				return c.add(ctx, s, im)
			case "remove":
				return c.remove(ctx, s, im)
			}
			return c.list(ctx, s, im)
		}
	},
}

// keyChange is what to do with which slot.
type keyChange struct {
	action   string
	slot     int64
	numbered bool
	secret   string // the id of one
	ms       int64  // that opening takes
}

// maxIterTime is an hour, in milliseconds.
const maxIterTime = 3_600_000

// maxSlot is above every number of a slot that there may be.
const maxSlot = 1 << 16

// check refuses a slot that is named twice or not at all.
func (c *keyChange) check(f *session.Flags) error {
	bad := ""
	switch {
	case c.action == "slots" && (c.numbered || c.secret != ""):
		bad = "luks slots takes no slot and no secret"
	case c.ms < 0 || c.ms > maxIterTime:
		bad = fmt.Sprintf("--iter-time is at most %d milliseconds", maxIterTime)
	case c.action == "remove" && c.numbered == (c.secret != ""):
		bad = "luks remove needs either a slot (-n) or the secret that opens it (-s)"
	case c.slot < 0 || c.slot > maxSlot:
		bad = fmt.Sprintf("there is no slot %d", c.slot)
	}
	if bad != "" {
		return event.BadValuef("%s", bad)
	}
	if c.action != "slots" {
		f.Need(session.Write)
	}
	return nil
}

func (c *keyChange) list(ctx context.Context, s *session.Session, im *session.Image) error {
	var list []driver.KeySlot
	err := s.Request(ctx, "luks slots", func(ctx context.Context) (err error) {
		list, err = im.Dev.KeySlots(ctx)
		return err
	})
	if err == nil {
		s.Emit(event.KeySlotsOf(list))
	}
	return err
}

func (c *keyChange) add(ctx context.Context, s *session.Session, im *session.Image) error {
	passphrase, err := s.Passphrase(ctx, c.secret, driver.Question{Image: im.Name, New: true})
	if err != nil {
		return event.FailReport(fmt.Errorf("luks add: %w", err))
	}
	defer passphrase.Wipe()
	key := driver.NewKey{
		Slot: -1, Passphrase: passphrase, Time: time.Duration(c.ms) * time.Millisecond,
	}
	if c.numbered {
		key.Slot = int(c.slot)
	}
	slot := 0
	err = s.Request(ctx, "luks add", func(ctx context.Context) (err error) {
		slot, err = im.Dev.AddKey(ctx, key)
		return err
	})
	if err == nil {
		s.Emit(event.KeyChanged{Action: c.action, Slot: slot})
	}
	return err
}

func (c *keyChange) remove(ctx context.Context, s *session.Session, im *session.Image) error {
	slot := int(c.slot)
	if c.secret != "" {
		passphrase, err := s.Passphrase(ctx, c.secret, driver.Question{Image: im.Name})
		if err != nil {
			return event.FailReport(fmt.Errorf("luks remove: %w", err))
		}
		defer passphrase.Wipe()
		err = s.Request(ctx, "luks remove", func(ctx context.Context) (err error) {
			slot, err = im.Dev.FindKey(ctx, passphrase)
			return err
		})
		if err != nil {
			return err
		}
	}
	err := s.Request(ctx, "luks remove", func(ctx context.Context) error {
		return im.Dev.RemoveKey(ctx, slot)
	})
	if err == nil {
		s.Emit(event.KeyChanged{Action: c.action, Slot: slot})
	}
	return err
}
