package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var create = session.Command{
	Name:  "create",
	Group: session.GroupImages,
	Args:  "[-f format] [-o options] [-b backing -F format] file [size]",
	Short: "makes an image file",
	Long: ` Examples:
 create disk.qcow2 10G
 create -b base.img -F raw overlay.qcow2     as long as its backing file
 create -f qcow2 -o cluster_size=2M disk 1T

 The image appears when it is whole; if it cannot be made, what was there stays.
 With --force it takes the place of a file, or the space of a device. Never is
 that an image that is open, here or elsewhere, nor a device that is in use.
`,
	New: func(f *session.Flags) session.Run {
		cfg := blockdev.CreateConfig{Options: &blockdev.Options{}, Size: -1}
		var file string
		formatFlags(f, &cfg, new(string))
		f.Text(&cfg.Backing, 'b', "backing", args.File, "backing file, relative to the image")
		f.Text(&cfg.BackingFormat, 'F', "backing-format", args.Format,
			"format of the backing file")
		f.Bool(&cfg.Force, 0, "force",
			"also over a file that is there, or onto a device; never if that is in use")
		f.Word("file", args.File, word(&file))
		f.OptOperand(&cfg.Size, "size")
		f.Conflict("b-F", backingNeedsFormat, func() bool {
			return (cfg.Backing == "") != (cfg.BackingFormat == "")
		})
		f.Conflict("size-or-b", "a size is needed unless there is a backing file", func() bool {
			return cfg.Size < 0 && cfg.Backing == ""
		})
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			if err := settleFormat(s, "create", file, &cfg); err != nil {
				return err
			}
			size, err := s.MakeImage(ctx, file, cfg)
			if err != nil {
				return createFailed("create", file, err)
			}
			s.Emit(event.Created{Path: file, Format: cfg.Format, Size: size})
			return nil
		}
	},
}

const backingNeedsFormat = "-b needs -F, the format of the backing file: " +
	"guessing it would let its contents choose"

// formatFlags declares what an image is to be that a command makes. given becomes the options as
// they were written.
func formatFlags(f *session.Flags, cfg *blockdev.CreateConfig, given *string) {
	f.Text(&cfg.Format, 'f', "format", args.Format,
		"format of the image; without it what the name ends in, or raw")
	f.Flag('o', "options", args.Text("OPTIONS"), "key=value,... of the format",
		func(word string) error {
			*given += "," + word
			return f.Options(cfg.Options, word)
		})
}

// settleFormat decides the format of the image that op is to make.
func settleFormat(s *session.Session, op, file string, cfg *blockdev.CreateConfig) (err error) {
	if cfg.Format == "" {
		if cfg.Format, err = formatOf(s, file); err != nil {
			return err
		}
	}
	formats := creatable(s)
	if slices.Contains(formats, cfg.Format) {
		return nil
	}
	return event.BadValuef("%s %s: Unknown file format '%s'; there can be %s",
		op, file, cfg.Format, strings.Join(formats, " or "))
}

// createFailed tells what a person can do about apart from what only the system can.
func createFailed(op, file string, err error) error {
	var refused *driver.Refusal
	var option *blockdev.CreateOptionError
	var part *blockdev.PartError
	if errors.As(err, &part) {
		file, err = part.Name, part.Err
	}
	switch {
	case event.IsFailure(err):
		return err
	case op == "copy" && errors.As(err, new(*blockdev.PlaceError)):
		return event.Conflictf("%s %s: %v; -n copies to what is there", op, file, err)
	case errors.As(err, &option):
		return badOption(op+" "+file, option)
	case errors.Is(err, fs.ErrExist) && errors.As(err, &refused):
		return event.Conflictf("%s %v; --force overwrites it", file, refused)
	}
	var device *blockdev.Error
	if errors.As(err, &device) {
		err = device.Err // the image was not opened under a name that anybody knows
	}
	return event.FailReport(fmt.Errorf("%s %s: %w", op, file, err))
}

// badOption refuses an option of an image, what names the command, and says which there are if it
// is none of them.
func badOption(what string, err error) error {
	bad := event.BadValue{Message: fmt.Sprintf("%s: %v", what, err)}
	var choice driver.Choice
	if errors.As(err, &choice) {
		word, from := choice.Choices()
		bad.Near = args.Near(word, from)
		if len(from) > 0 {
			bad.Message += "; there can be " + args.Alternatives(from)
		}
	}
	return event.Fail(bad)
}

// foreign is the format, "" for none, that cannot be made and that a file name with such an end
// means.
func foreign(suffix string) string {
	switch suffix {
	case "vmdk", "vhdx", "vpc", "qed", "qcow", "parallels", "dmg", "cloop", "bochs":
		return suffix
	case "vhd":
		return "vpc"
	case "hdd", "hds":
		return "parallels"
	}
	return ""
}

// formatOf is the format that a file name ends in, raw for an end that means none.
func formatOf(s *session.Session, file string) (string, error) {
	suffix := strings.ToLower(strings.TrimPrefix(filepath.Ext(pathIn(file)), "."))
	formats := creatable(s)
	if slices.Contains(formats, suffix) {
		return suffix, nil
	}
	if format := foreign(suffix); format != "" {
		return "", event.Conflictf("%s is named as a %s image, which cannot be made; -f says which format it is to have: %s",
			file, format, strings.Join(formats, " or "))
	}
	return "raw", nil
}

// pathIn is the path in a name of any form.
func pathIn(name string) string {
	if !strings.HasPrefix(name, "json:") {
		return name
	}
	o, err := blockdev.ParseJSONName(name)
	if err != nil {
		return name // which is refused when it is opened
	}
	return cmp.Or(o.String("filename"), o.String("file.filename"))
}

// creatable lists the formats of images that can be made.
func creatable(s *session.Session) []string {
	var names []string
	for _, d := range s.Drivers {
		if d.Kind == driver.Format && d.Create != nil {
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	return names
}
