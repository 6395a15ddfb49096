// Package driver is what a driver of package blockdev is made of.
//
// A Node is one layer of a disk. Protocols hold bytes (a file, a device, memory), formats say where
// the guest's bytes are inside another node (raw, qcow2), and filters pass requests on and change
// something on the way (blkdebug, copy-on-read). A Driver is a value that declares all about one of
// them: its name, the options it takes, how an image is recognised, opened and made.
//
//	var Driver = driver.Driver{Name: "raw", Kind: driver.Format, Config: config{}, Open: open, ...}
//
// A node is straight-line code. It sees only whole, aligned requests within its limits, because a
// guard stands in front of each node, put there by the opener: it splits, pads to the alignment
// (read-modify-write), emulates flags the node does not take, traces, fires debug events and orders
// overlapping requests. A background request is the same blocking call on another goroutine.
//
// A node embeds Leaf or Filter and writes only what it changes. What a driver wants from its opener
// comes in one value, Opening: its options, its children, secrets, a place for notices. Limits are
// asked for by Info at each request instead of being pushed on every change: the driver is then the
// only place that knows them, and nothing can be stale. Abilities that only some nodes have
// (breakpoints, zones, a check of metadata) are small interfaces, which Find finds from the top of
// a stack.
//
// Requests that wait for each other do so by way of package wait.
package driver

import (
	"context"
	"slices"
)

// SectorSize is the unit in which the length of a device is rounded up, in bytes.
const SectorSize = 512

// MaxRequest is the longest data request a node may be given, in bytes: the largest multiple of a
// sector below 2 GiB, as in QEMU.
const MaxRequest = 0x7fffffff &^ (SectorSize - 1)

// Flags change what one request promises.
type Flags uint32

const (
	// FUA asks that the data is on stable storage when the request returns.
	FUA Flags = 1 << iota
	// MayUnmap lets Zero give the space back.
	MayUnmap
	// NoFallback makes Zero fail with ENOTSUP where it would have to write zeroes.
	NoFallback
	// Compressed asks a format to store the data compressed.
	Compressed
	// CopyOnRead asks that what is read from a backing file is also stored in the overlay.
	CopyOnRead
	// Deferred lets a write through a Device be durable only after a flush that the caller makes
	// when it has written more, even if the device writes through. Nodes do not see it.
	Deferred
)

// Prealloc says what Truncate does with space that it adds.
type Prealloc int

// The preallocation modes, named as in QEMU.
const (
	PreallocOff Prealloc = iota
	PreallocMetadata
	PreallocFalloc
	PreallocFull
)

var preallocNames = [...]string{"off", "metadata", "falloc", "full"}

func (p Prealloc) String() string { return preallocNames[p] }

// Preallocs are the names of all modes.
func Preallocs() []string { return preallocNames[:] }

// ParsePrealloc finds a mode by its name.
func ParsePrealloc(s string) (Prealloc, bool) {
	i := slices.Index(preallocNames[:], s)
	return Prealloc(max(i, 0)), i >= 0
}

// Node is one layer: protocol, format or filter.
//
// Every method does the whole request or returns an error; a method may be called from many
// goroutines at once. A Vec belongs to the node until the call returns, and a node must not change
// the bytes of one that it was given to write. Requests that reach a node are within MaxRequest and
// satisfy its Limits, but may lie beyond its size: reading there is never asked for, writing there
// grows a node that can grow. A length of zero is never asked for.
//
// A node embeds Leaf (everything refused) or Filter (everything passed on) and writes only what it
// changes, so that Node may gain methods without breaking drivers elsewhere.
type Node interface {
	// Info is cheap, does no I/O, and may be called at any time.
	Info() Info
	ReadVec(ctx context.Context, v Vec, off int64, f Flags) error
	WriteVec(ctx context.Context, v Vec, off int64, f Flags) error
	// Zero makes the range read as zeroes. ENOTSUP means that the guard should write zeroes
	// instead.
	Zero(ctx context.Context, off, n int64, f Flags) error
	// Discard says that the bytes are of no more use; what is read afterwards is the node's own
	// affair.
	Discard(ctx context.Context, off, n int64, f Flags) error
	// Status describes the longest run that starts at off, is alike throughout and is at most n
	// bytes long (n > 0). It may answer with a shorter run than there is, never with an empty one.
	Status(ctx context.Context, off, n int64) (Extent, error)
	Truncate(ctx context.Context, size int64, p Prealloc, f Flags) error
	// Flush puts all that was written on stable storage, its own caches first and then the layers
	// below.
	Flush(ctx context.Context) error
	// Close releases the node. The layers below are closed by whoever opened them.
	Close() error
	// Primary is the layer below that control requests are passed to: the next node of a filter,
	// the file of a format, nil for a protocol.
	Primary() Node

	embedsDefault()
}

