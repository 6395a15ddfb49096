package event

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/blksh/blksh/blockdev"
)

// Class is what sort of failure an event tells of. The exit status follows from it.
type Class uint8

// The classes.
const (
	ClassData Class = iota + 1 // the data is not as expected
	// the command was called in a wrong way, or asked for what is refused
	ClassUsage
	ClassOpen        // an image cannot be opened
	ClassLocked      // something is locked or in use
	ClassIO          // the system failed
	ClassInterrupted // a person stopped it
)

// Reason is an event that says why a command failed.
type Reason interface {
	Event
	Class() Class
}

// usageFailure and dataFailure are embedded in the events of those classes.
type (
	usageFailure struct{}
	dataFailure  struct{}
)

// Class of the failure.
func (usageFailure) Class() Class { return ClassUsage }

// Class of the failure.
func (dataFailure) Class() Class { return ClassData }

// Failure is a Reason as an error, so that a command returns what it has to say.
type Failure struct{ Event Reason }

func (f *Failure) Error() string { return f.Event.Kind().Name }

// Unwrap is the error that the event tells of, nil if it tells of none.
func (f *Failure) Unwrap() error {
	if c, ok := f.Event.(interface{ Cause() error }); ok {
		return c.Cause()
	}
	return nil
}

// Fail makes an event the outcome of a command.
func Fail(r Reason) error { return &Failure{r} }

// BadValuef is the outcome of a command that was given a value that makes no sense.
func BadValuef(format string, a ...any) error {
	return Fail(BadValue{Message: fmt.Sprintf(format, a...)})
}

// Conflictf is the outcome of a command whose words do not go together.
func Conflictf(format string, a ...any) error {
	return Fail(Conflict{Message: fmt.Sprintf(format, a...)})
}

// FailOp is the outcome of a command whose request op ended with err: nil if that is.
func FailOp(op string, err error) error {
	if err == nil {
		return nil
	}
	return Fail(Failed{Op: op, Err: err})
}

// FailFile is the outcome of a command that used a file that is no image: nil if err is.
func FailFile(name string, err error) error {
	if err == nil {
		return nil
	}
	return Fail(FileError{Name: name, Err: err})
}

// FailReport is the outcome of a command that the block layer refused something that is no request.
func FailReport(err error) error { return Fail(Report{err}) }

// IsFailure says whether an error is a Failure, or wraps one.
func IsFailure(err error) bool { return errors.As(err, new(*Failure)) }

// ClassOf is the class of an error that belongs to no request and to no file. What was refused
// without asking the system is the caller's to change.
func ClassOf(err error) Class {
	switch {
	case errors.Is(err, blockdev.ErrReadOnly), misnamed(err), !errors.As(err, new(syscall.Errno)):
		return ClassUsage
	case locked(err):
		return ClassLocked
	}
	return ClassIO
}

// classed is an error that knows its class.
type classed interface{ Class() Class }

// misnamed says whether a name is that of nothing, or of what is not for the user to open: it is
// the caller's to change.
func misnamed(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) ||
		errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR)
}

// classOfFile is the class of an error of a file beside the images.
func classOfFile(err error) Class {
	var c classed
	switch {
	case misnamed(err):
		return ClassUsage
	case locked(err):
		return ClassLocked
	case errors.As(err, &c):
		return c.Class()
	case errors.As(err, new(syscall.Errno)), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, io.ErrShortWrite):
		return ClassIO
	}
	return ClassUsage // it can be read, and is not what it was named for
}

// locked says whether others stand in the way.
func locked(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EBUSY)
}
