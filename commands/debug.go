package commands

import (
	"context"
	"errors"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// breakpoint is what a command of this file does: to the layer that can hold requests, with its
// words.
type breakpoint struct {
	action     string // as failures name it
	event, tag string
	do         func(ctx context.Context, s *session.Session, b driver.Breakpointer, p *breakpoint) error
}

func (p *breakpoint) run(ctx context.Context, s *session.Session, im *session.Image) error {
	holder, ok := driver.Find[driver.Breakpointer](im.Dev.Top())
	err := error(blockdev.ErrNotSupported)
	if ok {
		err = p.do(ctx, s, holder, p)
	}
	if err == nil {
		return nil
	}
	failed := event.BreakFailed{Action: p.action, Tag: p.tag, Event: p.event, Err: err}
	if errors.Is(err, syscall.ENOENT) && p.event != "" {
		failed.Near = args.Near(p.event, eventNames())
	}
	return event.Fail(failed)
}

func (p *breakpoint) tagOperand(f *session.Flags) {
	f.Word("tag", args.Text("TAG"), word(&p.tag))
}

func eventNames() []string {
	var names []string
	for _, e := range driver.Events() {
		names = append(names, string(e))
	}
	return names
}

var breakCommand = session.Command{
	Name: "break", Needs: session.File,
	Group: session.GroupFaults,
	Args:  "event tag",
	Short: "sets a breakpoint on event and tags the stopped request as tag",
	Long: ` Example:
 break write_aio A     the next request that comes to write data stops there
 aio_write 0 64k
 wait_break A          it stands
 resume A              and goes on

 Needs a blkdebug layer, as in: open blkdebug::disk.qcow2
`,
	New: func(f *session.Flags) session.Run {
		p := &breakpoint{
			action: "set",
			do: func(_ context.Context, _ *session.Session, b driver.Breakpointer, p *breakpoint) error {
				return b.Break(driver.EventName(p.event), p.tag)
			},
		}
		f.Word("event", args.Enum("EVENT", eventNames), word(&p.event))
		p.tagOperand(f)
		return p.run
	},
}

var removeBreak = session.Command{
	Name: "remove_break", Needs: session.File,
	Group: session.GroupFaults,
	Args:  "tag",
	Short: "remove a breakpoint by tag",
	Long: ` Example:
 remove_break A        nothing stops at A from now on; what stands goes on
`,
	New: func(f *session.Flags) session.Run {
		p := &breakpoint{
			action: "remove",
			do: func(_ context.Context, _ *session.Session, b driver.Breakpointer, p *breakpoint) error {
				return b.RemoveBreak(p.tag)
			},
		}
		p.tagOperand(f)
		return p.run
	},
}

var resume = session.Command{
	Name: "resume", Needs: session.File,
	Group: session.GroupFaults,
	Args:  "tag",
	Short: "resumes the request tagged as tag",
	Long: ` Example:
 resume A              lets the request go on that stands at A
`,
	New: func(f *session.Flags) session.Run {
		p := &breakpoint{
			action: "resume",
			do: func(_ context.Context, _ *session.Session, b driver.Breakpointer, p *breakpoint) error {
				return b.Resume(p.tag)
			},
		}
		p.tagOperand(f)
		return p.run
	},
}

var waitBreak = session.Command{
	Name: "wait_break", Needs: session.File,
	Group: session.GroupFaults,
	Args:  "tag",
	Short: "waits for the suspension of a request",
	Long: ` Example:
 wait_break A          returns when a request stands at A; fails if none comes
`,
	New: func(f *session.Flags) session.Run {
		p := &breakpoint{
			action: "wait",
			do: func(ctx context.Context, s *session.Session, b driver.Breakpointer, p *breakpoint) error {
				return s.Do(ctx, func(ctx context.Context) error { return b.WaitSuspended(ctx, p.tag) })
			},
		}
		p.tagOperand(f)
		return p.run
	},
}
