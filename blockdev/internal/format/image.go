package format

import (
	"context"
	"sync"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// Kind is what a run of guest bytes is.
type Kind uint8

// The kinds of run.
const (
	Absent Kind = iota // the backing file's, zeroes without one
	Zero               // reads as zeroes
	Data               // at its place in the file
	Packed             // compressed with its whole cluster
)

// Mapping is a run of guest bytes that are alike.
type Mapping struct {
	Kind Kind
	Len  int64 // bytes
	// Host is where the first of them is in the file, -1 if there is no such place. Zeroes may have
	// one too.
	Host int64
	// Key is what the format calls a packed cluster, and Packed where its packed bytes are.
	Key    uint64
	Packed Span
}

// pinned is what I/O on the run touches in the file.
func (m Mapping) pinned() Span {
	switch m.Kind {
	case Data:
		return Span{m.Host, m.Len}
	case Packed:
		return m.Packed
	}
	return Span{}
}

// Target is where guest bytes are to be written.
type Target struct {
	Host, Len int64 // in the file; Len is 0 if there is no room
	// Allocation is what becomes of the tables afterwards, nil if they stay as they are.
	Allocation *Allocation
}

// Mapper says where guest bytes are: the part of a format that is its own. Image calls all but
// Unpack with its lock held.
type Mapper interface {
	// Lookup describes the bytes from off that are alike, at least one and at most n.
	Lookup(ctx context.Context, off, n int64) (Mapping, error)
	// BeginChange comes before every change of n guest bytes from off.
	BeginChange(ctx context.Context, off, n int64) error
	// Target finds where bytes from off are to be written, at most n: where they are, or in
	// clusters that it takes. They lie in a row, and at after unless that is -1.
	Target(ctx context.Context, off, n, after int64) (Target, error)
	// InPlace is where all of n bytes from off can be written with no change to any table; ok is
	// false if they cannot.
	InPlace(ctx context.Context, off, n int64) (host int64, ok bool, err error)
	// Guard refuses a write of guest bytes to the file where metadata is.
	Guard(ctx context.Context, off, n int64) error
	// Commit enters an allocation whose data is in the file. It gives back what was there before.
	Commit(ctx context.Context, a *Allocation) error
	// Abort gives back what an allocation has taken.
	Abort(ctx context.Context, a *Allocation)
	// ZeroMap makes whole units of guest bytes zeroes, or those to the end of the image, and gives
	// their space back if unmap says so. ENOTSUP means that zeroes must be written.
	ZeroMap(ctx context.Context, off, n int64, unmap bool) error
	// Unmap gives whole clusters of guest bytes back, or those to the end of the image.
	Unmap(ctx context.Context, off, n int64) error
	// Unpack fills plain with the cluster of a packed run.
	Unpack(ctx context.Context, m Mapping, plain []byte) error
}

// Config is what an Image works on. It may be changed while nothing is under way.
type Config struct {
	Mapper
	Name    string      // of the driver
	Data    driver.Node // where guest data lives
	Backing driver.Node // nil without one
	// Transform is what guest data passes between the guest and Data, nil for none. With one,
	// requests are whole sectors.
	Transform Transform
	// Overlay: the format has backing files. What is absent is then not allocated, and zeroes
	// otherwise.
	Overlay bool
	// Events is the node whose driver is told of each step, as QEMU's blkdebug has it; nil tells
	// nobody.
	Events driver.Node
	// Cluster is the unit of allocation and Unit that of ZeroMap, a cluster or a part of one:
	// powers of two, in bytes.
	Cluster, Unit int64
	// Ahead is how many runs of one write get their place before the first is entered into the
	// tables, 0 for one. What entering gives back is not taken by the others then.
	Ahead int
	// Holes says that holes of Data are to be looked for where the format has data, and nil that
	// they are not. It is called with the lock held.
	Holes func(ctx context.Context) bool
	// Notify is told what is no request's outcome, such as data that is read and that the data file
	// is too short for. nil tells nobody.
	Notify func(driver.Notice)
	// Reach is where the last cluster of data ends that tables refer to, in bytes of Data. It is
	// called with the lock held. nil: nobody knows.
	Reach func(ctx context.Context) (int64, error)
	// Size is the length that the guest sees.
	Size func() int64
	// Usable fails once the image is not to be used any more; nil never does.
	Usable func() error
}

// Image does for a format what is the same for all: requests for guest bytes. A format embeds it
// and adds what is left of a Node: Info, Truncate, Flush, Close, Primary.
type Image struct {
	driver.Leaf
	Config
	Buffers  Buffers
	Pins     Pins
	Unpacked UnpackCache

	mu          wait.Mutex // guards what follows, and what the format knows
	allocations []*Allocation
	ending
}

// Lock takes the lock for a request. It fails when ctx ends first, or if the image is not usable.
func (i *Image) Lock(ctx context.Context) error {
	if err := i.mu.Lock(ctx); err != nil {
		return err
	}
	err := i.usable()
	if err != nil {
		i.mu.Unlock()
	}
	return err
}

// LockAnyway is Lock also for an image that is not usable.
func (i *Image) LockAnyway(ctx context.Context) error { return i.mu.Lock(ctx) }

// Unlock gives the lock up.
func (i *Image) Unlock() { i.mu.Unlock() }

func (i *Image) usable() error {
	if i.Usable == nil {
		return nil
	}
	return i.Usable()
}

// Fire tells the driver that watches of a step.
func (i *Image) Fire(ctx context.Context, e driver.Event) error {
	if i.Events == nil {
		return nil
	}
	return driver.Fire(ctx, i.Events, e)
}

// within is the part of off that is inside its cluster.
func (i *Image) within(off int64) int64 { return off & (i.Cluster - 1) }

// startOf is the start of the cluster that off is in.
func (i *Image) startOf(off int64) int64 { return off &^ (i.Cluster - 1) }

// roundUp is n or the next multiple of a cluster.
func (i *Image) roundUp(n int64) int64 { return driver.RoundUp(n, i.Cluster) }

// imageLock lets Waiters give up and take the lock.
type imageLock struct {
	ctx context.Context // never ends
	*Image
}

var _ sync.Locker = imageLock{}

func (l imageLock) Lock()   { _ = l.mu.Lock(l.ctx) }
func (l imageLock) Unlock() { l.mu.Unlock() }
