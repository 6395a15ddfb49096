// Package copyonread is a filter that stores in an overlay what is read from its backing file, so
// that it is read from there only once.
//
// It copies whole clusters of the format below, because that is what the format allocates; what the
// overlay has already is read past the filter, and zeroes are stored as zeroes. A copy must not
// undo a write that comes meanwhile, so a read holds the clusters it touches alone while writes
// share theirs.
package copyonread

import (
	"context"
	"math"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// Driver is the filter.
var Driver = driver.Driver{
	Name:     "copy-on-read",
	Doc:      "stores in an overlay what is read from its backing file",
	Kind:     driver.FilterKind,
	Resolves: driver.OverFormat,
	Purpose:  driver.CopyOnReadFilter,
	Config:   config{},
	Open:     open,
}

type config struct {
	File driver.Child `option:"file" help:"the overlay"`
}

// maxCopy is the longest piece that is copied at once, in bytes.
const maxCopy = 16 << 20

type filter struct {
	driver.Filter
	ranges wait.RangeLock
}

var (
	_ driver.Node    = (*filter)(nil)
	_ driver.Claimer = (*filter)(nil)
)

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	file, err := o.Child(ctx, o.Config.(*config).File, driver.RoleFiltered)
	if err != nil {
		return nil, err
	}
	if o.Mode.ReadOnly {
		return nil, driver.RefuseAs(driver.ErrReadOnly, "Block node is read-only")
	}
	return &filter{Filter: driver.Filter{Next: file}}, nil
}

// Claim adds the right to store what the overlay reads as anyway.
func (f *filter) Claim(ctx context.Context, c driver.Claim) error {
	c.Use |= driver.PermWriteUnchanged
	return driver.ClaimOn(ctx, f.Next, c)
}

// Info is that of the overlay, but for the alignment, which its own guard sees to.
func (f *filter) Info() driver.Info {
	info := f.Next.Info()
	info.Driver = Driver.Name
	info.RequestAlign = 1
	return info
}

// ReadVec reads the clusters that the request touches, run by run, and stores those that the
// overlay does not have.
func (f *filter) ReadVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	info := f.Next.Info()
	cluster := max(1, info.Cluster)
	start := off / cluster * cluster
	end := min((off+v.Len()+cluster-1)/cluster*cluster, max(off+v.Len(), info.Size))
	hold, err := f.ranges.Lock(ctx, start, end-start)
	if err != nil {
		return err
	}
	defer f.ranges.Unlock(hold)

	c := copier{next: f.Next, v: v, off: off, flags: fl, most: maxCopy}
	if info.MaxTransfer > 0 {
		c.most = min(c.most, info.MaxTransfer)
	}
	for at := start; at < end; {
		e := c.runAt(ctx, at, end)
		do := c.copy
		if e.Allocated {
			do = c.pass
		}
		if err := do(ctx, e); err != nil {
			return err
		}
		at = e.End()
	}
	return nil
}

func (f *filter) WriteVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	return f.shared(ctx, off, v.Len(), func() error { return f.Next.WriteVec(ctx, v, off, fl) })
}

func (f *filter) Zero(ctx context.Context, off, n int64, fl driver.Flags) error {
	return f.shared(ctx, off, n, func() error { return f.Next.Zero(ctx, off, n, fl) })
}

func (f *filter) Discard(ctx context.Context, off, n int64, fl driver.Flags) error {
	return f.shared(ctx, off, n, func() error { return f.Next.Discard(ctx, off, n, fl) })
}

// shared does something while no copy is under way in the range.
func (f *filter) shared(ctx context.Context, off, n int64, do func() error) error {
	hold, err := f.ranges.RLock(ctx, off, n)
	if err != nil {
		return err
	}
	defer f.ranges.Unlock(hold)
	return do()
}

// Truncate waits for all that goes on, and all waits for it.
func (f *filter) Truncate(ctx context.Context, size int64, p driver.Prealloc,
	fl driver.Flags,
) error {
	hold, err := f.ranges.Lock(ctx, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	defer f.ranges.Unlock(hold)
	return f.Next.Truncate(ctx, size, p, fl)
}

// copier is one read on its way.
type copier struct {
	next   driver.Node
	v      driver.Vec
	off    int64 // where v belongs
	flags  driver.Flags
	most   int64 // longest piece to copy, in bytes
	buffer []byte
}

// runAt is the longest run from at to end that the overlay has, or that can be copied at once. What
// cannot be told apart is copied: reading it will show what is wrong.
func (c *copier) runAt(ctx context.Context, at, end int64) driver.Extent {
	run := driver.Extent{Off: at}
	for run.End() < end {
		e, err := c.next.Status(ctx, run.End(), end-run.End())
		if err != nil {
			e = driver.Extent{Len: end - run.End()}
		}
		if run.Len == 0 {
			run.Allocated, run.Zero = e.Allocated, e.Zero && !e.Allocated
		} else if e.Allocated != run.Allocated || run.Zero != (e.Zero && !e.Allocated) {
			break
		}
		run.Len += e.Len
		if !run.Allocated && run.Len >= c.most {
			run.Len = c.most
			break
		}
	}
	return run
}

// wanted is the part of v that lies within e, and where it begins; empty if none does.
func (c *copier) wanted(e driver.Extent) (part driver.Vec, at int64) {
	at = max(e.Off, c.off)
	n := min(e.End(), c.off+c.v.Len()) - at
	if n <= 0 {
		return nil, at
	}
	return c.v.Slice(at-c.off, n), at
}

// pass reads what the overlay has.
func (c *copier) pass(ctx context.Context, e driver.Extent) error {
	part, at := c.wanted(e)
	if part == nil {
		return nil
	}
	return c.next.ReadVec(ctx, part, at, c.flags)
}

// copy stores e in the overlay, and gives what of it is wanted. Zeroes that are known as such are
// not read.
func (c *copier) copy(ctx context.Context, e driver.Extent) error {
	part, at := c.wanted(e)
	zero := e.Zero
	if zero {
		part.Clear()
	} else {
		if int64(len(c.buffer)) < e.Len {
			c.buffer = make([]byte, e.Len)
		}
		b := c.buffer[:e.Len]
		if err := c.next.ReadVec(ctx, driver.Vec{b}, e.Off, 0); err != nil {
			return err
		}
		if part != nil {
			part.CopyFrom(b[at-e.Off:])
		}
		zero = driver.AllZero(b)
	}
	if err := driver.Fire(ctx, c.next, driver.EvCorWrite); err != nil {
		return err
	}
	if zero {
		return c.next.Zero(ctx, e.Off, e.Len, 0)
	}
	return c.next.WriteVec(ctx, driver.Vec{c.buffer[:e.Len]}, e.Off, 0)
}
