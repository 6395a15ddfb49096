package commands

import (
	"context"
	"math"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

var zoneReport = session.Command{
	Name: "zone_report", Alias: "zrp", Needs: session.File,
	Group: session.GroupZones,
	Args:  "offset number",
	Short: "report zone information",
	Long: ` Example:
 zone_report 0 4       shows the first four zones, in sectors
`,
	New: func(f *session.Flags) session.Run {
		var off, number int64
		f.Operand(&off, "off")
		f.Operand(&number, "number")
		f.Check("number.limit", func() error {
			if number > math.MaxUint32 {
				return event.Conflictf("Number of zones must be less than 2^32")
			}
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			var zones []driver.Zone
			err := s.Request(ctx, "zone report", func(ctx context.Context) (err error) {
				zones, err = im.Dev.ReportZones(ctx, off, int(number))
				return err
			})
			for _, z := range zones {
				s.Emit(event.Zone{Zone: z})
			}
			return err
		}
	},
}

// manageZones declares the range of a command that manages zones. what is the command without
// "zone".
func manageZones(f *session.Flags, what string, op driver.ZoneOp) session.Run {
	var off, n int64
	f.Range(0)
	f.Operand(&off, "off")
	f.Operand(&n, "len")
	return func(ctx context.Context, s *session.Session, im *session.Image) error {
		return s.Request(ctx, "zone "+what, func(ctx context.Context) error {
			return im.Dev.ManageZones(ctx, op, off, n)
		})
	}
}

var zoneOpen = session.Command{
	Name: "zone_open", Alias: "zo", Needs: session.File | session.Changes,
	Group: session.GroupZones,
	Args:  "offset len",
	Short: "explicit open a range of zones in zone block device",
	Long: ` Example:
 zone_open 0 256M      opens the zones of the first 256 MiB for writing
`,
	New: func(f *session.Flags) session.Run { return manageZones(f, "open", driver.ZoneOpen) },
}

var zoneClose = session.Command{
	Name: "zone_close", Alias: "zc", Needs: session.File | session.Changes,
	Group: session.GroupZones,
	Args:  "offset len",
	Short: "close a range of zones in zone block device",
	Long: ` Example:
 zone_close 0 256M     closes them again
`,
	New: func(f *session.Flags) session.Run { return manageZones(f, "close", driver.ZoneClose) },
}

var zoneFinish = session.Command{
	Name: "zone_finish", Alias: "zf", Needs: session.File | session.Changes,
	Group: session.GroupZones,
	Args:  "offset len",
	Short: "finish a range of zones in zone block device",
	Long: ` Example:
 zone_finish 0 256M    makes them full
`,
	New: func(f *session.Flags) session.Run { return manageZones(f, "finish", driver.ZoneFinish) },
}

var zoneReset = session.Command{
	Name: "zone_reset", Alias: "zrs", Needs: session.File | session.Changes,
	Group: session.GroupZones,
	Args:  "offset len",
	Short: "reset a zone write pointer in zone block device",
	Long: ` Example:
 zone_reset 0 256M     makes them empty
`,
	New: func(f *session.Flags) session.Run { return manageZones(f, "reset", driver.ZoneReset) },
}

var zoneAppend = session.Command{
	Name: "zone_append", Alias: "zap", Needs: session.File | session.Changes,
	Group: session.GroupZones,
	Args:  "offset len [len..]",
	Short: "append write a number of bytes at a specified offset",
	Long: ` Example:
 zone_append -p 0 4k   writes where the zone at 0 goes on, and says where
`,
	New: func(f *session.Flags) session.Run {
		t := &transfer{op: "zone append"}
		var show bool
		f.Bool(&show, 'p', "print", "show the sector that was written")
		t.vector(f, nil)
		f.Check("memory", func() error {
			if t.n > blockdev.MaxRequest {
				return event.Fail(event.VecTooLong{Limit: blockdev.MaxRequest})
			}
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			var at int64
			err := s.Request(ctx, t.op, func(ctx context.Context) (err error) {
				buf := make([]byte, t.n)
				verify.Byte(defaultByte).Fill(buf, t.off)
				at, err = im.Dev.AppendZone(ctx, t.layout(buf), t.off)
				return err
			})
			if err == nil && show {
				s.Emit(event.Appended{Off: at})
			}
			return err
		}
	},
}
