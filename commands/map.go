package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var alloc = session.Command{
	Name: "alloc", Alias: "a", Min: 1, Max: 2, Needs: session.File,
	Args:  "off [len]",
	Short: "counts the allocated bytes of a range",
	Long: ` Example:
 alloc 1M 64k          how many of these 64 KiB the image holds itself
 alloc 0..end          the same of all of them

 Without a length it looks at one sector. Bytes that come from a backing file
 are not allocated here, a hole of a raw image is. Below stands how many bytes
 have storage behind them, wherever, and how many are known to be zero.
`,
	New: func(f *session.Flags) session.Run {
		var off int64
		n, unit := int64(blockdev.SectorSize), int64(1)
		f.Range(0)
		f.Operand(&off, "off")
		f.Offer("off.sector", func(int) error { return wholeSectors("offset", off) })
		f.Offer("in-sectors", func(int) error {
			n, unit = 1, blockdev.SectorSize
			return nil
		})
		f.OptOperand(&n, "len")
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			answer := event.Alloc{Off: off, Count: n * unit}
			err := s.Do(ctx,
				func(ctx context.Context) error { return countAllocated(ctx, im.Dev, &answer) })
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
		if e.Data {
			a.Data += e.Len
		}
		if e.Untold {
			a.Untold += e.Len
		}
		if e.Zero {
			a.Zero += e.Len
		}
		at += e.Len
	}
	return nil
}

var mapCommand = session.Command{
	Name: "map", Max: -1, Needs: session.File, Reports: true,
	Args:  "[--totals] [--bitmap name] [off [len]]",
	Short: "prints the allocated areas of a file",
	Long: ` Example:
 map                   every run in one state, and where it lies in the file
 map --totals 0..1G    how much of the first GiB is data, zeroes, holes
 map --bitmap sunday   what has changed since that bitmap was made
`,
	New: func(f *session.Flags) session.Run {
		var c scope
		var totals bool
		var bitmap string
		f.Bool(&totals, 0, "totals", "show sums instead of runs")
		f.Text(&bitmap, nil, 0, "bitmap", args.Text("NAME"), "show what is dirty in this bitmap")
		c.operands(f)
		same := continues
		f.Offer("by-allocation", func(int) error {
			same = func(a, b blockdev.Extent) bool { return a.Allocated == b.Allocated }
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if err := im.Dev.Usable(); err != nil {
				return event.Fail(event.Failed{Op: "map", Err: err})
			}
			size := im.Dev.Size()
			if c.Len < 0 { // where a map is always one of everything
				c.Len = size
			}
			if c.Off > size {
				// the device has the words for it
				return stopped(ctx, "map", event.Range(c), 0, im.Dev.Read(ctx, nil, c.Off, 0))
			}
			c.Len = min(c.Len, size-c.Off)
			if bitmap != "" {
				return c.mapBitmap(ctx, s, im, bitmap, totals)
			}
			if size == 0 {
				s.Emit(event.MapEmpty{})
			}
			sums := event.MapTotals{Range: event.Range(c)}
			err := c.walk(ctx, s, im, same, func(run blockdev.Extent) {
				if totals {
					addRun(&sums, run)
				} else {
					s.Emit(event.MapRun{Extent: run, Remaining: size - run.Off, Untold: run.Untold})
				}
			})
			if err == nil && totals {
				s.Emit(sums)
			}
			return err
		}
	},
}

// continues says whether b, which lies behind a, is in the same state and place.
func continues(a, b blockdev.Extent) bool {
	alike := a.Allocated == b.Allocated && a.Data == b.Data && a.Zero == b.Zero &&
		a.Compressed == b.Compressed && a.Depth == b.Depth
	return alike &&
		(!a.Data || a.HostOff < 0 && b.HostOff < 0 || a.HostOff >= 0 &&
			b.HostOff == a.HostOff+a.Len)
}

// walk calls then with one run after the other.
func (c scope) walk(
	ctx context.Context, s *session.Session, im *session.Image,
	same func(a, b blockdev.Extent) bool, then func(run blockdev.Extent),
) error {
	end := c.Off + c.Len
	for off := c.Off; off < end; {
		var run blockdev.Extent
		err := s.Do(ctx, func(ctx context.Context) (err error) {
			run, err = nextRun(ctx, im.Dev, off, end, same)
			return err
		})
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return stopped(ctx, "map", event.Range(c), off-c.Off, err)
		}
		then(run)
		off = run.End()
	}
	return nil
}

// addRun adds a run to the sums of a map.
func addRun(sums *event.MapTotals, run blockdev.Extent) {
	sums.Runs++
	switch {
	case run.Data && run.Zero:
		sums.Zero += run.Len
		return
	case !run.Data:
		sums.Hole += run.Len
		return
	}
	sums.Data += run.Len
	if run.Compressed {
		sums.Compressed += run.Len
	}
	if run.Depth > 0 {
		sums.Backing += run.Len
	}
	if run.Untold {
		sums.Untold += run.Len
	}
}

// nextRun is the longest run from off on that is the same throughout. It ends where the device
// fails to tell more: asking for the next run says why.
func nextRun(ctx context.Context, d *blockdev.Device, off, size int64,
	same func(a, b blockdev.Extent) bool,
) (blockdev.Extent, error) {
	run, err := d.Status(ctx, off, size-off)
	if err != nil {
		return run, err
	}
	for run.End() < size {
		next, err := d.Status(ctx, run.End(), size-run.End())
		if err != nil || next.Len == 0 || !same(run, next) {
			break
		}
		run.Len += next.Len
	}
	if run.Len == 0 {
		run.Len = size - off
	}
	return run, nil
}
