package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var discard = session.Command{
	Name: "discard", Alias: "d", Needs: session.File | session.Write,
	Group:     session.GroupData,
	Elsewhere: []string{"trim", "unmap", "punch", "erase", "blkdiscard", "fpunch"},
	Args:      "[-Cq] [--verify [--all]] off len",
	Short:     "discards a number of bytes at a specified offset",
	Long: ` Example:
 discard 1M 64k        64 KiB from the second MiB on are of no more use
 discard --verify ..   discards all, and fails unless zeroes can be read

 What is read there afterwards depends on the image; write -zu promises zeroes.
`,
	New: func(f *session.Flags) session.Run {
		t := &transfer{op: "discard", verb: event.Discard}
		var prove, all bool
		t.common(f)
		f.Bool(&prove, 0, "verify",
			"read everything back, and say how much of it still has storage")
		f.Bool(&all, 0, "all", "with --verify: list all ranges that are not zero")
		f.Check("all", func() error { return onlyProven(all, prove) })
		t.extent(f, 0)
		t.limit(f, 0, 0)
		unit := int64(1)
		f.Offer("whole-sectors", func() error {
			unit = blockdev.SectorSize
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			var err error
			if t.streams && t.n > zeroPiece {
				err = t.spreadRequests(ctx, s, im, false, im.Dev.Discard)
			} else {
				err = t.discard(unit).wait(ctx, s, im)
			}
			if err != nil || !prove {
				return err
			}
			return span(t.off, t.n).proveZero(ctx, s, im, t.op, "trimmed", all)
		}
	},
}

// discard makes the request, with offset and length rounded down to a unit in bytes. The report
// tells what was asked for.
func (t *transfer) discard(unit int64) work {
	return t.plain(func(ctx context.Context) error {
		return t.dev.Discard(ctx, t.off-t.off%unit, t.n-t.n%unit)
	})
}

var aioDiscard = session.Command{
	Name: "aio_discard", Needs: session.File | session.Write,
	Group: session.GroupBackground,
	Args:  "[-Cq] off len",
	Short: "asynchronously discards a number of bytes",
	Long: ` Example:
 aio_discard 1M 64k    starts a discard
 aio_flush             waits for it
`,
	New: func(f *session.Flags) session.Run {
		t := &transfer{op: "aio_discard", verb: event.Discarded}
		t.common(f)
		t.extent(f, 0)
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			return t.start(ctx, s, im, 0, func() work { return t.discard(1) })
		}
	},
}
