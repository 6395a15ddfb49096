package ondisk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/blksh/blksh/commands/units"
)

const sector = 512

// Partition tables, as UEFI 2.10 section 5 has them.
func mbr() *Structure {
	return &Structure{
		Name: "mbr", Doc: "master boot record", Len: sector, magic: []magic{{510, "\x55\xaa"}},
		fields: mbrFields(),
	}
}

func mbrFields() []Field {
	list := []Field{{440, 4, "disk signature", littleHex, nil}}
	for i := range 4 {
		at, name := 446+16*i, fmt.Sprintf("partition %d ", i+1)
		list = append(list,
			Field{at, 1, name + "status", littleHex, bootable},
			Field{at + 4, 1, name + "type", littleHex, partitionType},
			Field{at + 8, 4, name + "first sector", little, times(sector)},
			Field{at + 12, 4, name + "sectors", little, times(sector)})
	}
	return append(list, Field{510, 2, "signature", littleHex, nil})
}

func bootable(v uint64) string {
	if v == 0x80 {
		return "bootable"
	}
	return ""
}

func partitionType(v uint64) string {
	switch v {
	case 0:
		return "none"
	case 0x05, 0x0f:
		return "extended"
	case 0x07:
		return "NTFS or exFAT"
	case 0x0b, 0x0c:
		return "FAT32"
	case 0x06, 0x0e:
		return "FAT16"
	case 0x82:
		return "Linux swap"
	case 0x83:
		return "Linux"
	case 0x8e:
		return "Linux LVM"
	case 0xee:
		return "protective, of a GPT"
	case 0xef:
		return "EFI system"
	case 0xfd:
		return "Linux RAID"
	}
	return ""
}

// gpt is the header of a GPT on a disk with blocks of so many bytes.
func gpt(block int64) *Structure {
	return &Structure{
		Name: "gpt", Doc: fmt.Sprintf("GPT header (blocks of %d bytes)", block), Off: block,
		Len:   sector,
		magic: []magic{{0, "EFI PART"}},
		fields: []Field{
			{0, 8, "signature", text, nil},
			{8, 4, "revision", littleHex, nil},
			{12, 4, "header size", little, nil},
			{16, 4, "header checksum", littleHex, nil},
			{24, 8, "this header's block", little, nil},
			{32, 8, "other header's block", little, nil},
			{40, 8, "first usable block", little, times(float64(block))},
			{48, 8, "last usable block", little, times(float64(block))},
			{56, 16, "disk GUID", mixedGUID, nil},
			{72, 8, "block of partitions", little, nil},
			{80, 4, "number of entries", little, nil},
			{84, 4, "size of an entry", little, nil},
			{88, 4, "checksum of entries", littleHex, nil},
		},
		more: func(read Reader, b []byte) ([]Part, error) { return partitions(read, b, block) },
	}
}

const (
	mostEntries = 1024
	entrySize   = 128
)

// partitions are those of a GPT, and whether its checksums are right.
func partitions(read Reader, b []byte, block int64) ([]Part, error) {
	le := binary.LittleEndian
	verdict := Part{Name: "checks", Off: block}
	add := func(off int, name, value string) {
		verdict.Fields = append(verdict.Fields,
			Value{Off: block + int64(off), Len: 4, Name: name, Value: value})
	}
	if size := le.Uint32(b[12:]); size < 92 || size > sector {
		add(12, "header size", "is not within 92 and 512")
		return []Part{verdict}, nil
	}
	head := append([]byte{}, b[:le.Uint32(b[12:])]...)
	clear(head[16:20])
	add(16, "header checksum", rightOrWrong(crc32.ChecksumIEEE(head), le.Uint32(b[16:])))
	at, count, size := le.Uint64(b[72:]), le.Uint32(b[80:]), le.Uint32(b[84:])
	switch {
	case size < entrySize || size > 4096 || size%8 != 0:
		add(84, "size of an entry", "is not within 128 and 4096")
	case count > mostEntries:
		add(80, "number of entries", fmt.Sprintf("is more than %d", mostEntries))
	case at > 1<<40:
		add(72, "block of partitions", "lies too far behind")
	default:
		table, err := read(int64(at)*block, int(count*size))
		if err != nil {
			return nil, err
		}
		if len(table) < int(count*size) {
			add(72, "block of partitions", "lies behind the end")
			break
		}
		add(88, "checksum of entries", rightOrWrong(crc32.ChecksumIEEE(table), le.Uint32(b[88:])))
		return append([]Part{verdict}, entries(table, int(size), int64(at)*block, block)...), nil
	}
	return []Part{verdict}, nil
}

func rightOrWrong(is, says uint32) string {
	if is == says {
		return "right"
	}
	return fmt.Sprintf("wrong: it is 0x%08x", is)
}

// entries are the partitions of a table that are there.
func entries(table []byte, size int, off, block int64) (list []Part) {
	fields := []Field{
		{0, 16, "type", mixedGUID, nil},
		{16, 16, "GUID", mixedGUID, nil},
		{32, 8, "first block", little, times(float64(block))},
		{40, 8, "last block", little, times(float64(block))},
		{48, 8, "attributes", littleHex, flagged("required", "no block IO", "bootable")},
		{56, 72, "name", wide, nil},
	}
	for i := 0; (i+1)*size <= len(table); i++ {
		b := table[i*size:][:size]
		if [16]byte(b[:16]) == ([16]byte{}) {
			continue
		}
		p := Part{fmt.Sprintf("partition %d", i+1), off + int64(i*size), nil}
		p.Fields = decode(fields, b, p.Off)
		p.Fields[0].Meaning = gptType(p.Fields[0].Value)
		first, last := binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[40:])
		if last >= first {
			p.Name += ", " + units.Size(float64(last-first+1)*float64(block))
		}
		list = append(list, p)
	}
	return list
}

// gptType is what a partition of a type is for.
func gptType(guid string) string {
	switch guid {
	case "c12a7328-f81f-11d2-ba4b-00a0c93ec93b":
		return "EFI system"
	case "21686148-6449-6e6f-744e-656564454649":
		return "BIOS boot"
	case "0fc63daf-8483-4772-8e79-3d69d8477de4":
		return "Linux"
	case "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f":
		return "Linux swap"
	case "e6d6d379-f507-44c2-a23c-238f2a3df928":
		return "Linux LVM"
	case "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7":
		return "basic data"
	case "4f68bce3-e8cd-4db1-96e7-fbcaf984b709":
		return "Linux root (x86-64)"
	}
	return ""
}
