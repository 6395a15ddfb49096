package ondisk

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Headers of images: of qcow2 as QEMU's docs/interop/qcow2.txt has it, of LUKS as its format
// specifications of versions 1 and 2.

func qcow2() *Structure {
	return &Structure{
		Name: "qcow2", Doc: "qcow2 header", Len: 112, InFile: true, magic: []magic{{0, "QFI\xfb"}},
		valid: qcow2Length,
		fields: []Field{
			{0, 4, "magic", bigHex, nil},
			{4, 4, "version", big, nil},
			{8, 8, "backing file offset", big, nil},
			{16, 4, "backing file length", big, nil},
			{20, 4, "cluster bits", big, power},
			{24, 8, "size", big, times(1)},
			{32, 4, "encryption", big, encryptions},
			{36, 4, "L1 entries", big, nil},
			{40, 8, "L1 table offset", big, nil},
			{48, 8, "refcount table offset", big, nil},
			{56, 4, "refcount table clusters", big, nil},
			{60, 4, "snapshots", big, nil},
			{64, 8, "snapshot table offset", big, nil},
			{
				72, 8, "incompatible features", bigHex,
				flagged("dirty", "corrupt", "data file", "compression type", "extended L2"),
			},
			{80, 8, "compatible features", bigHex, flagged("lazy refcounts")},
			{88, 8, "autoclear features", bigHex, flagged("bitmaps", "raw data file")},
			{96, 4, "refcount order", big, nil},
			{100, 4, "header length", big, nil},
			{104, 1, "compression type", big, compressions},
		},
	}
}

// qcow2Length is how long a header of qcow2 says that it is. That of version 2 ends where the
// fields of version 3 begin.
func qcow2Length(b []byte) int {
	if binary.BigEndian.Uint32(b[4:]) < 3 {
		return 72
	}
	return int(min(binary.BigEndian.Uint32(b[100:]), uint32(len(b))))
}

func encryptions(v uint64) string {
	if v < 3 {
		return []string{"none", "AES", "LUKS"}[v]
	}
	return ""
}

func compressions(v uint64) string {
	if v < 2 {
		return []string{"zlib", "zstd"}[v]
	}
	return ""
}

func luks1() *Structure {
	return &Structure{
		Name: "luks", Doc: "LUKS1 header", Len: 592, InFile: true,
		magic: []magic{{0, "LUKS\xba\xbe\x00\x01"}},
		fields: slices.Concat([]Field{
			{0, 6, "magic", rawBytes, nil},
			{6, 2, "version", big, nil},
			{8, 32, "cipher", text, nil},
			{40, 32, "cipher mode", text, nil},
			{72, 32, "hash", text, nil},
			{104, 4, "payload sector", big, times(sector)},
			{108, 4, "key bytes", big, nil},
			{112, 20, "digest", rawBytes, nil},
			{132, 32, "digest salt", rawBytes, nil},
			{164, 4, "digest iterations", big, nil},
			{168, 40, "UUID", text, nil},
		}, luks1Slots()),
	}
}

func luks1Slots() (list []Field) {
	for i := range 8 {
		at, name := 208+48*i, fmt.Sprintf("slot %d", i)
		list = append(list,
			Field{at, 4, name, bigHex, slotState},
			Field{at + 4, 4, name + " iterations", big, nil},
			Field{at + 40, 4, name + " key sector", big, times(sector)},
			Field{at + 44, 4, name + " stripes", big, nil})
	}
	return list
}

func slotState(v uint64) string {
	switch v {
	case 0x00ac71f3:
		return "in use"
	case 0x0000dead:
		return "free"
	}
	return "neither in use nor free"
}

func luks2() *Structure {
	return &Structure{
		Name: "luks", Doc: "LUKS2 header", Len: 512, InFile: true,
		magic: []magic{{0, "LUKS\xba\xbe\x00\x02"}},
		fields: []Field{
			{0, 6, "magic", rawBytes, nil},
			{6, 2, "version", big, nil},
			{8, 8, "header size", big, times(1)},
			{16, 8, "sequence number", big, nil},
			{24, 48, "label", text, nil},
			{72, 32, "checksum algorithm", text, nil},
			{104, 64, "salt", rawBytes, nil},
			{168, 40, "UUID", text, nil},
			{208, 48, "subsystem", text, nil},
			{256, 8, "header offset", big, nil},
			{448, 64, "checksum", rawBytes, nil},
		},
	}
}
