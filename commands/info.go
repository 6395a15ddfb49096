package commands

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var info = session.Command{
	Name: "info", Alias: "i", Needs: session.File, Keyless: true,
	Group: session.GroupLook, Paged: true,
	Elsewhere: []string{"stat", "lsblk"},
	Short:     "prints information about the current file",
	Long: ` Example:
 info                  the format of the image, and what is special about it

 What is told: format and sizes, what the image takes of disks of the host, how
 it is stored, the images that it stands on, its snapshots and its bitmaps. Of a
 device: model, blocks, limits of discarding and zeroing, partitions, and who
 uses it. What the header of an encrypted image says needs no key.
`,
	New: func(f *session.Flags) session.Run {
		sizes, contents := false, false
		f.Offer("sizes", func() error {
			sizes = true
			return nil
		})
		f.Check("contents", func() error {
			contents = true
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if err := im.Dev.Usable(); err != nil {
				return infoFailed(err)
			}
			e := infoOf(im)
			var err error
			if contents {
				err = s.Do(ctx, func(ctx context.Context) error {
					return lookInside(ctx, im.Dev, &e)
				})
			}
			s.Emit(e)
			if sizes && !e.Known {
				return session.Shown(infoFailed(blockdev.ErrNotSupported))
			}
			return infoFailed(err)
		}
	},
}

func infoFailed(err error) error { return event.FailOp("info", err) }

// infoOf is what is known of an open image without reading it.
func infoOf(im *session.Image) event.Info {
	told := im.Dev.Info()
	e := event.Info{Driver: told.Driver, Cluster: told.Cluster, VMState: told.VMStateOff}
	e.Protocol = im.Dev.Driver().Kind == driver.Protocol
	e.Known = told.KnowsSizes
	e.FormatSpecific = im.Dev.Describe()
	if stored, ok := driver.Find[driver.Stored](im.Dev.Top()); ok {
		e.Storage = stored.DescribeStorage()
	}
	e.Image, e.Block = im.Describe(), im.Dev.Block()
	e.DiskSize = -1
	if chain := im.Dev.Chain(); len(chain) > 0 {
		e.DiskSize = chain[0].DiskSize
	}
	return e
}

// lookInside adds the snapshots and bitmaps inside the image. A format without them has none.
func lookInside(ctx context.Context, d *blockdev.Device, e *event.Info) error {
	snapshots, err := d.Snapshots(ctx)
	e.Snapshots = snapshotsOf(snapshots)
	if err != nil && !errors.Is(err, blockdev.ErrNotSupported) {
		return err
	}
	e.Bitmaps, err = bitmapsOf(ctx, d)
	if err != nil && !errors.Is(err, blockdev.ErrNotSupported) {
		return err
	}
	return nil
}
