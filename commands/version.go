package commands

import (
	"context"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

var version = session.Command{
	Name:  "version",
	Group: session.GroupShell,
	Args:  "[--json]",
	Short: "shows which program this is",
	Long: ` Example:
 version --json        for programs
`,
	New: func(f *session.Flags) session.Run {
		return tellOf(f, func(s *session.Session) event.Event { return s.About() })
	},
}

var capabilities = session.Command{
	Name:  "capabilities",
	Group: session.GroupShell, Paged: true,
	Args:  "[--json]",
	Short: "lists what this program can do",
	Long: ` Example:
 capabilities --json   commands with flags, drivers, dialects and patterns
`,
	New: func(f *session.Flags) session.Run {
		return tellOf(f, func(s *session.Session) event.Event {
			able := event.Capabilities{Dialects: s.Dialects, Patterns: verify.PatternForms()}
			for _, row := range s.Table.Rows() {
				flags := session.Spellings(row.Options())
				able.Commands = append(able.Commands,
					event.CommandInfo{Name: row.Name, Alias: row.Alias, Flags: flags})
			}
			for _, d := range s.Drivers {
				able.Drivers = append(able.Drivers,
					event.DriverInfo{Name: d.Name, Kind: d.Kind.String(), Creates: d.Create != nil})
			}
			return able
		})
	},
}

// tellOf is a command that says one thing, as JSON if that is asked for.
func tellOf(f *session.Flags, what func(s *session.Session) event.Event) session.Run {
	var asJSON bool
	f.Bool(&asJSON, 0, "json", "as one object, whatever the other output is")
	return func(_ context.Context, s *session.Session, _ *session.Image) error {
		e := what(s)
		if asJSON {
			e = event.AsJSON{Event: e}
		}
		s.Emit(e)
		return nil
	}
}
