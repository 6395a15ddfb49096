package commands

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/picture"
	"github.com/blksh/blksh/commands/session"
)

var check = session.Command{
	Name: "check", Keyless: true, Reports: true,
	Group: session.GroupImages, Paged: true,
	Args:  "[-r leaks|all] [-f format] [-U] [--draw] [--svg file] [file]",
	Short: "checks the metadata of an image",
	Long: ` Examples:
 check                 counts what is wrong; nothing is changed
 check -r all          repairs what can be repaired
 check -r all disk     the same for an image that is not open
 check --draw          which clusters of the file are in use, lost or wrong

 An image that cannot be opened because it is damaged can be checked all the
 same. No other command works on it before it is repaired.
`,
	New: func(f *session.Flags) session.Run {
		var c checkup
		var o session.Opening
		f.Enum('r', "repair", "WHAT", []string{"leaks", "all"},
			"give back what nothing refers to, or repair all that can be", func(i int) {
				c.fix = [...]blockdev.Fix{driver.FixLeaks, driver.FixLeaks | driver.FixErrors}[i]
			})
		f.Text(&o.Format, 'f', "format", args.Format,
			"format of the file, which is guessed otherwise")
		f.Bool(&o.ForceShare, 'U', "force-share", "share the file with programs that write it")
		c.drawing.declare(f, "the clusters of the file (qcow2)")
		f.OptWord("file", args.ImageFile, word(&o.Name))
		f.Conflict("draw-repair", "--draw and --svg show what a check finds, not what -r repairs",
			func() bool { return c.drawing.wanted() && c.fix != 0 })
		f.Conflict("of-file", "-f and -U are about a file that is named", func() bool {
			return o.Name == "" && (o.Format != "" || o.ForceShare)
		})
		f.Check("write", func() error {
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
type checkup struct {
	fix     blockdev.Fix
	drawing drawing
}

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
		return event.FailOp("check", err)
	}
	return c.device(ctx, s, im.Dev)
}

// only checks a device that was opened for nothing else, and closes it.
func (c *checkup) only(ctx context.Context, s *session.Session, dev *blockdev.Device) error {
	return s.Also(c.device(ctx, s, dev), s.CloseBeside(dev))
}

func (c *checkup) device(ctx context.Context, s *session.Session, dev *blockdev.Device) error {
	if err := c.drawing.makeFile(ctx, s); err != nil {
		return err
	}
	found := event.Checked{Fix: c.fix}
	err := s.Do(ctx, func(ctx context.Context) (err error) {
		if wanted := c.drawing.wanted(); wanted || s.Reporting() && c.fix == 0 {
			found.CheckResult, err = c.drawing.clusters(ctx, dev)
			if wanted || !errors.Is(err, blockdev.ErrNotSupported) {
				return err
			}
		}
		found.CheckResult, err = repair(ctx, dev, c.fix)
		return err
	})
	told := err == nil || found.Wrong()
	switch {
	case err != nil:
		err = event.FailOp("check", err)
	case found.Wrong():
		err = session.Shown(event.Fail(event.Unsound{Checked: found}))
	}
	err = c.drawing.end(s, "clusters of "+dev.Chain()[0].Filename, err)
	if told {
		s.Emit(found)
	}
	return err
}

// The classes of a picture of clusters, the first three as a check tells of them.
const freeCluster = driver.ClusterUsed + 1

func clusterClasses() []picture.Class {
	return []picture.Class{
		driver.ClusterWrong: {Name: "counted too seldom", Sign: 'X', Role: colour.Wrong},
		driver.ClusterLeaked: {
			Name: "leaked", Sign: 'L', Part: 'l', Role: colour.Unknown,
		},
		driver.ClusterUsed: picture.Full("in use", colour.Data),
		freeCluster:        picture.Empty("free"),
	}
}

// clusters checks an image and draws the clusters of its file.
func (d *drawing) clusters(ctx context.Context,
	dev *blockdev.Device,
) (blockdev.CheckResult, error) {
	result, err := dev.CheckClusters(ctx, func(file, off, n int64, as driver.ClusterState) {
		if d.picture == nil {
			d.picture = picture.New(0, file, clusterClasses())
		}
		d.add(off, n, int(as))
	})
	d.fill(int(freeCluster))
	return result, err
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
