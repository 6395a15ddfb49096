package blockdev

import (
	"fmt"
	"math"
	"syscall"
)

// writeProtected is ErrReadOnly with the errno of it.
type writeProtected struct{}

var errWriteProtected error = writeProtected{}

// writeProtectedWords are those of it.
const writeProtectedWords = "block node is read-only: operation not permitted"

func (writeProtected) Error() string { return writeProtectedWords }

func (writeProtected) Unwrap() []error { return []error{ErrReadOnly, syscall.EPERM} }

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

// AlignError says that a write is not made of whole blocks, on a device that was opened to insist
// on it.
//
// Size is the length of the device.
type AlignError struct{ Block, Off, Len, Size int64 }

func (e *AlignError) Error() string {
	return fmt.Sprintf("%d bytes at %d are not made of whole blocks of %d bytes", e.Len, e.Off,
		e.Block)
}

// Unwrap is EINVAL, which the system answers to such a request.
func (*AlignError) Unwrap() error { return syscall.EINVAL }

// Nearest is the smallest range of whole blocks with the one that was asked for in it, as far as
// the device has whole blocks.
func (e *AlignError) Nearest() (off, n int64) {
	off = roundDown(e.Off, e.Block)
	end := e.Off + e.Len
	if e.Len <= math.MaxInt64-e.Off-e.Block {
		end = roundUp(end, e.Block)
	}
	end = max(off, min(end, roundDown(e.Size, e.Block)))
	return off, end - off
}
