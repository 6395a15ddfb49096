package zstd

import "encoding/binary"

// frame is what the header of a frame says.
type frame struct {
	block    int    // bytes that a block may unpack to
	size     uint64 // bytes that the frame unpacks to
	sized    bool   // size is given
	checksum bool
}

// readHeader reads the header of a frame. n is where its first block is.
func readHeader(src []byte) (f frame, n int, err error) {
	if len(src) < 5 {
		return f, 0, errCut
	}
	if binary.LittleEndian.Uint32(src) != magic {
		return f, 0, errNoFrame
	}
	flags := src[4]
	single := flags&0x20 != 0
	dictionary := [...]int{0, 1, 2, 4}[flags&3]
	size := [...]int{0, 2, 4, 8}[flags>>6]
	if single && size == 0 {
		size = 1
	}
	f.checksum, f.sized = flags&4 != 0, size > 0
	n = 5
	if !single {
		n++
	}
	if len(src) < n+dictionary+size {
		return f, 0, errCut
	}
	if flags&8 != 0 {
		return f, 0, errCorrupt
	}
	for _, b := range src[n : n+dictionary] {
		if b != 0 {
			return f, 0, errDictionary
		}
	}
	var field [8]byte
	copy(field[:size], src[n+dictionary:])
	if f.size = binary.LittleEndian.Uint64(field[:]); size == 2 {
		f.size += 256
	}
	window := f.size
	if !single {
		base := uint64(1) << (minWindowLog + src[5]>>3)
		window = base + base/8*uint64(src[5]&7)
	}
	f.block = int(min(window, maxBlock))
	return f, n + dictionary + size, nil
}

// skippable is the length of a frame that holds nothing, 0 if src begins with another.
func skippable(src []byte) (n int, err error) {
	if len(src) < 4 || binary.LittleEndian.Uint32(src)&skipMask != skipMagic {
		return 0, nil
	}
	if len(src) < 8 || uint64(binary.LittleEndian.Uint32(src[4:])) > uint64(len(src)-8) {
		return 0, errCut
	}
	return 8 + int(binary.LittleEndian.Uint32(src[4:])), nil
}
