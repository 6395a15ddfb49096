package commands

import (
	"context"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var sourceCommand = session.Command{
	Name:  "source",
	Group: session.GroupShell,
	Args:  "file",
	Short: "runs the commands of a file",
	Long: ` Example:
 source check.blk      stops at the first command that fails

 It has the variables that were set before, and leaves those that it sets. What
 lines may say besides commands tells 'help scripts'.
`,
	New: func(f *session.Flags) session.Run {
		var name string
		f.Word("file", args.File, word(&name))
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			if s.Source == nil {
				return event.Conflictf("scripts cannot be read here")
			}
			return s.Within(func() error { return s.Source(ctx, name) })
		}
	},
}
