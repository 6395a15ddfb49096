package dialect

import (
	"errors"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// The exit statuses of the native dialect. Of several failures the highest counts.
const (
	statusData   = 1 // the data is not as expected
	statusUsage  = 2
	statusOpen   = 3 // an image cannot be opened
	statusLocked = 4 // or is locked or in use
	statusIO     = 5

	statusInterrupted = 130
	statusUnread      = 141 // nobody reads standard output any more
)

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
		if status := statuses[failure.Event.Kind()]; status != nil {
			return status(failure.Unwrap())
		}
		return statusIO
	}
	return reportStatus(err)
}

// outputStatus tells a reader that has seen enough from output that is lost.
func outputStatus(err error) int {
	if errors.Is(err, syscall.EPIPE) {
		return statusUnread
	}
	return statusIO
}

// statuses is the exit status of each kind of event that a command may fail with, by the error that the event tells of.
var statuses = map[string]func(cause error) int{
	event.Checked{}.Kind():         always(statusData),
	event.Damaged{}.Kind():         always(statusData),
	event.Different{}.Kind():       always(statusData),
	event.Mismatch{}.Kind():        always(statusData),
	event.NotFound{}.Kind():        always(statusData),
	event.NothingVerified{}.Kind(): always(statusData),
	event.NotZero{}.Kind():         always(statusData),
	event.OtherLength{}.Kind():     always(statusData),
	event.Unexpected{}.Kind():      always(statusData),

	event.BadCount{}.Kind():       always(statusUsage),
	event.BadNumber{}.Kind():      always(statusUsage),
	event.BadValue{}.Kind():       always(statusUsage),
	event.Conflict{}.Kind():       always(statusUsage),
	event.FileOpen{}.Kind():       always(statusUsage),
	event.HelpUnknown{}.Kind():    always(statusUsage),
	event.NoFile{}.Kind():         always(statusUsage),
	event.NoImage{}.Kind():        always(statusUsage),
	event.NotConfirmed{}.Kind():   always(statusUsage),
	event.ScriptFailed{}.Kind():   always(statusUsage),
	event.TooLong{}.Kind():        always(statusUsage),
	event.Unaligned{}.Kind():      always(statusUsage),
	event.UnknownCommand{}.Kind(): always(statusUsage),
	event.Usage{}.Kind():          always(statusUsage),
	event.VecTooLong{}.Kind():     always(statusUsage),

	event.Abandoned{}.Kind():   always(statusIO),
	event.BreakFailed{}.Kind(): always(statusIO),
	event.CloseFailed{}.Kind(): always(statusIO),

	event.Failed{}.Kind():      requestStatus,
	event.FileError{}.Kind():   fileStatus,
	event.Interrupted{}.Kind(): always(statusInterrupted),
	event.OpenFailed{}.Kind():  openStatus,
	event.Report{}.Kind():      reportStatus,
}

func always(status int) func(error) int { return func(error) int { return status } }

// requestStatus tells requests that were refused from those that failed.
func requestStatus(err error) int {
	if errors.As(err, new(*blockdev.AlignError)) {
		return statusUsage
	}
	return statusIO
}

func openStatus(err error) int {
	if locked(err) {
		return statusLocked
	}
	return statusOpen
}

// reportStatus tells failures apart that belong to no request.
func reportStatus(err error) int {
	switch {
	case errors.Is(err, blockdev.ErrReadOnly), !errors.As(err, new(syscall.Errno)): // refused without asking the system
		return statusUsage
	case locked(err):
		return statusLocked
	}
	return statusIO
}

// fileStatus is the status of a file beside the images that could not be read or written. What was refused is the caller's to change.
func fileStatus(err error) int {
	switch {
	case locked(err):
		return statusLocked
	case errors.As(err, new(*session.RefusedError)):
		return statusUsage
	}
	return statusIO
}

// locked says whether others stand in the way.
func locked(err error) bool { return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EBUSY) }
