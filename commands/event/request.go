package event

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/units"
	"github.com/blksh/blksh/verify"
)

// The events of this file are what requests bring.

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

// Transfer reports a request that succeeded. Terse: as comma separated values (-C).
type Transfer struct {
	Verb    Verb          `json:"verb" doc:"read, wrote, discard or, in the background, discarded"`
	Off     int64         `json:"offset" unit:"bytes" doc:"first byte"`
	Done    int64         `json:"length" unit:"bytes" doc:"what was done"`
	Count   int64         `json:"requested" unit:"bytes" doc:"what was asked for"`
	Moved   int64         `json:"moved" unit:"bytes" doc:"for how much of that data went to or from the image; none does for zeroes and discards, nor for what a long read knows to be zero"`
	Ops     int           `json:"ops" doc:"requests"`
	Elapsed time.Duration `json:"elapsed_ns" unit:"ns" doc:"time that the device took"`
	Terse   bool          `json:"-"`
}

// Kind of the event.
func (Transfer) Kind() Kind { return Kind{"transfer", "A request succeeded."} }

// Dump shows bytes that were read: Data, and then so many zeroes that are not in memory. One dump
// may come in several events, all but the last of a multiple of 16 bytes.
type Dump struct {
	Off    int64      `json:"offset" unit:"bytes" doc:"first byte"`
	Data   []byte     `json:"data" doc:"the bytes"`
	Zeroes int64      `json:"zeroes,omitempty" unit:"bytes" doc:"how many zeroes follow them that were not read"`
	Layout DumpLayout `json:"-"`
	Fold   bool       `json:"-"` // lines that repeat the one before are shown as a single *
	Last   bool       `json:"-"` // with Fold: the dump ends here
	End    int64      `json:"-"` // offset behind the whole dump, 0 if nobody knows
}

// Kind of the event.
func (Dump) Kind() Kind {
	return Kind{"dump", "Bytes that were read, as -v asks. Long dumps come in several objects."}
}

// Mismatch says that data are not what -P asked for. Off and Len are the range that was checked,
// Detail says what is wrong in it.
type Mismatch struct {
	dataFailure
	Off    int64            `json:"offset" unit:"bytes" doc:"of the range that was checked"`
	Len    int64            `json:"length" unit:"bytes" doc:"of that range"`
	Detail *verify.Mismatch `json:"detail,omitempty" doc:"what differs: offset of the first wrong byte, number of bad ones, ranges with their causes, and both sides in hex"`
}

// Kind of the event.
func (Mismatch) Kind() Kind { return Kind{"mismatch", "The data are not what -P asked for."} }

// Failed is a request that failed. Op is the command as its failures name it: "read", "zone
// report".
type Failed struct {
	Op  string `json:"op" doc:"what it was"`
	Err error  `json:"-" type:"cause"`
}

// Kind of the event.
func (Failed) Kind() Kind { return Kind{"failed", "A request failed."} }

// Class tells requests that were refused from those that failed.
func (f Failed) Class() Class {
	if errors.As(f.Err, new(*blockdev.AlignError)) || errors.As(f.Err, new(*blockdev.RangeError)) ||
		lacking(f.Err) {
		return ClassUsage
	}
	return ClassIO
}

// lacking says whether a layer refused, in words of its own, what there is not in it: an operation
// that images of its kind do not know, a snapshot of that name. A bare error number is the answer
// of a system to a request that was made.
func lacking(err error) bool {
	var refused *driver.Refusal
	return errors.As(err, &refused) &&
		(errors.Is(refused, blockdev.ErrNotSupported) || errors.Is(refused, fs.ErrNotExist))
}

// Cause is the error.
func (f Failed) Cause() error { return f.Err }

// Injected says that a request was counted as invalid and not made (-i).
type Injected struct {
	Op string `json:"op" doc:"read or write"`
}

// Kind of the event.
func (Injected) Kind() Kind {
	return Kind{"injected", "A request was counted as invalid and not made, as -i asks."}
}

// Alloc answers how many of Count bytes at Off are allocated.
type Alloc struct {
	Off       int64 `json:"offset" unit:"bytes" doc:"first byte"`
	Count     int64 `json:"length" unit:"bytes" doc:"what was looked at"`
	Allocated int64 `json:"allocated" unit:"bytes" doc:"how much of it the image holds itself"`
	Data      int64 `json:"data" unit:"bytes" doc:"how much of it has storage, here or in an image below"`
	Zero      int64 `json:"zero" unit:"bytes" doc:"how much of it is known to read as zeroes"`
	Untold    int64 `json:"untold,omitempty" unit:"bytes" doc:"of the data: how much of it a device does not tell whether it has storage"`
}

// Kind of the event.
func (Alloc) Kind() Kind { return Kind{"alloc", "How much of a range is allocated."} }

// MapHead says of which range the runs are that follow.
type MapHead struct {
	Range
	Bitmap string `json:"bitmap,omitempty" doc:"whose runs they are, if not of the image"`
}

// Kind of the event.
func (MapHead) Kind() Kind { return Kind{"map_range", "Which range the runs of a map are of."} }

// MapRun is a run of bytes in one state. Remaining counts from its start to the end of the device.
// Untold: a device does not tell whether there is storage.
type MapRun struct {
	blockdev.Extent
	Remaining int64
	Untold    bool
}

// Kind of the event.
func (MapRun) Kind() Kind { return Kind{"map", "A run of bytes in one state."} }

