package commands

import (
	"context"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var sourceCommand = session.Command{
	Name: "source", Min: 1, Max: 1,
	Group: session.GroupShell,
	Args:  "file",
	Short: "runs the commands of a file",
	Long: ` Example:
 source check.blk      stops at the first command that fails

 Lines that begin with # are comments. Before a command, ! says that it must
 fail and ? that it may.
`,
	New: func(f *session.Flags) session.Run {
		var name string
		f.Word("file", args.File, word(&name))
		return func(_ context.Context, s *session.Session, _ *session.Image) error {
			if s.Source == nil {
				return event.Fail(event.Conflict{Message: "scripts cannot be read here"})
			}
			if err := s.Source(name); err != nil {
				return event.Fail(event.ScriptFailed{Name: name, Err: bare(err)})
			}
			return nil
		}
	},
}
