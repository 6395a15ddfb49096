package format

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// WriteVec writes guest bytes: in place where it can, else to new clusters.
func (i *Image) WriteVec(ctx context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	total := v.Len()
	first, err := i.place(ctx, off, total, true)
	if err != nil {
		return err
	}
	if first.Len == total {
		return i.writePlaced(ctx, v, off, first)
	}
	return i.writeRuns(ctx, v, off, first)
}

// writeRuns writes a request whose bytes do not lie in a row. first is the first run. Ahead runs
// have their place before the first of them is entered into the tables. Those that have theirs when
// one fails are written all the same. It returns the first error.
func (i *Image) writeRuns(
	ctx context.Context, v driver.Vec, off int64, first placedRun,
) (failed error) {
	total, found, written := v.Len(), first.Len, int64(0)
	runs := []placedRun{first}
	for {
		if failed == nil && found < total && len(runs) < max(1, i.Ahead) {
			// Who waits for others must not have others wait for it.
			p, err := i.place(ctx, off+found, total-found, len(runs) == 0)
			if p.Len > 0 {
				runs, found = append(runs, p), found+p.Len
				continue
			}
			failed = err
		}
		if len(runs) == 0 {
			return failed
		}
		p := runs[0]
		runs = runs[:copy(runs, runs[1:])]
		err := i.writePlaced(ctx, v.Slice(written, p.Len), off+written, p)
		written += p.Len
		if failed == nil {
			failed = err
		}
	}
}

// placedRun is a run of a write that has its place, which is pinned.
type placedRun struct {
	WriteRun
	pin int
}

// place finds a place for as many bytes as lie in a row. If an allocation of another request stands
// in the way it waits, or returns no bytes unless it is patient.
func (i *Image) place(ctx context.Context, off, n int64, patient bool) (p placedRun, err error) {
	if err := i.Lock(ctx); err != nil {
		return p, err
	}
	defer i.Unlock()
	if err := i.BeginChange(Uncancelled(ctx), off, n); err != nil {
		return p, err
	}
	if patient {
		p.WriteRun, err = i.Collect(ctx, off, n)
	} else {
		p.WriteRun, _, err = i.collectUntilBusy(Uncancelled(ctx), off, n)
	}
	if err == nil && p.Len > 0 {
		err = i.Guard(Uncancelled(ctx), p.Host, p.Len)
	}
	if err != nil {
		i.Abandon(Uncancelled(ctx), p.Allocations)
		return placedRun{}, err
	}
	if p.Len > 0 {
		i.noteWrite(ctx, off, p.WriteRun)
		p.pin = i.Pins.Add(p.Host, p.Len)
	}
	return p, nil
}

// writePlaced writes a run, and unpins it.
func (i *Image) writePlaced(ctx context.Context, v driver.Vec, off int64, p placedRun) error {
	defer i.Pins.Remove(p.pin)
	return i.writeRun(ctx, v, off, p.WriteRun)
}

// writeRun writes data to its place and commits the allocations.
func (i *Image) writeRun(ctx context.Context, v driver.Vec, off int64, p WriteRun) error {
	if len(p.Allocations) == 0 {
		return i.writeData(ctx, v, off, p.Host)
	}
	err := i.zeroAround(ctx, p.Allocations)
	merged := mergeable(p.Allocations, off, v)
	if err == nil && merged == nil {
		err = i.writeData(ctx, v, off, p.Host)
	}
	left := p.Allocations
	for err == nil && len(left) > 0 {
		data := driver.Vec(nil)
		if left[0] == merged {
			data = v
		}
		if err = i.CopyAround(ctx, left[0], data); err == nil {
			err = i.commit(ctx, left[0])
		}
		if err == nil {
			left = left[1:]
		}
	}
	if len(left) == 0 {
		return nil
	}
	i.giveUp(ctx, left)
	return err
}

// giveUp abandons allocations that get no data, or not all of it.
func (i *Image) giveUp(ctx context.Context, list []*Allocation) {
	ctx = Uncancelled(ctx)
	if i.LockAnyway(ctx) != nil {
		return // cannot be: the context does not end
	}
	defer i.Unlock()
	i.Abandon(ctx, list)
}

func (i *Image) writeData(ctx context.Context, v driver.Vec, off, host int64) error {
	if err := i.Fire(ctx, driver.EvWriteAIO); err != nil {
		return err
	}
	return i.store(ctx, v, off, host)
}

// commit enters an allocation into the tables.
func (i *Image) commit(ctx context.Context, a *Allocation) error {
	ctx = Uncancelled(ctx)
	if err := i.Lock(ctx); err != nil {
		return err
	}
	defer i.Unlock()
	if err := i.Commit(ctx, a); err != nil {
		return err
	}
	i.Finish(a)
	return nil
}
