package format

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Transform changes guest data on its way to and from the data file, as encryption does. Both
// methods change p in place. p is whole sectors; guest and host say where its first byte is for the
// guest and in the data file. Several goroutines call them at a time. Packed clusters and metadata
// do not pass it.
type Transform interface {
	Encode(p []byte, guest, host int64) error
	Decode(p []byte, guest, host int64) error
}

// transformPiece is how much is transformed at a time, in bytes: what a processor's cache holds.
const transformPiece = 256 << 10

// store writes guest bytes to their place in the data file. It leaves v as it is.
func (i *Image) store(ctx context.Context, v driver.Vec, guest, host int64) error {
	if i.Transform == nil {
		return i.Data.WriteVec(ctx, v, host, 0)
	}
	buf := i.Buffers.Get(min(v.Len(), transformPiece))
	defer i.Buffers.Put(buf)
	for off, part := range v.Pieces(transformPiece) {
		p := (*buf)[:part.CopyTo(*buf)]
		if err := i.Transform.Encode(p, guest+off, host+off); err != nil {
			return err
		}
		if err := i.Data.WriteVec(ctx, driver.Vec{p}, host+off, 0); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads guest bytes from their place in the data file.
func (i *Image) fetch(ctx context.Context, v driver.Vec, guest, host int64) error {
	err := i.Data.ReadVec(ctx, v, host, 0)
	if err != nil || i.Transform == nil {
		return err
	}
	if !wholeSectors(v) {
		return i.decodeApart(v, guest, host)
	}
	for _, p := range v {
		if err := i.Transform.Decode(p, guest, host); err != nil {
			return err
		}
		guest, host = guest+int64(len(p)), host+int64(len(p))
	}
	return nil
}

// decodeApart decodes memory whose pieces end amid sectors.
func (i *Image) decodeApart(v driver.Vec, guest, host int64) error {
	buf := i.Buffers.Get(min(v.Len(), transformPiece))
	defer i.Buffers.Put(buf)
	for off, part := range v.Pieces(transformPiece) {
		p := (*buf)[:part.CopyTo(*buf)]
		if err := i.Transform.Decode(p, guest+off, host+off); err != nil {
			return err
		}
		part.CopyFrom(p)
	}
	return nil
}

// wholeSectors says whether each piece of v is made of whole sectors.
func wholeSectors(v driver.Vec) bool {
	for _, p := range v {
		if len(p)%driver.SectorSize != 0 {
			return false
		}
	}
	return true
}
