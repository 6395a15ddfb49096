package vdi

import (
	"context"
	"encoding/binary"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

const (
	headerLen = 512
	signature = 0xbeda107f
	version   = 1<<16 | 1

	typeDynamic, typeStatic = 1, 2

	maxBlocks = 0x1fffff80 // so that the map stays below 2 GiB
	maxSize   = int64(maxBlocks) * blockSize
)

// Where the fields are, in bytes. All numbers are little-endian.
const (
	offSignature  = 0x40
	offVersion    = 0x44
	offHeaderSize = 0x48
	offType       = 0x4c
	offMap        = 0x154
	offData       = 0x158
	offSectorSize = 0x168
	offDiskSize   = 0x170
	offBlockSize  = 0x178
	offBlocks     = 0x180
	offAllocated  = 0x184
	offUUID       = 0x188 // of the image, its last snapshot, the image it links to, and its parent
	uuidLen       = 16
)

// header is what an image says of itself.
type header struct {
	mapOff, dataOff   uint32
	diskSize          uint64
	blocks, allocated uint32 // in the map, and in the file
}

// guestSize is the length that the guest sees: whole sectors.
func (h header) guestSize() int64 {
	return (int64(h.diskSize) + driver.SectorSize - 1) &^ (driver.SectorSize - 1)
}

// probe knows an image by its signature.
func probe(head []byte, _ string) int {
	if len(head) >= headerLen && binary.LittleEndian.Uint32(head[offSignature:]) == signature {
		return 100
	}
	return 0
}

// readHeader reads the header and refuses what QEMU does, in its order and words.
func readHeader(ctx context.Context, file driver.Node) (h header, err error) {
	b := make([]byte, headerLen)
	if err := file.ReadVec(ctx, driver.Vec{b}, 0, 0); err != nil {
		return h, err
	}
	word := func(off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
	h = header{
		mapOff: word(offMap), dataOff: word(offData),
		diskSize: binary.LittleEndian.Uint64(b[offDiskSize:]),
		blocks:   word(offBlocks), allocated: word(offAllocated),
	}
	unsupported := func(text string, args ...any) error {
		return driver.RefuseAs(syscall.ENOTSUP, "unsupported VDI image ("+text+")", args...)
	}
	switch {
	case h.diskSize > uint64(maxSize):
		return h, errSize(h.diskSize)
	case word(offSignature) != signature:
		return h, driver.RefuseAs(
			syscall.EINVAL, "Image not in VDI format (bad signature %08x)", word(offSignature))
	case word(offVersion) != version:
		return h, unsupported("version %d.%d", word(offVersion)>>16, word(offVersion)&0xffff)
	case h.mapOff%driver.SectorSize != 0:
		return h, unsupported("unaligned block map offset 0x%x", h.mapOff)
	case h.dataOff%driver.SectorSize != 0:
		return h, unsupported("unaligned data offset 0x%x", h.dataOff)
	case word(offSectorSize) != driver.SectorSize:
		return h, unsupported("sector size %d is not %d", word(offSectorSize), driver.SectorSize)
	case word(offBlockSize) != blockSize:
		return h, unsupported("block size %d is not %d", word(offBlockSize), blockSize)
	case h.guestSize() > int64(h.blocks)*blockSize:
		return h, unsupported("disk size %d, image bitmap has room for %d",
			h.guestSize(), int64(h.blocks)*blockSize)
	case !driver.AllZero(b[offUUID+2*uuidLen:][:uuidLen]):
		return h, unsupported("non-NULL link UUID")
	case !driver.AllZero(b[offUUID+3*uuidLen:][:uuidLen]):
		return h, unsupported("non-NULL parent UUID")
	case h.blocks > maxBlocks:
		return h, unsupported("too many blocks %d, max is %d", h.blocks, maxBlocks)
	case int64(h.dataOff) < int64(h.mapOff)+int64(h.blocks)*entrySize:
		return h, driver.RefuseAs(syscall.EINVAL,
			"The blocks of the VDI image begin inside its map")
	}
	return h, nil
}

// errSize refuses a disk that is too long for a map.
func errSize(size uint64) error {
	return driver.RefuseAs(syscall.ENOTSUP,
		"Unsupported VDI image size (size is 0x%x, max supported is 0x%x)", size, maxSize)
}
