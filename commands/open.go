package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var open = session.Command{
	Name: "open", Alias: "o",
	Group: session.GroupImages,
	Args:  "[-rwsCnkU] [-a name] [-f format] [-t cache] [-d discard] [-i aio] [-o options] [path]",
	Short: "open the file specified by path",
	Long: ` Example:
 open -r disk.img                   opens a file for reading
 open -o driver=raw,offset=1M disk  leaves out its first MiB
`,
	New: func(f *session.Flags) session.Run {
		o := session.Opening{
			Options: &blockdev.Options{}, Cache: session.Cache{WriteThrough: true},
			Unnamed: true,
		}
		var leftover bool
		f.Bool(&o.Snapshot, 's', "overlay", "writes go to a temporary overlay")
		f.Flag(0, "snapshot", args.Text("NAME"),
			"open a snapshot inside the image, by its id or name, to be read",
			func(word string) error {
				if word == "" {
					return event.BadValuef("--snapshot needs the id or name of a snapshot")
				}
				o.LoadSnapshot = word
				return nil
			})
		f.Switch('n', "nocache", "bypass the page cache, as -t none", func() error {
			o.Cache.Direct, o.Cache.WriteThrough = true, false
			return nil
		})
		f.Bool(&o.CopyOnRead, 'C', "copy-on-read",
			"copy what is read from a backing file into the image")
		f.Bool(&o.ReadOnly, 'r', "read-only", "open without permission to write")
		f.Flag('o', "options", args.Text("OPTIONS"),
			"key=value,... for the image and, below file., for what it lies in",
			func(word string) error {
				if f.ImageOpts() {
					return event.Conflictf("--image-opts and 'open -o' are mutually exclusive")
				}
				return f.Options(o.Options, word)
			})
		f.Switch('k', "native-aio", "as -i native", func() error {
			o.AIO = "native"
			return nil
		})
		f.Flag('i', "aio", args.Enum("MODE", session.AIOModes), "how requests are made",
			session.Read(&o.AIO, session.ParseAIO))
		f.Flag('t', "cache", args.Enum("MODE", session.CacheModes), "cache mode",
			session.Read(&o.Cache, session.ParseCache))
		f.Flag('d', "discard", args.Enum("MODE", session.DiscardModes), "discard mode",
			func(word string) error {
				unmap, err := session.ParseDiscard(word)
				o.Unmap = &unmap
				return err
			})
		f.Bool(&o.ForceShare, 'U', "force-share", "share the image with programs that write it")
		f.Text(&o.Format, 'f', "format", args.Format,
			"format of the image, which is guessed otherwise")
		f.Text(&o.As, 'a', "as", args.Text("NAME"),
			"open it beside other images, under this name")
		f.Bool(&o.Write, 'w', "write", "write to block devices, which are only read otherwise")
		f.Bool(&o.InUse, 0, "in-use", "write to what others use as well, such as a mounted device")
		f.Bool(&o.BackingDevice, 0, "allow-backing-device",
			"let the image name a device as what it stands on, to be read")
		f.Bool(&o.Strict, 0, "strict", "refuse writes that are not made of whole blocks")
		f.Text(&o.Undo, 0, "undo", args.File,
			"note there what the image held before it is changed")
		f.Bool(&o.Parts, 0, "rmw", "take such writes, with -n too")
		f.Bool(&leftover, 'g', "", "accepted for old scripts")
		f.Offer("g-is-none", func() error {
			if leftover {
				return session.Missing()
			}
			return nil
		})
		f.OptWord("path", args.File, func(word string) error {
			if f.ImageOpts() {
				return f.Options(o.Options, word)
			}
			o.Name, o.Unnamed = word, false
			return nil
		})
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			o.ReadOnly = o.ReadOnly || o.LoadSnapshot != "" && !o.Snapshot
			return s.OpenCommand(ctx, o)
		}
	},
}

var closeCommand = session.Command{
	Name: "close", Alias: "c", Needs: session.File, Keyless: true,
	Group: session.GroupImages,
	Args:  "[name]",
	Short: "close the current open file",
	Long: ` Example:
 close                 waits for requests in the background, and closes
 close old.img         closes another one
`,
	New: func(f *session.Flags) session.Run {
		var name string
		f.OptWord("name", args.Image, word(&name))
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if name != "" {
				var err error
				if im, err = named(s, name); err != nil {
					return err
				}
			}
			closed := event.Closed{Image: im.Describe()}
			if err := s.Close(ctx, im); err != nil {
				return err
			}
			s.Emit(closed)
			return nil
		}
	},
}

var reopen = session.Command{
	Name: "reopen", Needs: session.File,
	Group: session.GroupImages,
	Args:  "[(-r|-w)] [-c cache] [-o options]",
	Short: "reopens an image with new options",
	Long: ` Example:
 reopen -w             allows writing to an image that was opened read-only
 reopen -c none        bypasses the page cache from now on
`,
	New: func(f *session.Flags) session.Run {
		r := session.Reopening{Options: &blockdev.Options{}}
		access := func(readOnly bool) func() error {
			return func() error {
				if r.ReadOnly != nil {
					return event.FailReport(driver.Refuse("Only one -r/-w option may be given"))
				}
				r.ReadOnly = &readOnly
				return nil
			}
		}
		f.Flag('c', "cache", args.Enum("MODE", session.CacheModes), "cache mode",
			func(word string) error {
				c, err := session.ParseCache(word)
				r.CacheMode = &c
				return err
			})
		f.KeyValues(r.Options, 'o', "options",
			"key=value,... for the image and, below file., for what it lies in")
		f.Switch('r', "read-only", "without permission to write", access(true))
		f.Switch('w', "read-write", "with permission to write", access(false))
		f.Bool(&r.InUse, 0, "in-use", "write to what others use as well, such as a mounted device")
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if err := s.Reopen(ctx, im, r); err != nil {
				return err
			}
			s.Emit(event.Reopened{Image: im.Describe()})
			return nil
		}
	},
}
