package dialect

import (
	"errors"
	"syscall"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// The exit statuses of the native dialect. Of several failures the highest counts, but for
// statusIO, which outweighs all.
const (
	statusData   = 1 // the data is not as expected
	statusUsage  = 2
	statusOpen   = 3 // an image cannot be opened
	statusLocked = 4 // or is locked or in use
	statusIO     = 5

	statusInterrupted = 130
	statusUnread      = 141 // nobody reads standard output any more
)

// statuses is the exit status of each class of failures.
var statuses = [...]int{
	event.ClassData:        statusData,
	event.ClassUsage:       statusUsage,
	event.ClassOpen:        statusOpen,
	event.ClassLocked:      statusLocked,
	event.ClassIO:          statusIO,
	event.ClassInterrupted: statusInterrupted,
}

// nativeStatus tells failures apart.
func nativeStatus(err error) int {
	var output *session.OutputError
	var failure *event.Failure
	switch {
	case errors.As(err, &output):
		return outputStatus(output)
	case errors.Is(err, session.ErrInterrupted):
		return statusInterrupted
	case errors.As(err, &failure):
		return statuses[failure.Event.Class()]
	}
	return statuses[event.ClassOf(err)]
}

// outputStatus tells a reader that has seen enough from output that is lost.
func outputStatus(err error) int {
	if errors.Is(err, syscall.EPIPE) {
		return statusUnread
	}
	return statusIO
}
