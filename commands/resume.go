package commands

import (
	"errors"
	"strconv"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// resumption is where a command goes on that a person stopped.
type resumption struct {
	from  int64
	again func(from int64) string // the command that does so
}

// declare declares --resume.
func (r *resumption) declare(f *session.Flags) {
	f.Size(&r.from, nil, 0, "resume", "N", "go on where a run was stopped, as it said")
	r.again = func(from int64) string { return f.Again("resume", strconv.FormatInt(from, 10)) }
}

// skip leaves out of the range what was done before.
func (r *resumption) skip(op string, c *scope) error {
	done := max(0, r.from-c.Off)
	if done > c.Len {
		return event.BadValuef("%s: --resume %d lies behind the range, which ends at %d",
			op, r.from, c.End())
	}
	c.Off, c.Len = c.Off+done, c.Len-done
	return nil
}

// told adds to err, if a person stopped the command, what goes on there. Of a command that was
// stopped so is what it had looked at.
func (r *resumption) told(err error) (seen event.Range, stopped bool, _ error) {
	var failure *event.Failure
	if !errors.As(err, &failure) {
		return seen, false, err
	}
	stop, ok := failure.Event.(event.Interrupted)
	if !ok || stop.Op == "" {
		return seen, false, err
	}
	stop.Resume = stop.Off + stop.Done
	stop.Call = r.again(stop.Resume)
	return event.Range{Off: stop.Off, Len: stop.Done}, true, event.Fail(stop)
}
