package blockdev

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev/driver"
)

// Measured says how large the file of a new image would be.
type Measured = driver.Measured

// Measure says how large the file of an image would be that is made like this, and then gets what
// source holds; nil: nothing. With a source its length is the image's. The backing file is not
// looked at, but as qemu-img has it then all of the source is counted as data.
func Measure(ctx context.Context, cfg CreateConfig, source *Device) (Measured, error) {
	if source != nil {
		cfg.Size = source.Size()
	}
	c := &Creation{cfg: cfg}
	if err := c.settle(""); err != nil {
		return Measured{}, err
	}
	if c.format.Measure == nil {
		err := driver.Refuse("Block driver '%s' does not support size measurement", c.format.Name)
		return Measured{}, driver.RefuseAs(ErrNotSupported, "%v", err)
	}
	m := &driver.Measuring{Creating: &c.creating}
	if source != nil {
		m.Data = source.dataIn
		list, err := source.Bitmaps(ctx)
		if err != nil && !errors.Is(err, ErrNotSupported) {
			return Measured{}, err
		}
		if err == nil {
			m.Bitmaps = append([]Bitmap{}, list...)
		}
	}
	return c.format.Measure(ctx, m)
}

// dataIn adds up the units of so many bytes of which a part is data.
func (d *Device) dataIn(ctx context.Context, unit int64) (int64, error) {
	sum := int64(0)
	for off, end := int64(0), d.Size(); off < end; {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		e, err := d.Status(ctx, off, end-off)
		if err != nil {
			return 0, err
		}
		if e.Len <= 0 { // it became shorter
			break
		}
		next := e.End()
		if !e.Zero && e.Data {
			next = roundUp(next, unit)
			sum += next - roundDown(off, unit)
		}
		off = next
	}
	return sum, nil
}
