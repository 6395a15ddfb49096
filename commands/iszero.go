package commands

import (
	"context"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/verify"
)

var isZero = session.Command{
	Name: "iszero", Needs: session.File, Reports: true,
	Group: session.GroupLook, Paged: true,
	Args:  "[--all] [--first] [--draw] [--svg file] [--shard k/n] [off [len]]",
	Short: "says whether a range holds nothing but zeroes, and where it does not",
	Long: ` Example:
 iszero                looks at the whole image
 iszero 1M..2M         looks at its second MiB
 iszero --first 1G     stops at the first byte behind 1 GiB that is not zero

 Holes that the image knows of are not read, so that a sparse terabyte takes no
 time. Whatever is not zero makes it fail. When it is stopped it says what it
 has found, and how to go on. With --shard several runs share the work, see
 'help shards'.
`,
	New: func(f *session.Flags) session.Run {
		var c sharded
		var all, first bool
		var d drawing
		f.Bool(&all, 0, "all", "list all ranges that are not zero, not only the first ones")
		f.Bool(&first, 0, "first", "stop at the first byte that is not zero")
		var resume resumption
		resume.declare(f)
		d.declare(f, "where it is not zero")
		c.operands(f, "all", "first", "draw", "svg", "force")
		f.Conflict("all-first", "--all and --first do not go together",
			func() bool { return all && first })
		f.Conflict("draw-first", "--first and --draw or --svg do not go together",
			func() bool { return first && d.wanted() })
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if !c.take(s, im, "iszero") {
				return nil
			}
			if err := resume.skip("iszero", &c.scope); err != nil {
				return err
			}
			classes := twoClasses("not zero", "zero")
			if err := d.begin(ctx, s, c.Range, classes); err != nil {
				return err
			}
			found := verify.NewDiff(limitOf(all))
			found.Note = d.note(markedClass)
			seen, stopped, err := resume.told(c.zero(ctx, s, im, "iszero", false, found, first))
			if stopped && found.Count > 0 {
				s.Emit(event.NotZero{Op: "iszero", Range: seen, Places: *found})
			}
			d.fill(plainClass)
			if err = d.end(s, "zeroes of "+im.Describe().Path, err); err == nil {
				s.Emit(event.Zero{Range: c.Range})
			}
			return err
		}
	},
}

// zero looks whether all of the range is zero, and fails where it is not. first ends it at the
// first such place, if not sooner than the part of the range that is looked at.
func (c scope) zero(
	ctx context.Context, s *session.Session, im *session.Image, op string, whole bool,
	found *verify.Diff, first bool,
) error {
	err := gather(ctx, s, im, c, op, 0, whole,
		func(_ context.Context, part **verify.Diff, p stream.Piece) error {
			if *part == nil {
				*part = found.Part()
			}
			if !first || (*part).Count == 0 {
				(*part).Compare(nil, p.Data, p.Off)
			}
			return nil
		}, func(part **verify.Diff) error {
			if *part != nil {
				found.Join(*part)
			}
			if first && found.Count > 0 {
				return errEnough
			}
			return nil
		})
	if err != nil || found.Count == 0 {
		return err
	}
	return event.Fail(event.NotZero{Op: op, Range: c.Range, Places: *found})
}

// proveZero reads back what a command made zero. It believes nothing that the image says of itself.
// As is the word for what is there.
func (c scope) proveZero(ctx context.Context, s *session.Session, im *session.Image, op, as string,
	all bool,
) error {
	if err := settled(ctx, s, im, op); err != nil {
		return err
	}
	if err := c.zero(ctx, s, im, op, true, verify.NewDiff(limitOf(all)), false); err != nil {
		return err
	}
	answer := event.Alloc{Off: c.Off, Count: c.Len}
	err := s.Request(ctx, op,
		func(ctx context.Context) error { return countAllocated(ctx, im.Dev, &answer) })
	if err == nil {
		s.Emit(event.Verified{
			Range: c.Range, As: as, Stored: answer.Data - answer.Untold,
			Untold: answer.Untold,
		})
	}
	return err
}

// settled puts what was written where it is kept, so that what is read back comes from there as far
// as that can be had.
func settled(ctx context.Context, s *session.Session, im *session.Image, op string) error {
	return s.Request(ctx, op, im.Dev.Flush)
}
