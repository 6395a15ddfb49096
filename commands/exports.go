package commands

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var exports = session.Command{
	Name:  "exports",
	Group: session.GroupServers, Paged: true,
	Args:  "server",
	Short: "lists the exports of an NBD server",
	Long: ` Examples:
 exports nbd://host
 exports nbd+unix:///?socket=disk.sock
 exports '[ nbdkit memory 1G ]'
`,
	New: func(f *session.Flags) session.Run {
		var name string
		f.Word("server", args.Text("URI"), word(&name))
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			s.Ready() // a server that was started is to end
			cfg, leave, err := nbd.Reach(name)
			var list []nbd.Listing
			if err == nil {
				err = s.Do(ctx, func(ctx context.Context) (err error) {
					list, err = nbd.List(ctx, cfg)
					return err
				})
				err = leave(ctx, err)
			}
			if err != nil {
				return event.Fail(event.OpenFailed{Name: name, Err: err})
			}
			for _, e := range list {
				s.Emit(event.Export{
					Name: e.Name, Description: e.Description, Size: e.Size, Flags: e.Flags.String(),
					Minimum: e.Blocks.Minimum, Preferred: e.Blocks.Preferred,
					Maximum: e.Blocks.Maximum, Contexts: e.Contexts,
				})
			}
			return nil
		}
	},
}

// asRefusal keeps the words of an error that has a number, too.
func asRefusal(err error) error {
	var refused *driver.Refusal
	if errors.As(err, &refused) {
		return err
	}
	return &driver.Refusal{Text: err.Error(), Err: err}
}
