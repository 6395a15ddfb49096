package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var alloc = session.Command{
	Name: "alloc", Alias: "a", Min: 1, Max: 2, Needs: session.File,
	Args:  "off [len]",
	Short: "counts the allocated bytes of a range",
	Long: ` Example:
 alloc 1M 64k          how many of these 64 KiB the image holds itself

 Without a length it looks at one sector. Bytes that come from a backing file do not count.
`,
	New: func(f *session.Flags) session.Run {
		var off int64
		n, unit := int64(blockdev.SectorSize), int64(1)
		f.Operand(&off, "off")
		f.Offer("off.sector", func(int) error { return wholeSectors("offset", off) })
		f.Offer("in-sectors", func(int) error {
			n, unit = 1, blockdev.SectorSize
			return nil
		})
		f.OptOperand(&n, "len")
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			answer := event.Alloc{Off: off, Count: n * unit}
			err := s.Do(ctx, func(ctx context.Context) error { return countAllocated(ctx, im.Dev, &answer) })
			if err != nil {
				return event.Fail(event.Failed{Op: "is_allocated", Err: err})
			}
			s.Emit(answer)
			return nil
		}
	},
}

// countAllocated walks the range of a and cuts it at the end of the device.
func countAllocated(ctx context.Context, d *blockdev.Device, a *event.Alloc) error {
	for at := int64(0); at < a.Count; {
		e, err := d.Status(ctx, a.Off+at, a.Count-at)
		if err != nil {
			return err
		}
		if e.Len == 0 {
			a.Count = at
			break
		}
		if e.Allocated {
			a.Allocated += e.Len
		}
		at += e.Len
	}
	return nil
}

var mapCommand = session.Command{
	Name: "map", Needs: session.File,
	Short: "prints the allocated areas of a file",
	Long: ` Example:
 map                   shows every run of the image that is in one state
`,
	New: func(f *session.Flags) session.Run {
		same := func(a, b blockdev.Extent) bool {
			return a.Allocated == b.Allocated && a.Data == b.Data && a.Zero == b.Zero && a.Depth == b.Depth
		}
		f.Offer("by-allocation", func(int) error {
			same = func(a, b blockdev.Extent) bool { return a.Allocated == b.Allocated }
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			size := im.Dev.Length()
			if size == 0 {
				s.Emit(event.MapEmpty{})
			}
			for off := int64(0); off < size; {
				var run blockdev.Extent
				err := s.Do(ctx, func(ctx context.Context) (err error) {
					run, err = nextRun(ctx, im.Dev, off, size, same)
					return err
				})
				if err != nil {
					return event.Fail(event.Failed{Op: "map", Err: err})
				}
				s.Emit(event.MapRun{Extent: run, Remaining: size - off})
				off = run.End()
			}
			return nil
		}
	},
}

// nextRun is the longest run from off on that is the same throughout.
func nextRun(ctx context.Context, d *blockdev.Device, off, size int64, same func(a, b blockdev.Extent) bool) (blockdev.Extent, error) {
	run, err := d.Status(ctx, off, size-off)
	for err == nil && run.End() < size {
		var next blockdev.Extent
		if next, err = d.Status(ctx, run.End(), size-run.End()); err != nil || next.Len == 0 || !same(run, next) {
			break
		}
		run.Len += next.Len
	}
	if err == nil && run.Len == 0 {
		run.Len = size - off
	}
	return run, err
}
