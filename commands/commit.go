package commands

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/copier"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
)

var commit = session.Command{
	Name:  "commit",
	Group: session.GroupImages,
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
		c := commitJob{overlay: newOverlay()}
		var keep bool
		f.Bool(&keep, 'd', "keep", "do not empty the overlay")
		c.takeFormat(f)
		c.takeDevices(f, "also into a device that the overlay names")
		c.takeName(f)
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			return c.with(ctx, s, alone, func() error { return c.run(ctx, s, keep) })
		}
	},
}

// commitJob brings an overlay into its backing file.
type commitJob struct {
	overlay
	baseName string
	base     *blockdev.Device
	result   copier.Result
}

// run does it with the overlay open, which keeps what it holds if keep says so.
func (c *commitJob) run(ctx context.Context, s *session.Session, keep bool) error {
	list, err := c.snapshots(ctx)
	switch {
	case err != nil:
		return err
	case len(list) > 0:
		return c.snapshotsSuffer()
	}
	if err := c.openBase(ctx, s); err != nil {
		return err
	}
	if err := c.lengthen(ctx, s); err != nil {
		return closeToo(s, c.base, err)
	}
	err = c.bring(ctx, s)
	if err = closeToo(s, c.base, err); err != nil {
		s.Emit(event.Uncommitted{Name: c.Name, Base: c.baseName, Done: c.result.Written})
		return err
	}
	if !keep {
		if err := c.empty(ctx, s); err != nil {
			return err
		}
	}
	s.Emit(event.Committed{
		Name: c.Name, Base: c.baseName, Written: c.result.Written, Emptied: !keep,
	})
	return nil
}

// openBase opens the backing file, which is the overlay's to name only as far as the gate lets it.
func (c *commitJob) openBase(ctx context.Context, s *session.Session) error {
	o, err := c.recorded()
	if err != nil {
		return err
	}
	c.baseName = o.Name
	if c.base, err = s.OpenToWrite(ctx, o, true); err == nil {
		return nil
	}
	// What is in the way may be the overlay, of which the backing file is made. Who opens both
	// together finds that out.
	whole := c.Opening
	whole.Options, whole.ReadOnly, whole.ForceShare = &blockdev.Options{}, true, true
	dev, chain := s.OpenBeside(ctx, whole)
	if chain != nil {
		return chain
	}
	return closeToo(s, dev, err)
}

// lengthen makes the backing file as long as the overlay.
func (c *commitJob) lengthen(ctx context.Context, s *session.Session) error {
	n, have := c.dev.Size(), c.base.Size()
	if n <= have {
		return nil
	}
	err := s.Do(ctx, func(ctx context.Context) error {
		if err := c.base.Truncate(ctx, n, blockdev.PreallocOff); err != nil {
			return err
		}
		if have := c.base.Size(); have < n {
			return &blockdev.RangeError{Size: have}
		}
		return nil
	})
	if errors.Is(err, blockdev.ErrNotSupported) {
		return event.Conflictf("commit: %s has %s, which its format cannot change, and %s has %s",
			c.baseName, units.Exact(have), c.Name, units.Exact(n))
	}
	return event.FailOp("commit", err)
}

// bring copies what the overlay holds.
func (c *commitJob) bring(ctx context.Context, s *session.Session) error {
	n := c.dev.Size()
	add, end := s.Track("commit", n)
	defer end()
	err := s.Do(ctx, func(ctx context.Context) (err error) {
		bringing := copier.Copy{From: c.dev, To: c.base, Len: n, Only: c.held, Progress: add}
		c.result, err = bringing.Run(ctx)
		return err
	})
	return stopped(ctx, "commit", event.Range{Len: n}, c.result.Done, err)
}

// held picks what the overlay itself holds.
func (c *commitJob) held(ctx context.Context, off, n int64) (end int64, wanted bool, err error) {
	e, err := c.dev.Status(ctx, off, n)
	return e.End(), e.Allocated && e.Depth == 0, err
}

// empty gives back what the overlay holds.
func (c *commitJob) empty(ctx context.Context, s *session.Session) error {
	err := s.Do(ctx, func(ctx context.Context) error {
		return errors.Join(c.dev.Empty(ctx), c.dev.Flush(context.WithoutCancel(ctx)))
	})
	return stopped(ctx, "commit", event.Range{Len: c.dev.Size()}, c.dev.Size(), err)
}
