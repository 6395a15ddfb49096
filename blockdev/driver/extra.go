package driver

import (
	"context"
	"syscall"
	"time"
)

// These are the abilities that some drivers have besides Node. Each is found by Find from the top
// of a stack.

// VMStater is a format with an area behind the guest's end for the state of a virtual machine.
// Offsets count from the start of that area. It is no part of the guest's length.
type VMStater interface {
	ReadVMState(ctx context.Context, v Vec, off int64) error
	WriteVMState(ctx context.Context, v Vec, off int64) error
}

// Spacer is a protocol that knows how much storage its bytes take.
type Spacer interface {
	// Space is that, in bytes: less than the length where there are holes.
	Space() (int64, error)
}

// Snapshot is a snapshot inside an image.
type Snapshot struct {
	ID, Name    string
	Size        int64 // of the disk, in bytes
	VMStateSize int64 // of the machine state saved with it, in bytes
	Time        time.Time
	VMClock     time.Duration // how long the machine had run
	ICount      int64         // instructions that it had executed, -1 if that is not known
}

// Snapshotter is a format with snapshots inside its images. A snapshot is named by its id or, if
// none has that, by its name; ENOENT if there is none. Nothing else may go on in the image
// meanwhile, but for Snapshots.
type Snapshotter interface {
	// Snapshots lists them in the order of the image.
	Snapshots(ctx context.Context) ([]Snapshot, error)
	// CreateSnapshot keeps what the guest sees, under a name and with the date now.
	CreateSnapshot(ctx context.Context, name string, now time.Time) (Snapshot, error)
	// ApplySnapshot gives the guest what it saw then; what it sees now is lost.
	ApplySnapshot(ctx context.Context, which string) (Snapshot, error)
	DeleteSnapshot(ctx context.Context, which string) (Snapshot, error)
	// LoadSnapshot shows a snapshot instead of the active disk of an image that is read-only.
	LoadSnapshot(ctx context.Context, which string) (Snapshot, error)
}

// ErrBreakSpent says that a breakpoint that was removed had been reached, and was none any more. It
// is ENOENT.
var ErrBreakSpent error = &Refusal{
	"the breakpoint was reached before: no such file or directory",
	syscall.ENOENT,
}

// Breakpointer holds requests at debug events.
type Breakpointer interface {
	// Break holds the next request that reaches e, under a name. ENOENT for no event.
	Break(e Event, tag string) error
	// RemoveBreak removes the breakpoints called tag and lets go the requests held there. ENOENT if
	// there was none, which is ErrBreakSpent if requests were let go.
	RemoveBreak(tag string) error
	// Resume lets go one request held at tag. ENOENT if none is.
	Resume(tag string) error
	// Suspended says whether a request is held at tag.
	Suspended(tag string) bool
	// WaitSuspended returns when a request is held at tag, or when ctx ends.
	WaitSuspended(ctx context.Context, tag string) error
}

// Zone is a zone of a zoned device. Offsets and lengths are in bytes.
type Zone struct {
	Start, Length, Capacity, WritePointer int64
	Type                                  uint8
	Condition                             uint8
}

// ZoneOp is a management operation on a range of zones.
type ZoneOp int

// The zone operations.
const (
	ZoneOpen ZoneOp = iota
	ZoneClose
	ZoneFinish
	ZoneReset
)

// Zoned is a zoned block device.
type Zoned interface {
	// ReportZones describes at most max zones from the one that holds off on.
	ReportZones(ctx context.Context, off int64, max int) ([]Zone, error)
	ManageZones(ctx context.Context, op ZoneOp, off, n int64) error
	// AppendZone writes v at the write pointer of the zone at off and returns where that was.
	AppendZone(ctx context.Context, v Vec, off int64) (int64, error)
}

// Detail is a line of what a format tells about itself: a scalar, or a group of further lines. A
// group whose members have no Key is a list.
type Detail struct {
	Key   string
	Value any // string, bool, int64, Bytes; nil for a group
	Sub   []Detail
}

// Describer is a node with more to tell than its limits.
type Describer interface {
	// Describe gives format-specific lines, in the order in which they are shown.
	Describe() []Detail
}

// Stored is a protocol with something to tell of how its bytes are reached.
type Stored interface {
	// DescribeStorage gives lines in the order in which they are shown.
	DescribeStorage() []Detail
}

// Placed is a protocol that stores its bytes in a file of the host.
type Placed interface {
	// DiskSize is how many bytes of a disk of the host the file takes.
	DiskSize() (int64, error)
}

// Located is a Leaf whose storage is elsewhere, where no lock tells who else uses it.
type Located interface {
	// Location is the same for two nodes on the same storage, "" if nobody else can have it.
	Location() string
}

// Named is a protocol that has a name of its own for what was opened, whatever named it.
type Named interface {
	// Filename is that name, "" if there is none.
	Filename() string
}

