package event

import (
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/verify"
)

// Verb is what a transfer did.
type Verb string

// The verbs, as qemu-io spells them.
const (
	Read  Verb = "read"
	Wrote Verb = "wrote"
	// Discard is a discard that the command waited for, Discarded one in the background.
	Discard   Verb = "discard"
	Discarded Verb = "discarded"
)

// Transfer reports a request that succeeded.
type Transfer struct {
	Verb    Verb
	Off     int64 // bytes, like the two that follow
	Done    int64
	Count   int64 // what was asked for
	Ops     int
	Elapsed time.Duration
	Terse   bool // as comma separated values (-C)
}

// Dump shows bytes that were read: Data, and then so many zeroes that are not in memory. One dump may come in several events, all but the
// last of a multiple of 16 bytes.
type Dump struct {
	Off    int64
	Data   []byte
	Zeroes int64
	Style  DumpStyle // "" is that of qemu-io
	Fold   bool      // lines that repeat the one before are shown as a single *
	Last   bool      // with Fold: the dump ends here
}

// Mismatch says that data are not what -P asked for. Off and Len are the range that was checked, Detail says what is wrong in it.
type Mismatch struct {
	Off, Len int64
	Detail   *verify.Mismatch
}

// Failed is a request that failed. Op is the command as its failures name it: "read", "zone report".
type Failed struct {
	Op  string
	Err error
}

// Cause is the error.
func (f Failed) Cause() error { return f.Err }

// Injected says that a request was counted as invalid and not made (-i).
type Injected struct{ Op string }

// Alloc answers how many of Count bytes at Off are allocated, how many have storage behind them, here or in an image below, and how many
// are known to read as zeroes.
type Alloc struct {
	Off, Count, Allocated, Data, Zero int64
	Untold                            int64 // of Data: a device does not tell whether it has storage
}

// MapRun is a run of bytes in one state. Remaining counts from its start to the end of the device.
type MapRun struct {
	blockdev.Extent
	Remaining int64
	Untold    bool // a device does not tell whether there is storage
}

// MapEmpty says that there is nothing to map.
type MapEmpty struct{}

// Length is the size of the device in bytes.
type Length struct{ Bytes int64 }

// Info describes the device.
type Info struct {
	Driver   string
	Protocol bool // the driver stores bytes itself
	// Known: the driver tells the two sizes that follow, in bytes.
	Known          bool
	Cluster        int64
	VMState        int64
	FormatSpecific []blockdev.Detail

	Image
	Block int64 // unit of requests of the storage, in bytes
}

// Zone is a zone of a zoned device.
type Zone struct{ blockdev.Zone }

// Appended says where an append to a zone landed, in bytes.
type Appended struct{ Off int64 }

// BreakFailed says that a breakpoint could not be set, removed, resumed or waited for.
type BreakFailed struct {
	Action string // "set", "remove", "resume", "wait"
	Tag    string
	Err    error
}

// Cause is the error.
func (b BreakFailed) Cause() error { return b.Err }

// Abandoned says that requests that nothing can wake any more were given up at the end.
type Abandoned struct{ Requests int }

// Kind of each event.
func (Transfer) Kind() string    { return "transfer" }
func (Dump) Kind() string        { return "dump" }
func (Mismatch) Kind() string    { return "mismatch" }
func (Failed) Kind() string      { return "failed" }
func (Injected) Kind() string    { return "injected" }
func (Alloc) Kind() string       { return "alloc" }
func (MapRun) Kind() string      { return "map" }
func (MapEmpty) Kind() string    { return "map_empty" }
func (Length) Kind() string      { return "length" }
func (Info) Kind() string        { return "info" }
func (Zone) Kind() string        { return "zone" }
func (Appended) Kind() string    { return "zone_appended" }
func (BreakFailed) Kind() string { return "break_failed" }
func (Abandoned) Kind() string   { return "abandoned" }
