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
	Name: "compare", Min: 1, Max: -1, Needs: session.File, Reports: true,
	Group: session.GroupLook,
	Args:  "[-f format] [-s] [-U] [--all] [--shard k/n] file [off [len]]",
	Short: "compares the image with another",
	Long: ` Example:
 compare backup.qcow2  whether the two hold the same, and where not
 compare other 0..1M   the first MiB with that of the open image other

 Where one is shorter there is a word on it, and what the longer one has behind
 that end is compared with zeroes; with --strict the length is a difference too.
 What both know to be zero is not read. With --shard several runs share the
 work, see 'help shards'.
`,
	New: func(f *session.Flags) session.Run {
		var c sharded
		o := session.Opening{ReadOnly: true, Options: &blockdev.Options{}}
		var all, ranged, strict bool
		f.Text(&o.Format, nil, 'f', "format", args.Format,
			"format of the other image, which is guessed otherwise")
		f.Bool(&strict, 's', "strict", "images of different lengths differ")
		f.Bool(&o.ForceShare, 'U', "force-share",
			"share the other image with programs that write it")
		f.Bool(&all, 0, "all", "list all ranges that differ, not only the first ones")
		f.Word("file", args.ImageFile, word(&o.Name))
		c.operands(f, "all")
		f.Check("ranged", func(operands int) error {
			ranged = operands > 1
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) (err error) {
			other, free, err := beside(ctx, s, o)
			if err != nil {
				return err
			}
			defer func() {
				if closed := free(); err == nil {
					err = closed
				}
			}()
			if !ranged {
				c.Len = max(im.Dev.Size(), other.Size())
			}
			if !c.take(s, im, "compare", shardBlock) {
				return nil
			}
			found := verify.NewDiff(limitOf(all))
			if err := c.compare(ctx, s, im.Dev, other, found); err != nil {
				return err
			}
			lengths := event.Lengths{
				Name: o.Name, Here: im.Dev.Info().Size,
				There: other.Info().Size,
			}
			lengths.Zero = found.End() <= min(lengths.Here, lengths.There)
			// Of several shards, those tell that have something of the longer image.
			uneven := !ranged && lengths.Here != lengths.There &&
				event.Range(c.scope).End() > min(lengths.Here, lengths.There)
			if uneven && strict && found.Count == 0 {
				return event.Fail(event.OtherLength{Lengths: lengths})
			}
			if uneven {
				s.Emit(lengths)
			}
			if found.Count > 0 {
				return event.Fail(
					event.Different{Range: event.Range(c.scope), Name: o.Name, Places: *found})
			}
			s.Emit(event.Same{Range: event.Range(c.scope), Name: o.Name})
			return nil
		}
	},
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
	return stopped(ctx, op, event.Range(c), done, err)
}
