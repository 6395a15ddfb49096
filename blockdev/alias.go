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
	KeySlot      = driver.KeySlot
	NewKey       = driver.NewKey
	Question     = driver.Question
	Secret       = driver.Secret
	Vec          = driver.Vec
	Zone         = driver.Zone
	ZoneOp       = driver.ZoneOp
)

// Units of requests, in bytes.
const (
	SectorSize = driver.SectorSize
	MaxRequest = driver.MaxRequest
)

// What one request promises.
const (
	FUA        = driver.FUA
	MayUnmap   = driver.MayUnmap
	NoFallback = driver.NoFallback
	Compressed = driver.Compressed
	CopyOnRead = driver.CopyOnRead
	Deferred   = driver.Deferred
)

// What Truncate does with space that it adds.
const (
	PreallocOff      = driver.PreallocOff
	PreallocMetadata = driver.PreallocMetadata
	PreallocFalloc   = driver.PreallocFalloc
	PreallocFull     = driver.PreallocFull
)

// The operations that can be staged in a Queue.
const (
	OpRead    = driver.OpRead
	OpWrite   = driver.OpWrite
	OpZero    = driver.OpZero
	OpDiscard = driver.OpDiscard
	OpFlush   = driver.OpFlush
)

// What Check may repair.
const (
	FixLeaks  = driver.FixLeaks
	FixErrors = driver.FixErrors
)

// What ManageZones does with zones.
const (
	ZoneOpen   = driver.ZoneOpen
	ZoneClose  = driver.ZoneClose
	ZoneFinish = driver.ZoneFinish
	ZoneReset  = driver.ZoneReset
)

// The errors that say that a request was not made at all.
var (
	ErrNotSupported = driver.ErrNotSupported
	ErrReadOnly     = driver.ErrReadOnly
)

// Errno finds the error number in err. What carries none is an I/O error.
func Errno(err error) syscall.Errno { return driver.Errno(err) }
