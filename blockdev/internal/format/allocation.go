package format

import (
	"context"

	"github.com/blksh/blksh/blockdev/wait"
)

// Allocation is an allocation in flight, which QEMU calls l2meta: a run of clusters whose data is
// on its way, and which the format enters into its tables when the data is there. Until then every
// request for these clusters waits, unless it writes elsewhere in clusters that keep their place.
type Allocation struct {
	Guest int64 // of the first cluster
	Host  int64
	Len   int64 // whole clusters, in bytes
	// InPlace: the clusters had this place before.
	InPlace bool
	// Empty: the clusters get a place and no contents, as preallocation wants it.
	Empty bool
	// Head and Tail are what is copied from the old contents before and behind the new data, in
	// bytes from Guest. The data is between them.
	Head, Tail Span

	copied  bool // head and tail read as zeroes already
	waiters wait.Waiters
}

// start and end bound what the allocation writes, what it copies included.
func (a *Allocation) start() int64 { return a.Guest + a.Head.Off }
func (a *Allocation) end() int64   { return a.Guest + a.Tail.End() }

// copies says whether old contents are to be copied.
func (a *Allocation) copies() bool { return !a.copied && a.Head.Len+a.Tail.Len > 0 }

// Begin holds off all other requests for the clusters of an allocation. It needs the lock, as all
// that follow do.
func (i *Image) Begin(a *Allocation) { i.allocations = append(i.allocations, a) }

// Finish takes an allocation off the list and lets those go on that wait for it.
func (i *Image) Finish(a *Allocation) {
	for k := range i.allocations {
		if i.allocations[k] == a {
			i.allocations = append(i.allocations[:k], i.allocations[k+1:]...)
			break
		}
	}
	a.waiters.WakeAll()
}

// Abandon gives back what allocations that will not be committed have taken.
func (i *Image) Abandon(ctx context.Context, list []*Allocation) {
	for _, a := range list {
		i.Abort(ctx, a)
		i.Finish(a)
	}
}

// wait waits until an allocation is finished. The lock is given up meanwhile.
func (i *Image) wait(ctx context.Context, a *Allocation) error {
	if err := a.waiters.Wait(ctx, imageLock{Uncancelled(ctx), i}); err != nil {
		return err
	}
	return i.usable()
}

// WaitIdle waits until no allocation touches a range of guest clusters. The lock is given up
// meanwhile.
func (i *Image) WaitIdle(ctx context.Context, off, n int64) error {
	for {
		k := 0
		for k < len(i.allocations) &&
			!(Span{i.allocations[k].Guest, i.allocations[k].Len}).Overlaps(off, n) {
			k++
		}
		if k == len(i.allocations) {
			return nil
		}
		if err := i.wait(ctx, i.allocations[k]); err != nil {
			return err
		}
	}
}

// WriteRun is where a write goes: a run of the file, and the allocations to commit afterwards.
type WriteRun struct {
	Host, Len   int64
	Allocations []*Allocation
}

// Collect finds where n bytes from off are to be written. It collects clusters as long as they lie
// in a row: those that can be written in place, and new ones. It needs the lock, and gives it up
// while it waits.
func (i *Image) Collect(ctx context.Context, off, n int64) (WriteRun, error) {
	for {
		p, busy, err := i.collectUntilBusy(Uncancelled(ctx), off, n)
		if busy == nil {
			return p, err
		}
		if err := i.wait(ctx, busy); err != nil {
			return WriteRun{}, err
		}
	}
}

// collectUntilBusy is Collect up to the first allocation that stands in the way, which it returns
// if nothing could be collected before.
func (i *Image) collectUntilBusy(
	ctx context.Context, off, n int64,
) (p WriteRun, busy *Allocation, err error) {
	for p.Len < n {
		at := off + p.Len
		want, busy := i.untilBusy(at, n-p.Len)
		if want == 0 {
			if p.Len == 0 {
				return p, busy, nil
			}
			break
		}
		after := int64(-1)
		if p.Len > 0 {
			after = p.Host + p.Len
		}
		t, err := i.Target(ctx, at, want, after)
		if err != nil {
			return p, nil, err
		}
		if t.Len == 0 {
			break
		}
		if t.Allocation != nil {
			i.Begin(t.Allocation)
			p.Allocations = append(p.Allocations, t.Allocation)
		}
		if p.Len == 0 {
			p.Host = t.Host
		}
		p.Len += t.Len
	}
	return p, nil, nil
}

// untilBusy is how many of n bytes from off can be written before an allocation stands in the way,
// and which one does if it is none.
func (i *Image) untilBusy(off, n int64) (int64, *Allocation) {
	for k := len(i.allocations) - 1; k >= 0; k-- {
		a := i.allocations[k]
		from, to := i.startOf(a.start()), i.roundUp(a.end())
		if off+n <= from || off >= to {
			continue
		}
		if a.InPlace && (off+n <= a.start() || off >= a.end()) {
			continue
		}
		if off >= from {
			return 0, a
		}
		n = from - off
	}
	return n, nil
}