// Info is what a node says about itself.
type Info struct {
	Driver string // name of the driver, such as "raw"
	Limits
	// KnowsSizes says that Cluster and VMStateOff are known, also where they are 0. Formats know
	// them, raw and filters know what the node below knows, and protocols if they stand on a file
	// of the host.
	KnowsSizes bool
	// HasVMState says that VMState methods exist and where that area starts.
	VMStateOff int64
	// NeedsZeroInit is true where fresh space does not read as zeroes (a block device).
	NeedsZeroInit bool
	// Serial is true where writes wait for each other anyway: a file in the page cache takes no two
	// at once.
	Serial bool
	// NoMedium is true of an image that was found corrupt while it was in use: every request fails
	// with ENOMEDIUM.
	NoMedium bool
}

// Limits describe the requests that a node takes, in bytes. Zero means no limit, for an alignment
// 1. Alignments are powers of two, but for ZeroAlign and DiscardAlign, which may be any multiple of
// RequestAlign.
type Limits struct {
	Size         int64 // length of the node's contents
	RequestAlign int64 // offset and length of reads and writes
	MemAlign     int64 // address and length of each piece of memory
	MaxTransfer  int64
	MaxIOV       int
	ZeroAlign    int64 // what Zero does best
	MaxZero      int64
	DiscardAlign int64
	MaxDiscard   int64
	Cluster      int64 // unit of allocation of a format, 0 if it has none
	Block        int64 // logical block of a device, 0 for what has none
	WriteTakes   Flags // flags that WriteVec honours
	ZeroTakes    Flags // flags that Zero honours
	// LostOff to LostEnd was there and is gone, because somebody else made the file shorter while
	// it is open. The guard fails what touches it.
	LostOff, LostEnd int64
}

// Inherited are the limits that a filter or a format over a node with the limits l has by default,
// as in QEMU: what the memory for a request must be like, how long a request may be, in which units
// discards bring anything, and what is lost. Alignment and the unit of zeroing are the affair of
// the guard below.
func (l Limits) Inherited() Limits {
	return Limits{
		MemAlign: l.MemAlign, MaxTransfer: l.MaxTransfer, MaxIOV: l.MaxIOV,
		DiscardAlign: l.DiscardAlign,
		LostOff:      l.LostOff, LostEnd: l.LostEnd,
	}
}

// Extent is a run of bytes that are alike, as one node sees it.
type Extent struct {
	Off, Len int64
	// Allocated: the contents are decided by this layer and not by a backing file. A hole of a raw
	// file is allocated, as QEMU has it.
	Allocated bool
	// Data: there is storage behind it. Zero: it is known to read as zeroes. Both may hold
	// (preallocated zeroes).
	Data, Zero bool
	Compressed bool
	// Untold: it counts as data because the storage does not tell which of it is in use, as with a
	// device.
	Untold bool
	// Depth is 0 for the top layer and grows by one for each backing file passed.
	Depth int
	// Backed: it is not Allocated, but the backing file Depth layers down decides the contents.
	// Where neither holds, no layer does.
	Backed bool
	// Node names the driver that holds the bytes, and HostOff is where they are in the file below
	// it, -1 if nowhere.
	Node    string
	HostOff int64
}

