package format

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Status tells where guest bytes are. It asks the backing file, one layer deeper, for what is not
// in this image. Clusters whose place is a hole of the file, as preallocation leaves them, read as
// zeroes. A Transform turns holes into other bytes, so that they are data then, and they show no
// place: what lies there is not what the guest reads.
func (i *Image) Status(ctx context.Context, off, n int64) (driver.Extent, error) {
	e, err := i.mapped(ctx, off, n)
	if err != nil || !e.Data || e.Zero || e.HostOff < 0 || e.Depth > 0 {
		return e, err
	}
	if i.Transform != nil {
		e.HostOff = -1
		return e, nil
	}
	below, err := i.Data.Status(ctx, e.HostOff, e.Len)
	if err == nil && below.Len > 0 { // else it may be anything
		e.Zero, e.Len = below.Zero, min(e.Len, below.Len)
	}
	return e, nil
}

// mapped is Status by the word of the tables.
func (i *Image) mapped(ctx context.Context, off, n int64) (driver.Extent, error) {
	if err := i.Lock(ctx); err != nil {
		return driver.Extent{}, err
	}
	m, err := i.Lookup(ctx, off, n)
	i.Unlock()
	if err != nil {
		return driver.Extent{}, err
	}
	e := driver.Extent{Off: off, Len: m.Len, HostOff: m.Host, Node: i.Name, Allocated: true}
	switch m.Kind {
	case Absent:
		e.HostOff = -1
		if i.Backing != nil && off < i.Size() {
			return i.backingStatus(ctx, off, m.Len)
		}
		e.Allocated, e.Zero = !i.Overlay, true
	case Packed:
		e.Data, e.Compressed, e.HostOff = true, true, -1
	default:
		e.Data, e.Zero = m.Kind == Data, m.Kind == Zero
	}
	return e, nil
}

func (i *Image) backingStatus(ctx context.Context, off, n int64) (driver.Extent, error) {
	e, err := i.Backing.Status(ctx, off, n)
	e.Allocated = false
	e.Depth++
	return e, err
}
