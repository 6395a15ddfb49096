package format

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// WriteVec writes guest bytes: in place where it can, else to new clusters.
func (i *Image) WriteVec(ctx context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	total := v.Len()
	for done := int64(0); done < total; {
		p, pin, err := i.collectPinned(ctx, off+done, total-done)
		if err != nil {
			return err
		}
		err = i.writeRun(ctx, v.Slice(done, p.Len), off+done, p)
		i.Pins.Remove(pin)
		if err != nil {
			return err
		}
		done += p.Len
	}
	return nil
}

// collectPinned finds a place for as many bytes as lie in a row, and pins it.
func (i *Image) collectPinned(ctx context.Context, off, n int64) (p WriteRun, pin int, err error) {
	if err := i.Lock(ctx); err != nil {
		return p, 0, err
	}
	defer i.Unlock()
	if err := i.BeginChange(Uncancelled(ctx), off, n); err != nil {
		return p, 0, err
	}
	p, err = i.Collect(ctx, off, n)
	if err == nil {
		err = i.Guard(Uncancelled(ctx), p.Host, p.Len)
	}
	if err != nil {
		i.Abandon(Uncancelled(ctx), p.Allocations)
		return p, 0, err
	}
	i.noteWrite(ctx, off, p)
	return p, i.Pins.Add(p.Host, p.Len), nil
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
	ctx = Uncancelled(ctx)
	if lockErr := i.LockAnyway(ctx); lockErr != nil {
		return lockErr
	}
	defer i.Unlock()
	i.Abandon(ctx, left)
	return err
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
