package dialect

import (
	"errors"
	"io"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

// native is the shell's own dialect: everything.
func native() Dialect {
	return Dialect{
		Policy: session.Policy{
			Split: args.SplitNative, Numbers: args.Native, Pattern: verify.Parser{ReadFile: args.ReadFile}.Parse,
			MaxRequest:    math.MaxInt64,
			Stream:        true,
			AskPermission: true, Locks: true, OpenUnmaps: true,
			Several: true, Careful: true, Alone: true, WholeBlocks: true, Repairs: true,
			StopAtFailure: true, BackgroundStatus: true,
			Status: nativeStatus,
		},
		Printer: func(out *print.Stdout, errs io.Writer, program string) session.Printer {
			return print.NewNative(out, errs, program)
		},
		Program: programNative,
	}
}

// The exit statuses of the native dialect.
const (
	statusData   = 1 // the data is not as expected
	statusUsage  = 2
	statusOpen   = 3 // an image cannot be opened
	statusLocked = 4 // or is locked or in use
	statusIO     = 5

	statusInterrupted = 130
)

// nativeStatus tells failures apart.
func nativeStatus(err error) int {
	if errors.Is(err, session.ErrInterrupted) {
		return statusInterrupted
	}
	var failure *event.Failure
	if !errors.As(err, &failure) {
		return reportStatus(err)
	}
	switch e := failure.Event.(type) {
	case event.Mismatch, event.NotZero, event.NotFound, event.Different, event.Checked, event.Damaged, event.Unexpected:
		return statusData
	case event.OpenFailed:
		if locked(e.Err) {
			return statusLocked
		}
		return statusOpen
	case event.Failed:
		if errors.As(e.Err, new(*blockdev.AlignError)) {
			return statusUsage
		}
		return statusIO
	case event.BreakFailed:
		return statusIO
	case event.FileError:
		return fileStatus(e.Err)
	case event.Report:
		return reportStatus(e.Err)
	default:
		return statusUsage
	}
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