// Reopener is a node whose options can change while it is open.
type Reopener interface {
	// Prepare checks the new mode and values and gets ready for them without changing what requests
	// see. Exactly one of commit and abort, which may be nil, is called afterwards; neither can
	// fail.
	Prepare(ctx context.Context, o *Opening) (commit, abort func(), err error)
}

// Checker is a format that can judge its metadata.
type Checker interface {
	// Check counts what is wrong, and repairs what fix allows. EROFS if that needs to write and may
	// not.
	Check(ctx context.Context, fix Fix) (CheckResult, error)
}

// ClusterChecker is a Checker that can say of which clusters of the file what is true.
type ClusterChecker interface {
	// CheckClusters is Check without repairs. tell gets every cluster that is in use or counted as
	// such, in ascending order: how long the file is, and where in it the cluster lies, in bytes.
	CheckClusters(ctx context.Context,
		tell func(file, off, n int64, as ClusterState)) (CheckResult, error)
}

// ClusterState is what a check finds of a cluster.
type ClusterState uint8

// The states of clusters that are not free, the gravest first.
const (
	ClusterWrong  ClusterState = iota // referred to more often than counted
	ClusterLeaked                     // counted more often than referred to
	ClusterUsed                       // referred to as often as is counted
)

// Encrypted is a format that may keep a key in slots.
type Encrypted interface {
	// Keeper is nil if the image keeps none.
	Keeper() Keeper
}

// Keeper is an encrypted image that keeps its key in slots, each for one passphrase.
type Keeper interface {
	KeySlots() []KeySlot
	// AddKey lets one more passphrase open the image and returns its slot.
	AddKey(ctx context.Context, k NewKey) (slot int, err error)
	// RemoveKey erases a slot for good. The last one in use is refused.
	RemoveKey(ctx context.Context, slot int) error
	// FindKey is the slot that a passphrase opens.
	FindKey(ctx context.Context, passphrase Secret) (slot int, err error)
}

// KeySlot is a place for the key of an encrypted image.
type KeySlot struct {
	Number     int
	Active     bool
	KDF        string // what makes a key of the passphrase: pbkdf2, argon2i, argon2id
	Hash       string // of pbkdf2
	Iterations int64  // of pbkdf2, or passes of an argon2
	Memory     int64  // of an argon2, in bytes
}

// NewKey is a passphrase to be added.
type NewKey struct {
	Slot       int // below 0: the first that is free
	Passphrase Secret
	KDF        string        // "" for what suits the format
	Time       time.Duration // that opening takes, about; 0 for what is usual
	Memory     int64         // that an argon2 takes, in bytes; 0 for what is usual
}

// Fix says what Check may repair.
type Fix uint8

// What Check may repair.
const (
	FixLeaks Fix = 1 << iota
	FixErrors
)

// CheckResult counts what a check found, as qemu-img check does.
type CheckResult struct {
	Corruptions, Leaks, CheckErrors  int64
	CorruptionsFixed, LeaksFixed     int64
	ImageEnd                         int64 // offset behind the last cluster in use
	TotalClusters, AllocatedClusters int64
	FragmentedClusters               int64
	CompressedClusters               int64
	Messages                         []string // a line for each thing found or repaired
}

// WriteBacker is a node with caches of its own over a node below. Its guard makes a flush of it in
// steps: it has the caches written back, fires the event that tells of the flush to come, flushes
// the layer below and has the node settle. The node's own Flush does the same without the event.
type WriteBacker interface {
	// WriteBack brings what is cached to the layer below. settle, which may be nil, is called when
	// that layer was flushed.
	WriteBack(ctx context.Context) (settle func(context.Context) error, err error)
}

// Identified is a protocol that can tell the file or device that it has open from any other.
type Identified interface {
	Identity() (device, inode uint64)
}

// Overlay is a format whose images may stand on others.
type Overlay interface {
	// BackingFile is what the image records, without a name if it stands on nothing.
	BackingFile() Link
	// SetBackingFile changes that record, in a way that no crash leaves half done.
	SetBackingFile(ctx context.Context, l Link) error
	// Empty gives back all that the image itself holds, so that its backing file shows.
	Empty(ctx context.Context) error
}

// Amender is a format whose images can have options changed that they were created with.
type Amender interface {
	// Amend makes the image what the options say, durably. It is alone on the image.
	Amend(ctx context.Context, a *Amending) error
}

// Amending is what a format gets to amend an image.
type Amending struct {
	// Config is a pointer to a struct of the type of the driver's AmendConfig, filled in.
	Config any
	// Object is what the user made under an id for options to refer to, nil if there is none.
	Object func(id string) any
}

// Secret is a copy of the data of a secret object.
func (a *Amending) Secret(id string) (Secret, error) { return secretOf(a.Object(id), id) }
