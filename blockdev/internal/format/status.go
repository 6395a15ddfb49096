package format

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Status tells where guest bytes are. It asks the backing file, one layer deeper, for what is not
// in this image. Where preallocation leaves holes of the file (Holes), these read as zeroes. A
// Transform turns holes into other bytes, so that they are data then, and they show no place: what
// lies there is not what the guest reads.
func (i *Image) Status(ctx context.Context, off, n int64) (driver.Extent, error) {
	e, holes, err := i.mapped(ctx, off, n)
	if err != nil || !e.Data || e.Zero || e.HostOff < 0 || e.Depth > 0 {
		return e, err
	}
	if i.Transform != nil {
		e.HostOff = -1
		return e, nil
	}
	if !holes {
		return e, nil
	}
	below, err := i.Data.Status(ctx, e.HostOff, e.Len)
	if err == nil && below.Len > 0 { // else it may be anything
		e.Zero, e.Len = below.Zero, min(e.Len, below.Len)
	}
	return e, nil
}

// mapped is Status by the word of the tables, and says whether there may be holes in what is data.
func (i *Image) mapped(ctx context.Context, off, n int64) (e driver.Extent, holes bool, err error) {
	if err := i.Lock(ctx); err != nil {
		return e, false, err
	}
	m, err := i.Lookup(ctx, off, n)
	if err == nil && m.Kind == Data && i.Holes != nil && i.Holes(ctx) {
		have := i.present(m, off)
		if holes = have > 0; holes {
			m.Len = have
		}
	}
	i.Unlock()
	if err != nil {
		return e, false, err
	}
	e = driver.Extent{Off: off, Len: m.Len, HostOff: m.Host, Node: i.Name, Allocated: true}
	switch m.Kind {
	case Absent:
		e.HostOff = -1
		if i.Backing != nil && off < i.Size() {
			e, err = i.backingStatus(ctx, off, m.Len)
			return e, false, err
		}
		e.Allocated, e.Zero = !i.Overlay, true
	case Packed:
		e.Data, e.Compressed, e.HostOff = true, true, -1
	default:
		e.Data, e.Zero = m.Kind == Data, m.Kind == Zero
	}
	return e, holes, nil
}

func (i *Image) backingStatus(ctx context.Context, off, n int64) (driver.Extent, error) {
	e, err := i.Backing.Status(ctx, off, n)
	e.Allocated, e.Backed = false, e.Allocated || e.Backed
	e.Depth++
	return e, err
}
