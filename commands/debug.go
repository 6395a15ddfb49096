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

// breakpoint is what a command of this file is about.
type breakpoint struct {
	action     string // as failures name it
	event, tag string
}

// onBreakpoint is what to do to the layer that can hold requests.
type onBreakpoint func(ctx context.Context, s *session.Session, b driver.Breakpointer) error

func (p *breakpoint) run(do onBreakpoint) session.Run {
	return func(ctx context.Context, s *session.Session, im *session.Image) error {
		holder, ok := driver.Find[driver.Breakpointer](im.Dev.Top())
		err := error(blockdev.ErrNotSupported)
		if ok {
			err = do(ctx, s, holder)
		}
		if err == nil {
			return nil
		}
		failed := event.BreakFailed{Action: p.action, Tag: p.tag, Event: p.event, Err: err}
		if errors.Is(err, syscall.ENOENT) && p.event != "" {
			failed.Near = args.Near(p.event, driver.EventNames())
		}
		return event.Fail(failed)
	}
}

func (p *breakpoint) tagOperand(f *session.Flags) {
	f.Word("tag", args.Text("TAG"), word(&p.tag))
}

// byTag declares and runs a command that does something at once to what a tag names.
func byTag(
	f *session.Flags, action string, do func(b driver.Breakpointer, tag string) error,
) session.Run {
	p := &breakpoint{action: action}
	p.tagOperand(f)
	return p.run(func(_ context.Context, _ *session.Session, b driver.Breakpointer) error {
		return do(b, p.tag)
	})
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
		p := &breakpoint{action: "set"}
		f.Word("event", args.Enum("EVENT", driver.EventNames), word(&p.event))
		p.tagOperand(f)
		return p.run(func(_ context.Context, _ *session.Session, b driver.Breakpointer) error {
			return b.Break(driver.EventNamed(p.event), p.tag)
		})
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
		return byTag(f, "remove", driver.Breakpointer.RemoveBreak)
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
		return byTag(f, "resume", driver.Breakpointer.Resume)
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
		p := &breakpoint{action: "wait"}
		p.tagOperand(f)
		return p.run(func(ctx context.Context, s *session.Session, b driver.Breakpointer) error {
			return s.Do(ctx, func(ctx context.Context) error { return b.WaitSuspended(ctx, p.tag) })
		})
	},
}
