package commands

import (
	"context"
	"errors"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/picture"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
)

var bitmapCommand = session.Command{
	Name: "bitmap", Needs: session.File, Keyless: true,
	Group: session.GroupInside,
	Args:  "list | add [--granularity n] [--disabled] name | (remove|clear|enable|disable) name | merge [--from image] source name",
	Short: "lists and changes dirty bitmaps inside an image",
	Long: ` Examples:
 bitmap add sunday            what is changed from now on is recorded
 bitmap list                  shows what there is, and how much is dirty
 bitmap merge monday sunday   sunday has then what is in both
 bitmap remove sunday         gives up the record, and its space

 A bitmap says which parts of an image have changed since it was made or
 cleared: 'map --bitmap sunday' shows them, and 'copy --bitmap sunday' copies
 nothing else. An image that was not closed properly has bitmaps that are not
 true any more, which can only be removed. Those of which an NBD server tells
 can be looked at alone.
`,
	New: func(f *session.Flags) session.Run {
		c := &bitmapJob{from: session.Opening{ReadOnly: true}}
		var disabled, sized bool
		f.Size(&c.add.Granularity, &sized, 'g', "granularity", "N",
			"bytes that one bit stands for, a power of two")
		f.Bool(&disabled, 0, "disabled", "do not record changes yet")
		f.Text(&c.from.Name, 0, "from", args.ImageFile, "the image that the source is in")
		f.Text(&c.from.Format, 0, "from-format", args.Format,
			"its format, which is guessed otherwise")
		f.EnumWord(&c.action, "action",
			"list", "add", "remove", "clear", "enable", "disable", "merge")
		f.Words(&c.names, "name", 0)
		f.Check("names", func() error {
			c.add.Enabled = !disabled
			if sized && c.add.Granularity == 0 {
				c.add.Granularity = 1 // which is none: 0 means the usual one
			}
			return c.check(f)
		})
		return c.run
	},
}

// bitmapJob is one call of bitmap.
type bitmapJob struct {
	action string
	names  []string
	add    blockdev.Bitmap
	from   session.Opening
}

// check refuses names that are missing or too many.
func (c *bitmapJob) check(f *session.Flags) error {
	want := 1
	switch c.action {
	case "list":
		want = 0
	case "merge":
		want = 2
	}
	if len(c.names) != want {
		return event.Conflictf("bitmap %s takes %s, not %d", c.action,
			units.Count(want, "name"), len(c.names))
	}
	if want > 0 {
		f.Need(session.Write)
	}
	return nil
}

func (c *bitmapJob) run(ctx context.Context, s *session.Session, im *session.Image) error {
	op := "bitmap " + c.action
	if c.action == "list" {
		return c.list(ctx, s, im)
	}
	from, free, err := sourceOf(ctx, s, im, c.from)
	if err != nil {
		return err
	}
	err = s.Drain(ctx, im)
	if err == nil {
		err = s.Do(ctx, func(ctx context.Context) error { return c.change(ctx, im.Dev, from) })
	}
	if err = bitmapFailed(op, err); err == nil {
		s.Emit(event.BitmapChanged{Action: c.action, Name: c.names[len(c.names)-1]})
	}
	return s.Also(err, free())
}

// bitmapFailed says why nothing was done to a bitmap: what was asked for cannot be, or could not be
// done.
func bitmapFailed(op string, err error) error {
	var inconsistent *driver.InconsistentError
	if errors.As(err, &inconsistent) {
		return event.FailReport(inconsistent)
	}
	if text, ok := refusedRequest(err); ok {
		return event.Conflictf("%s: %s", op, text)
	}
	return event.FailOp(op, err)
}

// refusedRequest is why an image does not do what was asked for, if that and not a storage that
// failed, such as a server that is gone, is the reason.
func refusedRequest(err error) (text string, ok bool) {
	var refused *driver.Refusal
	ok = errors.As(err, &refused) && !errors.Is(err, syscall.EIO)
	if ok {
		text = refused.Text
	}
	return text, ok
}

