package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/verify"
)

var compare = session.Command{
	Name: "compare", Needs: session.File, Reports: true,
	Group: session.GroupLook, Paged: true,
	Args:      "[-f format] [-s] [-U] [--all] [--draw] [--svg file] [--shard k/n] file [off [len]]",
	Elsewhere: []string{"cmp", "diff"},
	Short:     "compares the image with another",
	Long: ` Example:
 compare backup.qcow2  whether the two hold the same, and where not
 compare other 0..1M   the first MiB with that of the open image other

 Where one is shorter there is a word on it, and what the longer one has behind
 that end is compared with zeroes; with --strict the length is a difference too.
 What both know to be zero is not read. Of the bytes that differ it is told how
 many are zero on one side. When it is stopped it says what it has found, and
 how to go on. With --shard several runs share the work, see 'help shards'.
`,
	New: func(f *session.Flags) session.Run {
		c := comparison{other: session.Opening{ReadOnly: true}}
		f.Text(&c.other.Format, 'f', "format", args.Format,
			"format of the other image, which is guessed otherwise")
		f.Bool(&c.strict, 's', "strict", "images of different lengths differ")
		f.Bool(&c.other.ForceShare, 'U', "force-share",
			"share the other image with programs that write it")
		f.Bool(&c.all, 0, "all", "list all ranges that differ, not only the first ones")
		c.resume.declare(f)
		c.drawing.declare(f, "where they differ")
		f.Word("file", args.ImageFile, word(&c.other.Name))
		c.operands(f, "all", "draw", "svg", "force")
		f.Check("ranged", func() error {
			c.ranged = f.Operands() > 2
			return nil
		})
		return c.run
	},
}

// comparison is a comparison of two images.
type comparison struct {
	sharded
	other       session.Opening
	all, strict bool
	ranged      bool // it is said how much is compared
	resume      resumption
	drawing     drawing
}

func (c *comparison) run(ctx context.Context, s *session.Session,
	im *session.Image,
) (err error) {
	other, free, err := beside(ctx, s, c.other)
	if err != nil {
		return err
	}
	defer func() { err = s.Also(err, free()) }()
	longest := max(im.Dev.Size(), other.Size())
	if !c.ranged {
		c.Len = max(0, longest-c.Off)
	}
	if c.Off > longest-c.Len {
		return event.FailOp("compare", &blockdev.Error{
			Op: "compare", Off: c.Off, Len: c.Len, Err: &blockdev.RangeError{Size: longest},
		})
	}
	if !c.take(s, im, "compare") {
		return nil
	}
	if err := c.resume.skip("compare", &c.scope); err != nil {
		return err
	}
	if err := c.drawing.begin(ctx, s, c.Range,
		twoClasses("different", "the same")); err != nil {
		return err
	}
	found := verify.NewDiff(limitOf(c.all))
	found.Note = c.drawing.note(markedClass)
	seen, stopped, err := c.resume.told(c.compare(ctx, s, im.Dev, other, found))
	switch {
	case err == nil:
		err = c.judge(s, im.Dev, other, found)
	case stopped && found.Count > 0:
		s.Emit(event.Different{Range: seen, Name: c.other.Name, Places: *found})
	}
	c.drawing.fill(plainClass)
	if err = c.drawing.end(s, im.Describe().Path+" and "+c.other.Name, err); err == nil {
		s.Emit(event.Same{Range: c.Range, Name: c.other.Name})
	}
	return err
}

// judge says how the two differ.
func (c *comparison) judge(s *session.Session, one, other *blockdev.Device,
	found *verify.Diff,
) error {
	lengths := event.Lengths{
		Name: c.other.Name, Here: one.Size(),
		There: other.Size(),
	}
	lengths.Zero = found.End() <= min(lengths.Here, lengths.There)
	// Of several shards, those tell that have something of the longer image.
	uneven := !c.ranged && lengths.Here != lengths.There &&
		c.End() > min(lengths.Here, lengths.There)
	if uneven && c.strict && found.Count == 0 {
		return event.Fail(event.OtherLength{Lengths: lengths})
	}
	if uneven {
		s.Emit(lengths)
	}
	if found.Count > 0 {
		return event.Fail(event.Different{
			Range: c.Range, Name: c.other.Name, Places: *found,
		})
	}
	return nil
}

// beside is the image that is open under a name or, if none is, another one, which free closes.
func beside(
	ctx context.Context, s *session.Session, o session.Opening,
) (dev *blockdev.Device, free func() error, err error) {
	if im := s.Named(o.Name); im != nil {
		return im.Dev, func() error { return nil }, nil
	}
	if dev, err = s.OpenBeside(ctx, o); err != nil {
		return nil, nil, err
	}
	return dev, func() error { return s.CloseBeside(dev) }, nil
}

// compare notes where the range differs between two devices.
func (c scope) compare(
	ctx context.Context, s *session.Session, one, other *blockdev.Device, found *verify.Diff,
) error {
	const op = "compare"
	add, end := s.Track(op, c.Len)
	defer end()
	var done int64
	err := s.Do(ctx, func(ctx context.Context) (err error) {
		done, err = stream.Compare(ctx, one, other, c.Off, c.Len,
			func(here, there stream.Piece) error {
				if here.Data != nil || there.Data != nil {
					found.Compare(here.Data, there.Data, here.Off)
				}
				add(here.Len)
				return nil
			})
		return err
	})
	return stopped(ctx, op, c.Range, done, err)
}
