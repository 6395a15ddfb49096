package commands

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/copier"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var commit = session.Command{
	Name: "commit", Min: 1, Max: -1,
	Args:  "[-d] [-f format] file",
	Short: "brings what an overlay holds into its backing file",
	Long: ` Examples:
 commit overlay.qcow2     the backing file then has it, the overlay is empty
 commit -d overlay.qcow2  the same, and the overlay stays as it is

 The overlay is emptied when the backing file has all of it on stable storage:
 whatever happens before, the overlay shows what it did, and the command can be
 given again. Other images that stand on the same backing file are worth nothing
 afterwards. The overlay must not be open here.
`,
	New: func(f *session.Flags) session.Run {
		o := session.Opening{Options: &blockdev.Options{}}
		var keep, devices bool
		f.Bool(&keep, 'd', "keep", "do not empty the overlay")
		f.Text(&o.Format, nil, 'f', "format", args.Format,
			"format of the overlay, which is guessed otherwise")
		f.Bool(&devices, 0, "allow-backing-device", "also into a device that the overlay names")
		f.Word("file", args.File, word(&o.Name))
		return func(ctx context.Context, s *session.Session, _ *session.Image) (err error) {
			o.Options.Set("backing", nil)
			c := commitJob{name: o.Name}
			if c.over, err = s.OpenToWrite(ctx, o, false); err != nil {
				return err
			}
			defer func() { err = closeToo(s, c.over, err) }()
			if err := noSnapshots(ctx, c.over, c.name); err != nil {
				return err
			}
			if err := c.openBase(ctx, s, devices); err != nil {
				return err
			}
			err = c.bring(ctx, s)
			if err = closeToo(s, c.base, err); err != nil {
				s.Emit(event.Uncommitted{Name: c.name, Base: c.baseName, Done: c.result.Written})
				return err
			}
			if !keep {
				if err := c.empty(ctx, s); err != nil {
					return err
				}
			}
			s.Emit(event.Committed{
				Name: c.name, Base: c.baseName, Written: c.result.Written, Emptied: !keep,
			})
			return nil
		}
	},
}

// closeToo closes a device that a command has opened, and keeps the first error.
func closeToo(s *session.Session, dev *blockdev.Device, err error) error {
	if closed := s.CloseBeside(dev); err == nil {
		return closed
	}
	return err
}

// commitJob brings an overlay into its backing file.
type commitJob struct {
	name       string
	baseName   string
	over, base *blockdev.Device
	result     copier.Result
}

// openBase opens the backing file, which is the overlay's to name only as far as the gate lets it.
func (c *commitJob) openBase(ctx context.Context, s *session.Session, devices bool) error {
	o, err := recorded(c.over, c.name, devices)
	if err != nil {
		return err
	}
	c.baseName = o.Name
	c.base, err = s.OpenToWrite(ctx, o, true)
	return err
}

// recorded is how to open what an image stands on by its own word.
func recorded(dev *blockdev.Device, name string, devices bool) (session.Opening, error) {
	link, ok := dev.BackingFile()
	if !ok || link.Name == "" {
		return session.Opening{}, conflict("%s has no backing file", name)
	}
	return session.Opening{
		Name: driver.Beside(name, link.Name), From: name, BackingDevice: devices,
		Format: link.Format, Options: &blockdev.Options{},
	}, nil
}

// bring copies what the overlay holds, and makes the backing file as long.
func (c *commitJob) bring(ctx context.Context, s *session.Session) error {
	n := c.over.Size()
	add, end := s.Track("commit", n)
	defer end()
	err := s.Do(ctx, func(ctx context.Context) (err error) {
		if n > c.base.Size() {
			if err := c.base.Truncate(ctx, n, blockdev.PreallocOff); err != nil {
				return err
			}
			if have := c.base.Size(); have < n {
				return &blockdev.RangeError{Size: have}
			}
		}
		bringing := copier.Copy{From: c.over, To: c.base, Len: n, Only: c.held, Progress: add}
		c.result, err = bringing.Run(ctx)
		return err
	})
	return stopped(ctx, "commit", event.Range{Len: n}, c.result.Done, err)
}

// held picks what the overlay itself holds.
func (c *commitJob) held(ctx context.Context, off, n int64) (end int64, wanted bool, err error) {
	e, err := c.over.Status(ctx, off, n)
	return e.End(), e.Allocated && e.Depth == 0, err
}

// empty gives back what the overlay holds.
func (c *commitJob) empty(ctx context.Context, s *session.Session) error {
	err := s.Do(ctx, func(ctx context.Context) error {
		return errors.Join(c.over.Empty(ctx), c.over.Flush(context.WithoutCancel(ctx)))
	})
	return stopped(ctx, "commit", event.Range{Len: c.over.Size()}, c.over.Size(), err)
}
