package blockdev

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"
)

// The two errors that layers use to speak with their guard.
var (
	// ErrNotSupported says that a node does not know the operation. errors.Is finds it equal to EOPNOTSUPP.
	ErrNotSupported error = syscall.ENOTSUP
	// ErrReadOnly is the answer of a Device without permission to write.
	ErrReadOnly = errors.New("block node is read-only")

	errWriteProtected = fmt.Errorf("%w: %w", ErrReadOnly, syscall.EPERM)
)

// Error is a request that failed: what was asked of which node, where, and why.
type Error struct {
	Op   string // read, write, zero, discard, truncate, flush, status, check, ...
	Node string // name of the driver
	File string // name of the image, "" if options say everything
	Off  int64  // for a truncate the new length
	Len  int64
	Err  error
}

func (e *Error) Error() string {
	where := e.Node
	if e.File != "" {
		where = e.File + " (" + e.Node + ")"
	}
	switch {
	case e.Op == "truncate":
		return fmt.Sprintf("%s: truncate to %d bytes: %v", where, e.Off, e.Err)
	case e.Off == 0 && e.Len == 0:
		return fmt.Sprintf("%s: %s: %v", where, e.Op, e.Err)
	}
	return fmt.Sprintf("%s: %s of %d bytes at %d: %v", where, e.Op, e.Len, e.Off, e.Err)
}

// Unwrap gives the cause, in the end a syscall.Errno where the system or a format refused.
func (e *Error) Unwrap() error { return e.Err }

// RangeError says that a request lies outside the device, which is Size bytes long. As in QEMU that is an I/O error.
type RangeError struct{ Size int64 }

func (e *RangeError) Error() string {
	return fmt.Sprintf("outside the device of %d bytes: %v", e.Size, syscall.EIO)
}

// Unwrap is EIO.
func (*RangeError) Unwrap() error { return syscall.EIO }

// AlignError says that a write is not made of whole blocks, on a device that was opened to insist on it.
type AlignError struct{ Block, Off, Len int64 }

func (e *AlignError) Error() string {
	return fmt.Sprintf("%d bytes at %d are not made of whole blocks of %d bytes", e.Len, e.Off, e.Block)
}

// Unwrap is EINVAL, which the system answers to such a request.
func (*AlignError) Unwrap() error { return syscall.EINVAL }

// Nearest is the smallest range of whole blocks with the one that was asked for in it.
func (e *AlignError) Nearest() (off, n int64) {
	off = roundDown(e.Off, e.Block)
	end := e.Off + e.Len
	if e.Len <= math.MaxInt64-e.Off-e.Block {
		end = roundUp(end, e.Block)
	}
	return off, end - off
}

// DamagedError says that an image cannot be opened with its metadata as it is. A check of the image, opened with Mode.Check, may repair it.
type DamagedError struct {
	// Image is the name of its file, Backing that it stands behind the one that was to be opened. The opener fills them in.
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

// ErrnoText is the C library's wording of an error number, which starts with a capital where Go's does not.
func ErrnoText(no syscall.Errno) string {
	s := no.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// Refuse is fmt.Errorf for an error that a person sees as it stands. Its text is part of the interface that scripts compare, so
// it may begin with a capital, as QEMU's do.
func Refuse(format string, args ...any) error { return fmt.Errorf(format, args...) }

// Hinter is an error with advice: what to do next, in whole lines that end in a newline.
type Hinter interface{ Hint() string }

// spoken words a bare error number as the C library does.
func spoken(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) && err.Error() == no.Error() {
		return &Refusal{Text: ErrnoText(no), Err: err}
	}
	return err
}

// Refusal is an error with the words that a person is to read, around the one that programs look at.
type Refusal struct {
	Text string
	Err  error
}

func (r *Refusal) Error() string { return r.Text }

// Unwrap is the cause.
func (r *Refusal) Unwrap() error { return r.Err }
