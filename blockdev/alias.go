package blockdev

import (
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// What a program that opens disks shares with those who write drivers. Package driver tells what
// each is.
type (
	Bitmap       = driver.Bitmap
	CheckResult  = driver.CheckResult
	DamagedError = driver.DamagedError
	Detail       = driver.Detail
	Driver       = driver.Driver
	Extent       = driver.Extent
	Fix          = driver.Fix
	Flags        = driver.Flags
	HostFile     = driver.HostFile
	Info         = driver.Info
	Link         = driver.Link
	Mode         = driver.Mode
	Notice       = driver.Notice
	Op           = driver.Op
	Options      = driver.Options
	Prealloc     = driver.Prealloc
	Queue        = driver.Queue
	RangeError   = driver.RangeError
	Snapshot     = driver.Snapshot
	Secret       = driver.Secret
	Vec          = driver.Vec
)

// Units of requests, in bytes.
const (
	SectorSize = driver.SectorSize
	MaxRequest = driver.MaxRequest
)

// The values of Flags, Prealloc, Op and Fix.
const (
	FUA        = driver.FUA // what one request promises
	MayUnmap   = driver.MayUnmap
	NoFallback = driver.NoFallback
	Compressed = driver.Compressed
	CopyOnRead = driver.CopyOnRead
	Deferred   = driver.Deferred

	PreallocOff      = driver.PreallocOff // what Truncate does with space that it adds
	PreallocMetadata = driver.PreallocMetadata
	PreallocFalloc   = driver.PreallocFalloc
	PreallocFull     = driver.PreallocFull

	OpRead    = driver.OpRead // what can be staged in a Queue
	OpWrite   = driver.OpWrite
	OpZero    = driver.OpZero
	OpDiscard = driver.OpDiscard
	OpFlush   = driver.OpFlush

	FixLeaks  = driver.FixLeaks // what Check may repair
	FixErrors = driver.FixErrors
)

// ErrNotSupported is that of package driver: nobody in the stack knows the operation.
var ErrNotSupported error = syscall.ENOTSUP

// ErrReadOnly says that a device was opened for reading.
const ErrReadOnly = driver.ErrReadOnly

// Errno finds the error number in err. What carries none is an I/O error.
func Errno(err error) syscall.Errno { return driver.Errno(err) }
