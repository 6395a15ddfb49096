package driver

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// ErrNotSupported says that a node does not know the operation. errors.Is finds it equal to
// EOPNOTSUPP.
var ErrNotSupported error = syscall.ENOTSUP

// ErrReadOnly is the answer of a Device without permission to write.
const ErrReadOnly = constantError("block node is read-only")

// constantError is an error that other packages can give a name of theirs without work at start.
type constantError string

func (e constantError) Error() string { return string(e) }

// RangeError says that a request lies outside the device, which is Size bytes long. As in QEMU that
// is an I/O error.
type RangeError struct{ Size int64 }

func (e *RangeError) Error() string {
	return fmt.Sprintf("outside the device of %d bytes: %v", e.Size, syscall.EIO)
}

// Unwrap is EIO.
func (*RangeError) Unwrap() error { return syscall.EIO }

// DamagedError says that an image cannot be opened with its metadata as it is. A check of the
// image, opened with Mode.Check, may repair it.
type DamagedError struct {
	// Image is the name of its file, Backing that it stands behind the one that was to be opened.
	// The opener fills them in.
	Image   string
	Backing bool
	Err     error
}

func (e *DamagedError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// Process is a running program.
type Process struct {
	PID     int
	Command string // its name, as in /proc/PID/comm
}

// Held is an error about something that another program holds.
type Held interface {
	// Holder finds that program, as far as it can be seen.
	Holder() (Process, error)
}

// Errno finds the error number in err. What carries none is an I/O error.
func Errno(err error) syscall.Errno {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	return syscall.EIO
}

// ErrnoText is the C library's wording of an error number, which starts with a capital where Go's
// does not.
func ErrnoText(no syscall.Errno) string {
	s := no.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// Refuse is fmt.Errorf for an error that a person sees as it stands. Its text is part of the
// interface that scripts compare, so it may begin with a capital, as QEMU's do.
func Refuse(format string, args ...any) error { return fmt.Errorf(format, args...) }

// RefuseAs is Refuse with an error behind the words that programs look at, in most cases a number.
// The words alone are shown.
func RefuseAs(cause error, format string, args ...any) error {
	return &Refusal{Text: fmt.Sprintf(format, args...), Err: cause}
}

// Because is RefuseAs with what the cause says behind the words. Without a cause it is nil.
func Because(cause error, words string) error {
	if cause == nil {
		return nil
	}
	return &Refusal{Text: words + ": " + Spoken(cause).Error(), Err: cause}
}

// Spoken words a bare error number as the C library does, and leaves any other error alone.
func Spoken(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) && err.Error() == no.Error() {
		return RefuseAs(err, "%s", ErrnoText(no))
	}
	return err
}

// Hinter is an error with advice: what to do next, in whole lines that end in a newline.
type Hinter interface{ Hint() string }

// Adviser is an error with a line of advice that QEMU does not have.
type Adviser interface{ Advice() string }

// Refusal is an error with the words that a person is to read, around the one that programs look
// at.
type Refusal struct {
	Text string
	Err  error
}

func (r *Refusal) Error() string { return r.Text }

// Unwrap is the cause.
func (r *Refusal) Unwrap() error { return r.Err }
