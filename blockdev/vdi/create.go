package vdi

import (
	"context"
	"crypto/rand"
	"encoding/binary"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

type createConfig struct {
	Static bool `option:"static" default:"off" help:"give every block its place at once"`
}

// checkCreate refuses what a VDI image cannot record.
func checkCreate(c *driver.Creating) error {
	if c.Size > maxSize {
		return errSize(uint64(c.Size))
	}
	return nil
}

// create writes the header and a map of nothing, or of everything.
func create(ctx context.Context, c *driver.Creating) error {
	blocks := (c.Size + blockSize - 1) / blockSize
	mapLen := (blocks*entrySize + driver.SectorSize - 1) &^ (driver.SectorSize - 1)
	static := c.Config.(*createConfig).Static
	length := headerLen + mapLen
	if static {
		length += blocks * blockSize
	}
	if err := format.Fits(c.File, length); err != nil {
		return err
	}
	h := newHeader(c.Size, uint32(blocks), uint32(headerLen+mapLen), static)
	err := c.File.WriteVec(ctx, driver.Vec{h}, 0, 0)
	if err == nil {
		err = writeMap(ctx, c.File, blocks, mapLen, static)
	}
	if err == nil && static {
		err = c.File.Truncate(ctx, length, driver.PreallocOff, 0)
	}
	if err != nil {
		return err
	}
	return c.File.Flush(ctx)
}

func newHeader(size int64, blocks, dataOff uint32, static bool) []byte {
	h := make([]byte, headerLen)
	copy(h, "<<< blksh VM Virtual Disk Image >>>\n")
	kind, allocated := uint32(typeDynamic), uint32(0)
	if static {
		kind, allocated = typeStatic, blocks
	}
	for off, word := range map[int]uint32{
		offSignature: signature, offVersion: version, offType: kind,
		offHeaderSize: offUUID - offHeaderSize + 4*uuidLen, offMap: headerLen, offData: dataOff,
		offSectorSize: driver.SectorSize, offBlockSize: blockSize,
		offBlocks: blocks, offAllocated: allocated,
	} {
		binary.LittleEndian.PutUint32(h[off:], word)
	}
	binary.LittleEndian.PutUint64(h[offDiskSize:], uint64(size))
	for i := range 2 { // of the image and of its last snapshot
		newUUID(h[offUUID+i*uuidLen:][:uuidLen])
	}
	return h
}

// newUUID fills u with a random one (version 4), its first three fields in little-endian order.
func newUUID(u []byte) {
	_, _ = rand.Read(u) // which cannot fail
	u[7], u[8] = u[7]&0x0f|0x40, u[8]&0x3f|0x80
}

// writeMap writes a map in which no block has a place, or each its own.
func writeMap(ctx context.Context, file driver.Node, blocks, length int64, static bool) error {
	const piece = 64 << 10
	for done := int64(0); done < length; done += piece {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		b := make([]byte, min(piece, length-done))
		for at := int64(0); at < int64(len(b)); at += entrySize {
			e := uint32(noBlock)
			switch i := (done + at) / entrySize; {
			case i >= blocks:
				e = 0 // room behind the map
			case static:
				e = uint32(i)
			}
			binary.LittleEndian.PutUint32(b[at:], e)
		}
		if err := file.WriteVec(ctx, driver.Vec{b}, headerLen+done, 0); err != nil {
			return err
		}
	}
	return nil
}
