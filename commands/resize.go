package commands

import (
	"context"
	"math"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
)

var resize = session.Command{
	Name: "resize", Needs: session.File | session.Write | session.Resize,
	Group: session.GroupImages,
	Args:  "[--shrink] [-m prealloc_mode] [+|-]size",
	Short: "makes the image longer or shorter",
	Long: ` Examples:
 resize 20G            20 GiB long; what is added reads as zeroes
 resize -m falloc +1G  1 GiB longer, with its space taken
 resize --shrink 1G    what lies behind the first GiB is lost
 resize --shrink -- -4k

 Nothing is cut off without --shrink.
`,
	New: func(f *session.Flags) session.Run {
		var by byte // '+' or '-' before the size
		var size int64
		var shrink bool
		var mode blockdev.Prealloc
		shrinkFlag(f, &shrink)
		preallocationFlag(f, &mode)
		f.Word("size", args.Value{Name: "size", Type: args.TypeSize},
			func(word string) (err error) {
				if rest := strings.TrimLeft(word, "+-"); len(word)-len(rest) == 1 {
					by, word = word[0], rest
				}
				size, err = f.Number("size", word)
				return err
			})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			old := im.Dev.Size()
			size, err := newLength(old, by, size)
			if err != nil {
				return err
			}
			if err := mayShrink("resize", old, size, shrink); err != nil {
				return err
			}
			return changeLength(ctx, s, im, "resize", size, mode)
		}
	},
}

// shrinkFlag declares the word without which nothing is cut off.
func shrinkFlag(f *session.Flags, shrink *bool) {
	f.Bool(shrink, 0, "shrink", "lose what lies behind the new end")
}

// mayShrink refuses a length at which data would be lost, unless shrink allows that.
func mayShrink(op string, old, size int64, shrink bool) error {
	if size >= old || size < 0 || shrink {
		return nil
	}
	return event.Conflictf("%s: what lies behind byte %d of %d would be lost; --shrink cuts it off", op,
		size, old)
}

// changeLength gives an image another length, and tells of it when that is durable.
func changeLength(ctx context.Context, s *session.Session, im *session.Image, op string, size int64,
	mode blockdev.Prealloc,
) error {
	old := im.Dev.Size()
	err := s.Request(ctx, op, func(ctx context.Context) error {
		if err := im.Dev.Truncate(ctx, size, mode); err != nil {
			return err
		}
		return im.Dev.Flush(ctx)
	})
	if err != nil {
		return err
	}
	now := im.Dev.Size()
	if now != size { // a device stays as it is
		return event.Conflictf("%s: the image is %s long, and cannot be made %d",
			op, units.Bytes(now), size)
	}
	s.Emit(event.Resized{From: old, To: now})
	return nil
}

// newLength is a length in whole sectors: size itself, or old with it added or taken away.
func newLength(old int64, by byte, size int64) (int64, error) {
	switch {
	case by == '+' && size <= math.MaxInt64-old-blockdev.SectorSize:
		size += old
	case by == '-' && size > old:
		return 0, event.Conflictf("resize: the image is only %s long", units.Bytes(old))
	case by == '-':
		size = old - size
	case by == '+' || size < 0 || size > math.MaxInt64-blockdev.SectorSize:
		return 0, event.FailOp("resize", syscall.EFBIG)
	}
	return (size + blockdev.SectorSize - 1) &^ (blockdev.SectorSize - 1), nil
}
