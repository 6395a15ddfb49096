package blockdev

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// The two errors that layers use to speak with their guard.
var (
	// ErrNotSupported says that a node does not know the operation. errors.Is finds it equal to EOPNOTSUPP.
	ErrNotSupported error = syscall.ENOTSUP
	// ErrReadOnly is the answer of a Device without permission to write.
	ErrReadOnly = errors.New("block node is read-only")
)

// Error is a request that failed: what was asked of which node, where, and why.
type Error struct {
	Op   string // read, write, zero, discard, truncate, flush, status, open
	Node string // name of the driver
	Off  int64
	Len  int64
	Err  error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s of %d bytes at %d: %v", e.Node, e.Op, e.Len, e.Off, e.Err)
}

// Unwrap gives the cause, in the end a syscall.Errno where the system or a format refused.
func (e *Error) Unwrap() error { return e.Err }

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
