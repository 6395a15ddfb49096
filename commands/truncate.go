package commands

import (
	"context"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var truncate = session.Command{
	Name: "truncate", Alias: "t",
	Group: session.GroupData,
	Needs: session.File | session.Write | session.Resize,
	Args:  "[--shrink] [-m prealloc_mode] off",
	Short: "truncates the current file at the given offset",
	Long: ` Example:
 truncate 2G           makes it 2 GiB long; what is added reads as zeroes
 truncate -m full 2G   writes those zeroes as well
 truncate --shrink 1G  what lies behind the first GiB is lost

 Nothing is cut off without --shrink. resize takes +size and -size too.
`,
	New: func(f *session.Flags) session.Run {
		var size int64
		var mode blockdev.Prealloc
		var shrink, exact bool
		shrinkFlag(f, &shrink)
		preallocationFlag(f, &mode)
		f.Operand(&size, "off")
		f.Check("shrink", func() error {
			exact = true
			return mayShrink("truncate", f.Image().Dev.Size(), size, shrink)
		})
		f.Offer("writable", func() error {
			if f.Image().Dev.ReadOnly() {
				return event.FailOp("truncate", syscall.EACCES)
			}
			return nil
		})
		f.Offer("grow-only", func() error {
			if d := f.Image().Dev; d.Info().Cluster > 0 && size < d.Size() {
				return event.FailOp("truncate", &driver.ShrinkError{Format: d.Info().Driver})
			}
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if exact {
				return changeLength(ctx, s, im, "truncate", size, mode)
			}
			return s.Request(ctx, "truncate", func(ctx context.Context) error {
				return im.Dev.Truncate(ctx, size, mode)
			})
		}
	},
}

// preallocationFlag declares what becomes of space that an image gets.
func preallocationFlag(f *session.Flags, mode *blockdev.Prealloc) {
	const help = "what to do with space that is added"
	f.Flag('m', "preallocation", args.Enum("MODE", driver.Preallocs), help,
		func(word string) error {
			var ok bool
			if *mode, ok = driver.ParsePrealloc(word); !ok {
				return event.FailReport(driver.Refuse("Invalid preallocation mode '%s'", word))
			}
			return nil
		})
}

var length = session.Command{
	Name: "length", Alias: "l", Needs: session.File, Keyless: true,
	Group:     session.GroupLook,
	Short:     "gets the length of the current file",
	Elsewhere: []string{"size"},
	Long: ` Example:
 length                shows how long the image is for its guest
`,
	New: func(*session.Flags) session.Run {
		return func(_ context.Context, s *session.Session, im *session.Image) error {
			if err := im.Dev.Usable(); err != nil {
				return event.FailOp("length", err)
			}
			size := im.Dev.Size()
			s.Emit(event.Length{Bytes: size})
			return nil
		}
	},
}
