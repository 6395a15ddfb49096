package format

import (
	"context"
	"slices"

	"github.com/blksh/blksh/blockdev/driver"
)

// Transform changes guest data on its way to and from the data file, as encryption does. Data is
// whole units (see Coder); guest and host say where its first byte is for the guest and in the data
// file. Several goroutines call the methods at a time. Packed clusters and metadata do not pass it.
type Transform interface {
	// Encode fills dst from src, which is as long and may be the same memory.
	Encode(dst, src []byte, guest, host int64) error
	// Decode changes p in place.
	Decode(p []byte, guest, host int64) error
}

// transformPiece is how much is transformed at a time, in bytes: what a processor's cache holds.
const transformPiece = 256 << 10

// Coder reads and writes data that passes a Transform.
type Coder struct {
	Transform
	File    driver.Node
	Unit    int // bytes that are changed together, of which requests are made
	Buffers *Buffers
}

// Write writes guest bytes to their place in the file. It leaves v as it is.
func (c Coder) Write(ctx context.Context, v driver.Vec, guest, host int64, f driver.Flags) error {
	buf := c.Buffers.Get(min(v.Len(), transformPiece))
	defer c.Buffers.Put(buf)
	for off, part := range v.Pieces(transformPiece) {
		p := (*buf)[:part.Len()]
		src := p
		if len(part) == 1 {
			src = part[0]
		} else {
			part.CopyTo(p)
		}
		if err := c.Encode(p, src, guest+off, host+off); err != nil {
			return err
		}
		if err := c.File.WriteVec(ctx, driver.Vec{p}, host+off, f); err != nil {
			return err
		}
	}
	return nil
}

// Read reads guest bytes from their place in the file, and decodes them in the memory of the
// request if its pieces are whole units.
func (c Coder) Read(ctx context.Context, v driver.Vec, guest, host int64, f driver.Flags) error {
	if err := c.File.ReadVec(ctx, v, host, f); err != nil {
		return err
	}
	if slices.ContainsFunc(v, func(p []byte) bool { return len(p)%c.Unit != 0 }) {
		return c.decodeApart(v, guest, host)
	}
	for _, p := range v {
		if err := c.Decode(p, guest, host); err != nil {
			return err
		}
		guest, host = guest+int64(len(p)), host+int64(len(p))
	}
	return nil
}

// decodeApart decodes memory whose pieces end amid units.
func (c Coder) decodeApart(v driver.Vec, guest, host int64) error {
	buf := c.Buffers.Get(min(v.Len(), transformPiece))
	defer c.Buffers.Put(buf)
	for off, part := range v.Pieces(transformPiece) {
		p := (*buf)[:part.CopyTo(*buf)]
		if err := c.Decode(p, guest+off, host+off); err != nil {
			return err
		}
		part.CopyFrom(p)
	}
	return nil
}

func (i *Image) coder() Coder { return Coder{i.Transform, i.Data, driver.SectorSize, &i.Buffers} }

// store writes guest bytes to their place in the data file. It leaves v as it is.
func (i *Image) store(ctx context.Context, v driver.Vec, guest, host int64) error {
	if i.Transform == nil {
		return i.Data.WriteVec(ctx, v, host, 0)
	}
	return i.coder().Write(ctx, v, guest, host, 0)
}

// fetch reads guest bytes from their place in the data file.
func (i *Image) fetch(ctx context.Context, v driver.Vec, guest, host int64) error {
	if i.Transform == nil {
		return i.Data.ReadVec(ctx, v, host, 0)
	}
	return i.coder().Read(ctx, v, guest, host, 0)
}
