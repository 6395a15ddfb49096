package commands

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var create = session.Command{
	Name: "create", Min: 1, Max: -1,
	Args:  "[-f format] [-o options] [-b backing -F format] file [size]",
	Short: "makes an image file",
	Long: ` Examples:
 create disk.qcow2 10G
 create -b base.img -F raw overlay.qcow2     as long as its backing file
 create -f qcow2 -o cluster_size=2M disk 1T
`,
	New: func(f *session.Flags) session.Run {
		cfg := blockdev.CreateConfig{Options: &blockdev.Options{}, Size: -1}
		var file string
		var force bool
		f.Text(&cfg.Format, nil, 'f', "format", "FORMAT", "format of the image; without it what the name ends in, or raw")
		f.Flag('o', "options", "OPTIONS", "key=value,... of the format", func(word string) error {
			return f.Options(cfg.Options, word)
		})
		f.Text(&cfg.Backing, nil, 'b', "backing", "FILE", "backing file, relative to the image")
		f.Text(&cfg.BackingFormat, nil, 'F', "backing-format", "FORMAT", "format of the backing file")
		f.Bool(&force, 0, "force", "also over a file that is there")
		f.Word("file", word(&file))
		f.OptOperand(&cfg.Size, "size")
		f.Conflict("b-F", "-b needs -F, the format of the backing file: guessing it would let its contents choose", func() bool {
			return (cfg.Backing == "") != (cfg.BackingFormat == "")
		})
		f.Conflict("size-or-b", "a size is needed unless there is a backing file", func() bool {
			return cfg.Size < 0 && cfg.Backing == ""
		})
		f.Check("over", func(int) error {
			if info, err := os.Stat(file); err == nil && info.Size() > 0 && !force {
				return event.Fail(event.Conflict{Message: file + " is there already; --force makes it anew"})
			}
			return nil
		})
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			cfg.Drivers = s.Drivers
			if cfg.Format == "" {
				cfg.Format = formatOf(s, file)
			}
			err := s.Do(ctx, func(ctx context.Context) error { return blockdev.Create(ctx, file, cfg) })
			if err != nil {
				return event.Fail(event.Report{Err: fmt.Errorf("create %s: %w", file, err)})
			}
			s.Emit(event.Created{Path: file, Format: cfg.Format, Size: cfg.Size})
			return nil
		}
	},
}

// formatOf is the format that a file name ends in, raw for any other end.
func formatOf(s *session.Session, file string) string {
	suffix := strings.TrimPrefix(filepath.Ext(file), ".")
	for _, d := range s.Drivers {
		if d.Name == suffix && d.Kind == blockdev.Format && d.Create != nil {
			return d.Name
		}
	}
	return "raw"
}