// End is the offset behind the extent.
func (e Extent) End() int64 { return e.Off + e.Len }

// Find walks down the primary children from n, n included, and returns the first node that also is
// a T. It is how a control request that moves no guest data (breakpoints, snapshots, zones) finds
// who understands it.
func Find[T any](n Node) (T, bool) {
	for n != nil {
		if t, ok := n.(T); ok {
			return t, true
		}
		n = n.Primary()
	}
	var none T
	return none, false
}

// Leaf is the default of nodes that stand on their own footing: protocols and formats. It refuses
// everything with ENOTSUP, needs no flush and has no child.
type Leaf struct{}

func (Leaf) embedsDefault() {}

// ReadVec refuses.
func (Leaf) ReadVec(context.Context, Vec, int64, Flags) error { return ErrNotSupported }

// WriteVec refuses.
func (Leaf) WriteVec(context.Context, Vec, int64, Flags) error { return ErrNotSupported }

// Zero refuses, so that the guard writes zeroes.
func (Leaf) Zero(context.Context, int64, int64, Flags) error { return ErrNotSupported }

// Discard refuses; the guard takes that for done, since a discard is advice.
func (Leaf) Discard(context.Context, int64, int64, Flags) error { return ErrNotSupported }

// Status calls everything allocated data.
func (Leaf) Status(_ context.Context, off, n int64) (Extent, error) {
	return Extent{Off: off, Len: n, Allocated: true, Data: true, HostOff: -1}, nil
}

// Truncate refuses.
func (Leaf) Truncate(context.Context, int64, Prealloc, Flags) error { return ErrNotSupported }

// Flush has nothing to do.
func (Leaf) Flush(context.Context) error { return nil }

// Close has nothing to do.
func (Leaf) Close() error { return nil }

// Primary is nil.
func (Leaf) Primary() Node { return nil }

// Filter is the default of nodes that pass requests on to Next. It passes on what is written here
// and nothing else: an operation that Node gains is refused, as by a Leaf, until somebody has
// thought of what filters do with it.
type Filter struct {
	Leaf
	Next Node
}

// Info is that of the next node; a filter puts its own driver name over it.
func (f Filter) Info() Info { return f.Next.Info() }

// ReadVec passes on.
func (f Filter) ReadVec(ctx context.Context, v Vec, off int64, fl Flags) error {
	return f.Next.ReadVec(ctx, v, off, fl)
}

// WriteVec passes on.
func (f Filter) WriteVec(ctx context.Context, v Vec, off int64, fl Flags) error {
	return f.Next.WriteVec(ctx, v, off, fl)
}

// Zero passes on.
func (f Filter) Zero(ctx context.Context, off, n int64, fl Flags) error {
	return f.Next.Zero(ctx, off, n, fl)
}

// Discard passes on.
func (f Filter) Discard(ctx context.Context, off, n int64, fl Flags) error {
	return f.Next.Discard(ctx, off, n, fl)
}

// Status passes on.
func (f Filter) Status(ctx context.Context, off, n int64) (Extent, error) {
	return f.Next.Status(ctx, off, n)
}

// Truncate passes on.
func (f Filter) Truncate(ctx context.Context, size int64, p Prealloc, fl Flags) error {
	return f.Next.Truncate(ctx, size, p, fl)
}

// Flush passes on.
func (f Filter) Flush(ctx context.Context) error { return f.Next.Flush(ctx) }

// Primary is the next node.
func (f Filter) Primary() Node { return f.Next }

// SameBytes holds.
func (f Filter) SameBytes() bool { return true }

// RoundUp is n or the next multiple of unit, a power of two.
func RoundUp(n, unit int64) int64 { return (n + unit - 1) &^ (unit - 1) }

// WholeSectors is n or the next multiple of a sector.
func WholeSectors(n int64) int64 { return RoundUp(n, SectorSize) }