func (c *bitmapJob) change(ctx context.Context, d, from *blockdev.Device) error {
	name := c.names[0]
	switch c.action {
	case "add":
		c.add.Name = name
		return d.AddBitmap(ctx, c.add)
	case "remove":
		return d.RemoveBitmap(ctx, name)
	case "clear":
		return d.ClearBitmap(ctx, name)
	case "merge":
		return d.MergeBitmap(ctx, c.names[1], from, name)
	}
	return d.EnableBitmap(ctx, name, c.action == "enable")
}

// list shows the bitmaps, and how many bytes are dirty in each that is true.
func (c *bitmapJob) list(ctx context.Context, s *session.Session, im *session.Image) error {
	var shown []event.BitmapListed
	err := s.Do(ctx, func(ctx context.Context) (err error) {
		shown, err = bitmapsOf(ctx, im.Dev)
		return err
	})
	for _, e := range shown {
		s.Emit(e)
	}
	return bitmapFailed("bitmap list", err)
}

// bitmapsOf lists the bitmaps of an image, also those up to which it came before an error.
func bitmapsOf(ctx context.Context, d *blockdev.Device) (all []event.BitmapListed, err error) {
	list, err := d.Bitmaps(ctx)
	for _, b := range list {
		e := event.BitmapListed{
			Name: b.Name, Granularity: b.Granularity, Enabled: b.Enabled,
			Inconsistent: b.Inconsistent, Remote: b.Remote,
		}
		if err == nil && !b.Inconsistent {
			e.Dirty, err = dirtyIn(ctx, d, b.Name)
		}
		e.Uncounted = err != nil
		all = append(all, e)
	}
	return all, err
}

// dirtyIn is how many bytes of an image are dirty.
func dirtyIn(ctx context.Context, d *blockdev.Device, bitmap string) (sum int64, err error) {
	all := span(0, d.Size())
	err = all.dirtyRuns(ctx, d, bitmap, func(off, n int64, dirty bool) {
		if dirty {
			sum += n
		}
	})
	return sum, err
}

// dirtyRuns calls then with one run of the range after the other.
func (c scope) dirtyRuns(
	ctx context.Context, d *blockdev.Device, bitmap string, then func(off, n int64, dirty bool),
) error {
	for off, end := c.Off, c.End(); off < end; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		next, dirty, err := d.DirtyRun(ctx, bitmap, off, end-off)
		if err != nil {
			return err
		}
		then(off, next-off, dirty)
		off = next
	}
	return nil
}

// The classes of a map of a bitmap.
const (
	dirtyClass = iota
	cleanClass
)

func dirtyClasses() []picture.Class {
	return []picture.Class{
		dirtyClass: picture.Full("dirty", colour.Found),
		cleanClass: picture.Empty("clean"),
	}
}

// dirty shows which parts of a range are dirty in a bitmap, or how much of it.
func (m *mapping) dirty(ctx context.Context, s *session.Session, im *session.Image) error {
	sums := event.DirtyTotals{Range: m.Range, Bitmap: m.bitmap}
	table := !m.totals && !m.drawing.wanted()
	err := s.Tell(ctx, func(ctx context.Context, say func(event.Event)) error {
		return m.dirtyRuns(ctx, im.Dev, m.bitmap, func(off, n int64, dirty bool) {
			class := cleanClass
			if dirty {
				class = dirtyClass
				sums.Dirty += n
				sums.Runs++
			}
			m.drawing.add(off, n, class)
			if table && off == m.Off {
				say(event.MapHead{Range: m.Range, Bitmap: m.bitmap})
			}
			if table {
				say(event.DirtyRun{Range: event.Range{Off: off, Len: n}, Dirty: dirty})
			}
		})
	})
	if err == nil && m.totals {
		s.Emit(sums)
	}
	if err != nil && ctx.Err() != nil {
		return stopped(ctx, "map", m.Range, 0, err)
	}
	return bitmapFailed("map", err)
}