type mapRun struct {
	Range
	Allocated  bool  `json:"allocated" doc:"whether the image holds them itself"`
	Data       bool  `json:"data" doc:"whether there is storage behind them"`
	Zero       bool  `json:"zero" doc:"whether they are known to read as zeroes"`
	Untold     bool  `json:"untold,omitempty" doc:"whether a device does not tell if there is storage"`
	Compressed bool  `json:"compressed,omitempty" doc:"whether they are compressed"`
	Depth      int   `json:"depth" doc:"which image of the backing chain holds them, 0 for the top"`
	HostOff    int64 `json:"host_offset" omit:"negative" unit:"bytes" doc:"where they are in the file"`
}

// Told names a place in the file only where there are data.
func (m MapRun) Told() any {
	told := mapRun{
		Range{m.Off, m.Len},
		m.Allocated, m.Data, m.Zero, m.Untold, m.Compressed, m.Depth,
		m.HostOff,
	}
	if !m.Data {
		told.HostOff = -1
	}
	return told
}

// MapCut says that a map ended before its range: behind this run nothing is known.
type MapCut struct{ MapRun }

// Kind of the event.
func (MapCut) Kind() Kind {
	return Kind{"map_cut", "The last run of a map that ended before its range."}
}

// MapEmpty says that there is nothing to map.
type MapEmpty struct{}

// Kind of the event.
func (MapEmpty) Kind() Kind { return Kind{"map_empty", "The image is empty."} }

// Words of the event.
func (MapEmpty) Words() string { return "the image is empty" }

// Length is the size of the device.
type Length struct {
	Bytes int64 `json:"bytes" unit:"bytes" doc:"length"`
}

// Kind of the event.
func (Length) Kind() Kind { return Kind{"length", "How long the image is."} }

// Words of the event.
func (l Length) Words() string { return units.Whole(l.Bytes) }

// Info describes the device.
type Info struct {
	Image
	DiskSize       int64             `json:"disk_size" omit:"negative" unit:"bytes" doc:"what it takes of disks of the host, without its backing files"`
	Block          int64             `json:"block_size" unit:"bytes" doc:"unit of requests of the storage"`
	Cluster        int64             `json:"cluster_size,omitempty" unit:"bytes" doc:"unit of allocation of the format"`
	VMState        int64             `json:"vm_state_offset,omitempty" unit:"bytes" doc:"where the area for machine state begins"`
	FormatSpecific []blockdev.Detail `json:"format_specific,omitempty" doc:"what the format tells of itself"`
	Storage        []blockdev.Detail `json:"storage,omitempty" doc:"how the bytes are reached"`
	Snapshots      []Snapshot        `json:"snapshots,omitempty" doc:"those inside the image"`
	Bitmaps        []BitmapListed    `json:"bitmaps,omitempty" doc:"the dirty bitmaps inside the image"`

	Driver   string `json:"-"`
	Protocol bool   `json:"-"` // the driver stores bytes itself
	Known    bool   `json:"-"` // the driver tells Cluster and VMState
}

// Kind of the event.
func (Info) Kind() Kind { return Kind{"info", "What the current image is."} }

// Zone is a zone of a zoned device.
type Zone struct{ driver.Zone }

// Kind of the event.
func (Zone) Kind() Kind { return Kind{"zone", "A zone of a zoned device; all places in bytes."} }

type zone struct {
	Start        int64 `json:"start" unit:"bytes" doc:"first byte"`
	Length       int64 `json:"length" unit:"bytes" doc:"of the zone"`
	Capacity     int64 `json:"capacity" unit:"bytes" doc:"what can be written"`
	WritePointer int64 `json:"write_pointer" unit:"bytes" doc:"where the next write goes"`
	Condition    uint8 `json:"condition" doc:"number of the state, as the kernel has it"`
	Type         uint8 `json:"type" doc:"number of the type, as the kernel has it"`
}

// Told is the zone.
func (z Zone) Told() any {
	return zone{z.Start, z.Length, z.Capacity, z.WritePointer, z.Condition, z.Type}
}

// Appended says where an append to a zone landed.
type Appended struct {
	Off int64 `json:"offset" unit:"bytes" doc:"first byte"`
}

// Kind of the event.
func (Appended) Kind() Kind { return Kind{"zone_appended", "Where an append to a zone landed."} }

// BreakFailed says that a breakpoint could not be set, removed, resumed or waited for.
type BreakFailed struct {
	Action string   `json:"action" doc:"set, remove, resume or wait"`
	Tag    string   `json:"tag" doc:"of the breakpoint"`
	Event  string   `json:"event,omitempty" doc:"where it was to be set"`
	Near   []string `json:"near,omitempty" doc:"events that may be meant"`
	Err    error    `json:"-" type:"cause"`
}

// Kind of the event.
func (BreakFailed) Kind() Kind { return Kind{"break_failed", "A breakpoint could not be used."} }

// Class tells what the caller can change: an image without breakpoints, an event or a tag that is
// none, a request that nothing sends.
func (b BreakFailed) Class() Class {
	for _, e := range []error{syscall.ENOTSUP, syscall.ENOENT, syscall.EDEADLK} {
		if errors.Is(b.Err, e) {
			return ClassUsage
		}
	}
	return ClassIO
}

// Cause is the error.
func (b BreakFailed) Cause() error { return b.Err }

// Abandoned says that requests that nothing can wake any more were given up at the end.
type Abandoned struct {
	Requests int `json:"requests" doc:"how many"`
}

// Kind of the event.
func (Abandoned) Kind() Kind {
	return Kind{"abandoned", "Requests that nothing can wake any more were given up."}
}

// Class of the failure.
func (Abandoned) Class() Class { return ClassIO }

// Words of the event.
func (a Abandoned) Words() string {
	return units.Count(a.Requests, "request in the background was",
		"requests in the background were") + " given up"
}
