package commands

import (
	"context"
	"strconv"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var aioList = session.Command{
	Name:  "aio_list",
	Group: session.GroupBackground,
	Short: "lists the requests in the background",
	Long: ` Example:
 aio_list              number, command and range of each, and since when it is
                       under way

 They are in the order in which they were made, of all images.
`,
	New: func(*session.Flags) session.Run {
		return func(_ context.Context, s *session.Session, _ *session.Image) error {
			for _, q := range s.InFlight() {
				s.Emit(q)
			}
			return nil
		}
	},
}

var aioCancel = session.Command{
	Name:  "aio_cancel",
	Group: session.GroupBackground,
	Args:  "number",
	Short: "gives up a request in the background",
	Long: ` Example:
 aio_cancel 3          the request that aio_list shows as 3

 What waits for others, stands at a breakpoint or has pieces left ends at once;
 what the system has is waited for. A part of it may be done.
`,
	New: func(f *session.Flags) session.Run {
		var id int64
		requestNumber(f, &id)
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			return ofRequest(ctx, "aio_cancel", s.Cancel(ctx, id))
		}
	},
}

var aioWait = session.Command{
	Name:  "aio_wait",
	Group: session.GroupBackground,
	Args:  "number",
	Short: "waits for a request in the background",
	Long: ` Example:
 aio_wait 3            until the request that aio_list shows as 3 has ended; the
                       others go on
`,
	New: func(f *session.Flags) session.Run {
		var id int64
		requestNumber(f, &id)
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			return ofRequest(ctx, "aio_wait", s.WaitFor(ctx, id))
		}
	},
}

// ofRequest is the outcome of a command about a request.
func ofRequest(ctx context.Context, op string, err error) error {
	switch {
	case event.IsFailure(err):
		return err
	case err != nil && ctx.Err() != nil:
		return event.Fail(event.Interrupted{Err: context.Cause(ctx)})
	}
	return event.FailOp(op, err)
}

// requestNumber declares the operand that says which request is meant.
func requestNumber(f *session.Flags, id *int64) {
	f.Word("number", args.Text("NUMBER"), func(word string) (err error) {
		if *id, err = strconv.ParseInt(word, 10, 64); err != nil {
			return event.BadValuef("%s: not the number of a request; aio_list shows them", word)
		}
		return nil
	})
}
