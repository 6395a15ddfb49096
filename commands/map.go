package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/picture"
	"github.com/blksh/blksh/commands/session"
)

var alloc = session.Command{
	Name: "alloc", Alias: "a", Needs: session.File,
	Group: session.GroupLook,
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
		f.Offer("off.sector", func() error { return wholeSectors("offset", off) })
		f.Offer("in-sectors", func() error {
			n, unit = 1, blockdev.SectorSize
			return nil
		})
		f.OptOperand(&n, "len")
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			answer := event.Alloc{Off: off, Count: n * unit}
			err := s.Request(ctx, "is_allocated",
				func(ctx context.Context) error { return countAllocated(ctx, im.Dev, &answer) })
			if err == nil {
				s.Emit(answer)
			}
			return err
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
	Name: "map", Needs: session.File, Reports: true,
	Group: session.GroupLook, Paged: true,
	Args:      "[--totals] [--draw] [--svg file] [--bitmap name] [off [len]]",
	Elsewhere: []string{"fiemap", "extents", "seek", "holes"},
	Short:     "prints the allocated areas of a file",
	Long: ` Example:
 map                   every run in one state, and where it lies in the file
 map --totals 0..1G    how much of the first GiB is data, zeroes, holes
 map --draw            all of it as rows of cells, as wide as the window
 map --svg disk.svg    the same as a picture for a browser
 map --bitmap sunday   what has changed since that bitmap was made

 Offsets and lengths are bytes, to be pasted into other commands. The depth is
 that of the image that holds the data: 0 for this one, 1 for its backing file.
 The host offset is where they lie in the file of that image.
`,
	New: func(f *session.Flags) session.Run {
		var m mapping
		f.Bool(&m.totals, 0, "totals", "show sums instead of runs")
		f.Text(&m.bitmap, 0, "bitmap", args.Text("NAME"), "show what is dirty in this bitmap")
		m.drawing.declare(f, "rows of cells instead of runs")
		m.operands(f)
		f.Conflict("draw-totals", "--totals and --draw or --svg do not go together",
			func() bool { return m.totals && m.drawing.wanted() })
		m.same = continues
		f.Offer("by-allocation", func() error {
			m.same = func(a, b blockdev.Extent) bool { return a.Allocated == b.Allocated }
			return nil
		})
		return m.run
	},
}

// mapping is a map of a range, and how it is shown: runs, sums or a picture.
type mapping struct {
	scope
	totals  bool
	bitmap  string
	drawing drawing
	same    func(a, b blockdev.Extent) bool // whether two runs are one
}

func (m *mapping) run(ctx context.Context, s *session.Session, im *session.Image) error {
	if err := im.Dev.Usable(); err != nil {
		return event.FailOp("map", err)
	}
	size := im.Dev.Size()
	if m.Len < 0 { // where a map is always one of everything
		m.Len = size
	}
	if m.Off > size {
		// the device has the words for it
		return stopped(ctx, "map", m.Range, 0, im.Dev.Read(ctx, nil, m.Off, 0))
	}
	m.Len = min(m.Len, size-m.Off)
	classes := mapClasses()
	if m.bitmap != "" {
		classes = dirtyClasses()
	}
	if err := m.drawing.begin(ctx, s, m.Range, classes); err != nil {
		return err
	}
	show := m.runs
	if m.bitmap != "" {
		show = m.dirty
	}
	return m.drawing.end(s, "map of "+im.Describe().Path, show(ctx, s, im))
}

// runs tells of the runs of the range.
func (m *mapping) runs(ctx context.Context, s *session.Session, im *session.Image) error {
	size := im.Dev.Size()
	if size == 0 {
		s.Emit(event.MapEmpty{})
	}
	table := !m.totals && !m.drawing.wanted()
	sums := event.MapTotals{Range: m.Range}
	var last event.MapRun
	err := m.walk(ctx, s, im, m.same, func(run blockdev.Extent) {
		m.drawing.add(run.Off, run.Len, mapClass(run))
		switch {
		case table:
			if run.Off == m.Off {
				s.Emit(event.MapHead{Range: m.Range})
			}
			last = event.MapRun{Extent: run, Remaining: size - run.Off, Untold: run.Untold}
			s.Emit(last)
		case m.totals:
			addRun(&sums, run)
		}
	})
	switch {
	case err == nil && m.totals:
		s.Emit(sums)
	case err != nil && last.Len > 0:
		s.Emit(event.MapCut{MapRun: last})
	}
	return err
}

// The classes of a map, the first of which shows where a cell has several.
const (
	mapData = iota
	mapCompressed
	mapBelow
	mapUntold
	mapStored
	mapHole
)

func mapClasses() []picture.Class {
	return []picture.Class{
		mapData: picture.Full("data", colour.Data),
		mapCompressed: {
			Name: "compressed data", Sign: '▆', Part: '▃', Plain: 'C', PlainPart: 'c',
			Role: colour.Compressed,
		},
		mapBelow: {
			Name: "data in an image below", Sign: '▓', Part: '░', Plain: 'B', PlainPart: 'b',
			Role: colour.Below,
		},
		mapUntold: {
			Name: "data or hole, a device does not tell", Sign: '?', Role: colour.Unknown,
		},
		mapStored: {Name: "zeroes with storage", Sign: 'o', Role: colour.Stored},
		mapHole:   picture.Empty("hole"),
	}
}

// mapClass is what a run shows as.
func mapClass(run blockdev.Extent) int {
	switch {
	case !run.Data:
		return mapHole
	case run.Zero:
		return mapStored
	case run.Untold:
		return mapUntold
	case run.Depth > 0:
		return mapBelow
	case run.Compressed:
		return mapCompressed
	}
	return mapData
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
			return stopped(ctx, "map", c.Range, off-c.Off, err)
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
