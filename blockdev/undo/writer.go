package undo

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Holder is a disk that tells which of its ranges are zeroes: a blockdev.Device is one.
type Holder interface {
	Disk
	Status(ctx context.Context, off, n int64) (driver.Extent, error)
}

// Writer writes to a disk that is open already, and notes in a log what was there: a [Driver] for
// single changes.
type Writer struct{ r *recorder }

// NewWriter begins a log of changes of a disk.
func NewWriter(d Holder, log File) (*Writer, error) {
	r, err := newRecorder(disk{Holder: d}, log)
	return &Writer{r}, err
}

// Write writes b, which holds whole sectors but for the last one of a disk that ends in a part of
// one. What was there is on stable storage before.
func (w *Writer) Write(ctx context.Context, b []byte, off int64) error {
	whole := len(b) - len(b)%sectorSize
	if whole > 0 {
		if err := w.r.WriteVec(ctx, driver.Vec{b[:whole]}, off, 0); err != nil {
			return err
		}
	}
	if whole == len(b) {
		return nil
	}
	return w.r.writePart(ctx, b[whole:], off+int64(whole))
}

// Flush puts the log, and then the disk, on stable storage.
func (w *Writer) Flush(ctx context.Context) error { return w.r.Flush(ctx) }

// writePart writes a part of a sector, of which no sum can be noted.
func (r *recorder) writePart(ctx context.Context, b []byte, off int64) error {
	return r.change(ctx, off, int64(len(b)), func(at, n int64) error {
		if err := r.note(newUnknown, at, n, nil); err != nil {
			return err
		}
		return r.Next.WriteVec(ctx, driver.Vec{b}, at, 0)
	})
}

// disk is a disk in the place of a layer.
type disk struct {
	driver.Leaf
	Holder
}

var _ driver.Node = disk{}

func (d disk) Info() driver.Info { return d.Holder.Info() }

func (d disk) ReadVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	return d.Holder.Read(ctx, v, off, f)
}

func (d disk) WriteVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	return d.Holder.Write(ctx, v, off, f)
}

func (d disk) Status(ctx context.Context, off, n int64) (driver.Extent, error) {
	return d.Holder.Status(ctx, off, n)
}

func (d disk) Flush(ctx context.Context) error { return d.Holder.Flush(ctx) }

// Zero and Truncate are not used, and neither is Discard.
func (d disk) Zero(context.Context, int64, int64, driver.Flags) error {
	return driver.ErrNotSupported
}

func (d disk) Truncate(context.Context, int64, driver.Prealloc, driver.Flags) error {
	return driver.ErrNotSupported
}
