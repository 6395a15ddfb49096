package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var check = session.Command{
	Name: "check", Max: -1, Reports: true,
	Group: session.GroupImages,
	Args:  "[-r leaks|all] [-f format] [-U] [file]",
	Short: "checks the metadata of an image",
	Long: ` Examples:
 check                 counts what is wrong; nothing is changed
 check -r all          repairs what can be repaired
 check -r all disk     the same for an image that is not open

 An image that cannot be opened because it is damaged can be checked all the
 same. No other command works on it before it is repaired.
`,
	New: func(f *session.Flags) session.Run {
		var c checkup
		o := session.Opening{Options: &blockdev.Options{}}
		f.Enum('r', "repair", "WHAT", repairs,
			"give back what nothing refers to, or repair all that can be", func(i int) error {
				c.fix = [...]blockdev.Fix{driver.FixLeaks, driver.FixLeaks | driver.FixErrors}[i]
				return nil
			})
		f.Text(&o.Format, nil, 'f', "format", args.Format,
			"format of the file, which is guessed otherwise")
		f.Bool(&o.ForceShare, 'U', "force-share", "share the file with programs that write it")
		f.OptWord("file", args.ImageFile, word(&o.Name))
		f.Conflict("of-file", "-f and -U are about a file that is named", func() bool {
			return o.Name == "" && (o.Format != "" || o.ForceShare)
		})
		f.Check("write", func(int) error {
			if c.fix != 0 && o.Name == "" && f.Image() != nil {
				f.Need(session.Write)
			}
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			switch {
			case o.Name != "":
				return c.named(ctx, s, o)
			case im != nil:
				return c.image(ctx, s, im)
			}
			return c.damaged(ctx, s)
		}
	},
}

// checkup is a check with what it may repair.
type checkup struct{ fix blockdev.Fix }

// repairs are what may be repaired.
func repairs() []string { return []string{"leaks", "all"} }

// named checks the image that is open under a name or, if none is, a file.
func (c *checkup) named(ctx context.Context, s *session.Session, o session.Opening) error {
	if im := s.Named(o.Name); im != nil {
		if c.fix != 0 {
			if err := s.Claim(ctx, im); err != nil {
				return err
			}
		}
		return c.image(ctx, s, im)
	}
	dev, err := s.OpenToCheck(ctx, o, c.fix != 0)
	if err != nil {
		return err
	}
	return c.only(ctx, s, dev)
}

// damaged checks the image that could not be opened, and opens it if nothing is wrong with it any
// more.
func (c *checkup) damaged(ctx context.Context, s *session.Session) error {
	dev, err := s.OpenDamaged(ctx, c.fix != 0)
	if err != nil {
		return err
	}
	if err := c.only(ctx, s, dev); err != nil || c.fix == 0 {
		return err
	}
	return s.OpenRepaired(ctx)
}

// image checks an image between its requests.
func (c *checkup) image(ctx context.Context, s *session.Session, im *session.Image) error {
	if err := s.Drain(ctx, im); err != nil {
		return event.Fail(event.Failed{Op: "check", Err: err})
	}
	return c.device(ctx, s, im.Dev)
}

// only checks a device that was opened for nothing else, and closes it.
func (c *checkup) only(ctx context.Context, s *session.Session, dev *blockdev.Device) error {
	err := c.device(ctx, s, dev)
	if closed := s.CloseBeside(dev); err == nil {
		err = closed
	}
	return err
}

func (c *checkup) device(ctx context.Context, s *session.Session, dev *blockdev.Device) error {
	found := event.Checked{Fix: c.fix}
	err := s.Do(ctx, func(ctx context.Context) (err error) {
		found.CheckResult, err = repair(ctx, dev, c.fix)
		return err
	})
	if err == nil || found.Wrong() {
		s.Emit(found)
	}
	switch {
	case err != nil:
		return event.Fail(event.Failed{Op: "check", Err: err})
	case found.Wrong():
		return session.Shown(event.Fail(event.Unsound{Checked: found}))
	}
	return nil
}

// repair checks and, if anything was repaired, looks once more: what is left then is what is wrong,
// as with qemu-img.
func repair(ctx context.Context, dev *blockdev.Device,
	fix blockdev.Fix,
) (blockdev.CheckResult, error) {
	first, err := dev.Check(ctx, fix)
	if err != nil || first.CorruptionsFixed+first.LeaksFixed == 0 {
		return first, err
	}
	again, err := dev.Check(ctx, 0)
	again.CorruptionsFixed, again.LeaksFixed = first.CorruptionsFixed, first.LeaksFixed
	again.Messages = append(first.Messages, again.Messages...)
	return again, err
}
