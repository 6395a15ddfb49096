package commands

import (
	"context"
	"slices"

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
		sizes := false
		f.Offer("sizes", func(int) error {
			sizes = true
			return nil
		})
		return func(_ context.Context, s *session.Session, im *session.Image) error {
			if _, err := im.Dev.Size(); err != nil {
				return event.Fail(event.Failed{Op: "info", Err: err})
			}
			told := im.Dev.Info()
			e := event.Info{Driver: told.Driver, Cluster: told.Cluster, VMState: told.VMStateOff}
			e.Protocol = kindOf(s, told.Driver) == driver.Protocol
			e.Known = tellsSizes(s, im.Dev.Top())
			e.FormatSpecific = im.Dev.Describe()
			e.Image, e.Block = im.Describe(), im.Dev.Block()
			s.Emit(e)
			if sizes && !e.Known {
				return session.Shown(event.Fail(event.Failed{Op: "info", Err: blockdev.ErrNotSupported}))
			}
			return nil
		}
	},
}

// kindOf is the kind of the driver of that name.
func kindOf(s *session.Session, name string) driver.Kind {
	if i := slices.IndexFunc(s.Drivers, func(d blockdev.Driver) bool { return d.Name == name }); i >= 0 {
		return s.Drivers[i].Kind
	}
	return driver.Protocol
}

// tellsSizes says whether the sizes of clusters and of the area for machine state are known. Formats know them; raw and filters know
// what the layer below knows, and of the protocols those that stand on a file of the host.
func tellsSizes(s *session.Session, n driver.Node) bool {
	for ; n != nil; n = n.Primary() {
		name := n.Info().Driver
		switch {
		case kindOf(s, name) == driver.Format && name != "raw":
			return true
		case kindOf(s, name) == driver.Protocol:
			return slices.Contains([]string{"file", "host_device", "host_cdrom"}, name)
		}
	}
	return false
}
