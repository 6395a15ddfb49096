package commands

import (
	"cmp"
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var measure = session.Command{
	Name:  "measure",
	Group: session.GroupImages,
	Args:  "[-f format] [-o options] [-bU] [--size size] [source]",
	Short: "says how large the file of a new image would be",
	Long: ` Examples:
 measure -f qcow2 disk.raw       for what disk.raw holds, and if all is written
 measure -f qcow2 -o cluster_size=4k --size 1T
 measure                             the current image as a raw one

 The figures are those of qemu-img measure. Compression makes the file smaller.
`,
	New: func(f *session.Flags) session.Run {
		cfg := blockdev.CreateConfig{Options: &blockdev.Options{}, Size: -1}
		o := session.Opening{ReadOnly: true}
		var sized, overlay bool
		f.Text(&cfg.Format, 'f', "format", args.Format,
			"format of the new image, raw otherwise")
		f.KeyValues(cfg.Options, 'o', "options", "key=value,... of the format")
		f.Bool(&overlay, 'b', "backing", "the new image has a backing file")
		f.Size(&cfg.Size, &sized, 0, "size", "SIZE", "length of the new image, which is empty")
		f.Text(&o.Format, 0, "source-format", args.Format,
			"format of the source, which is guessed otherwise")
		f.Bool(&o.ForceShare, 'U', "force-share", "share the source with programs that write it")
		f.OptWord("source", args.ImageFile, word(&o.Name))
		f.Conflict("size-source", "--size is for an empty image, and has no source", func() bool {
			return sized && o.Name != ""
		})
		f.Check("current", func() error {
			if !sized && o.Name == "" && f.Image() == nil {
				return event.Fail(event.NoFile{})
			}
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			cfg.Format = cmp.Or(cfg.Format, "raw")
			if overlay {
				cfg.Backing, cfg.BackingFormat = "backing", "raw" // its name is not looked at
			}
			var source *blockdev.Device
			free := func() error { return nil }
			if !sized {
				var err error
				if source, free, err = sourceOf(ctx, s, im, o); err != nil {
					return err
				}
			}
			e := event.Measured{Format: cfg.Format}
			err := s.Do(ctx, func(ctx context.Context) (err error) {
				e.Measured, err = s.Measure(ctx, cfg, source)
				return err
			})
			if err = s.Also(measureFailed(err), free()); err == nil {
				s.Emit(e)
			}
			return err
		}
	},
}

// sourceOf is the image that a command looks at: one that is named, or the current one. free closes
// what was opened.
func sourceOf(
	ctx context.Context, s *session.Session, im *session.Image, o session.Opening,
) (dev *blockdev.Device, free func() error, err error) {
	if o.Name == "" {
		return im.Dev, func() error { return nil }, nil
	}
	return beside(ctx, s, o)
}

func measureFailed(err error) error {
	var option *blockdev.CreateOptionError
	switch {
	case errors.As(err, &option):
		return badOption("measure", err)
	case errors.Is(err, blockdev.ErrNotSupported):
		return event.BadValuef("measure: %v", err)
	}
	return event.FailOp("measure", err)
}
