package blockdev

import (
	"context"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// Bitmaps lists the dirty bitmaps inside the image, in its order. ENOTSUP if the format has none.
func (d *Device) Bitmaps(ctx context.Context) (list []Bitmap, err error) {
	err = d.onBitmaps(ctx, 0, 0, func(b driver.BitmapReader) error {
		list, err = b.Bitmaps(ctx)
		return err
	})
	return list, err
}

// DirtyRun says whether what begins at off is dirty by the word of a bitmap, and up to where that
// holds, at most n bytes behind.
func (d *Device) DirtyRun(ctx context.Context, bitmap string, off,
	n int64,
) (end int64, dirty bool, err error) {
	err = d.onBitmaps(ctx, off, n, func(b driver.BitmapReader) error {
		end, dirty, err = b.DirtyRun(ctx, bitmap, off, n)
		return err
	})
	return end, dirty, err
}

// AddBitmap makes a bitmap in which nothing is dirty; a granularity of 0 is the usual one.
func (d *Device) AddBitmap(ctx context.Context, add Bitmap) error {
	return d.changeBitmap(ctx, func(b driver.Bitmapper) error { return b.AddBitmap(ctx, add) })
}

// RemoveBitmap removes a bitmap, also an inconsistent one.
func (d *Device) RemoveBitmap(ctx context.Context, name string) error {
	return d.changeBitmap(ctx, func(b driver.Bitmapper) error { return b.RemoveBitmap(ctx, name) })
}

// ClearBitmap says that nothing is dirty.
func (d *Device) ClearBitmap(ctx context.Context, name string) error {
	return d.changeBitmap(ctx, func(b driver.Bitmapper) error { return b.ClearBitmap(ctx, name) })
}

// EnableBitmap says whether a bitmap records changes from now on.
func (d *Device) EnableBitmap(ctx context.Context, name string, on bool) error {
	return d.changeBitmap(ctx,
		func(b driver.Bitmapper) error { return b.EnableBitmap(ctx, name, on) })
}

// MergeBitmap makes dirty in a bitmap what is dirty in one of another device, or the same. Both
// images are of one length.
func (d *Device) MergeBitmap(ctx context.Context, into string, from *Device, bitmap string) error {
	size := d.Size()
	if other := from.Size(); other != size {
		return d.wrap(opChangeBitmap, 0, 0, driver.RefuseAs(syscall.EINVAL,
			"Bitmaps are of different sizes (destination size is %d, source size is %d) and can't be merged",
			size, other))
	}
	if err := d.markBitmap(ctx, into, 0, 0); err != nil { // it is there, and can be changed
		return err
	}
	for off := int64(0); off < size; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		end, dirty, err := from.DirtyRun(ctx, bitmap, off, size-off)
		if err == nil && dirty {
			err = d.markBitmap(ctx, into, off, end-off)
		}
		if err != nil {
			return err
		}
		off = max(end, off+1)
	}
	return nil
}

func (d *Device) markBitmap(ctx context.Context, name string, off, n int64) error {
	return d.changeBitmap(ctx,
		func(b driver.Bitmapper) error { return b.MarkBitmap(ctx, name, off, n) })
}

// changeBitmap makes a request that is alone on the device.
func (d *Device) changeBitmap(ctx context.Context, do func(driver.Bitmapper) error) error {
	b, ok := driver.Find[driver.Bitmapper](d.top)
	if !ok {
		return d.noBitmaps(opChangeBitmap)
	}
	return d.alone(ctx, opChangeBitmap, func() error {
		defer d.written()
		return do(b)
	})
}

func (d *Device) onBitmaps(ctx context.Context, off, n int64,
	do func(driver.BitmapReader) error,
) error {
	b, ok := driver.FindBitmaps(d.top)
	if !ok {
		return d.noBitmaps(opBitmaps)
	}
	return d.control(ctx, opBitmaps, off, n, func() error { return do(b) })
}

// noBitmaps refuses what nobody can do: there are bitmaps inside of some formats only, and those
// that a server tells of cannot be changed.
func (d *Device) noBitmaps(op Op) error {
	lack := "have no bitmaps"
	if _, remote := driver.FindBitmaps(d.top); remote {
		lack += " that can be changed from here"
	}
	return d.wrap(op, 0, 0, d.lacks(lack))
}
