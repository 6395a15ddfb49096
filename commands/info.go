package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var info = session.Command{
	Name: "info", Alias: "i", Needs: session.File,
	Short: "prints information about the current file",
	Long: ` Example:
 info                  the format of the image, and what is special about it
`,
	New: func(f *session.Flags) session.Run {
		sizes, snapshots := false, false
		f.Offer("sizes", func(int) error {
			sizes = true
			return nil
		})
		f.Check("snapshots", func(int) error {
			snapshots = true
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if err := im.Dev.Usable(); err != nil {
				return event.Fail(event.Failed{Op: "info", Err: err})
			}
			told := im.Dev.Info()
			e := event.Info{Driver: told.Driver, Cluster: told.Cluster, VMState: told.VMStateOff}
			e.Protocol = im.Dev.Driver().Kind == driver.Protocol
			e.Known = told.KnowsSizes
			e.FormatSpecific = im.Dev.Describe()
			if stored, ok := driver.Find[driver.Stored](im.Dev.Top()); ok {
				e.Storage = stored.DescribeStorage()
			}
			e.Image, e.Block = im.Describe(), im.Dev.Block()
			if snapshots {
				list, _ := im.Dev.Snapshots(ctx) // snapshot list says why there are none
				e.Snapshots = snapshotsOf(list)
			}
			s.Emit(e)
			if sizes && !e.Known {
				return session.Shown(
					event.Fail(event.Failed{Op: "info", Err: blockdev.ErrNotSupported}))
			}
			return nil
		}
	},
}
