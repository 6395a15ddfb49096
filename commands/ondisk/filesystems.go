package ondisk

import (
	"encoding/binary"
	"time"
)

// Superblocks: of ext4 as the kernel's Documentation/filesystems/ext4 has it, of XFS as its
// Filesystem Structures.

func ext4() *Structure {
	return &Structure{
		Name: "ext4", Doc: "ext2, ext3 or ext4 superblock", Off: 1024, Len: 1024,
		magic: []magic{{0x38, "\x53\xef"}},
		valid: func(b []byte) int {
			if binary.LittleEndian.Uint32(b[0x4c:]) == 0 { // the first revision
				return 0x54
			}
			return len(b)
		},
		fields: []Field{
			{0x00, 4, "inodes", little, nil},
			{0x04, 4, "blocks (low 32 bits)", little, nil},
			{0x08, 4, "reserved blocks", little, nil},
			{0x0c, 4, "free blocks", little, nil},
			{0x10, 4, "free inodes", little, nil},
			{0x14, 4, "first data block", little, nil},
			{0x18, 4, "block size", little, func(v uint64) string { return power(v + 10) }},
			{0x20, 4, "blocks per group", little, nil},
			{0x28, 4, "inodes per group", little, nil},
			{0x2c, 4, "mounted", little, seconds},
			{0x30, 4, "written", little, seconds},
			{0x34, 2, "mounts since check", little, nil},
			{0x38, 2, "magic", littleHex, nil},
			{0x3a, 2, "state", littleHex, flagged("clean", "errors", "orphans")},
			{
				0x3c, 2, "on errors", little,
				named(map[uint64]string{1: "go on", 2: "read-only", 3: "panic"}),
			},
			{0x4c, 4, "revision", little, nil},
			{0x58, 2, "inode size", little, nil},
			{
				0x5c, 4, "compatible features", littleHex,
				flagged("", "", "journal", "xattr", "resize inode", "dir index"),
			},
			{
				0x60, 4, "incompatible features", littleHex,
				flagged("compression", "filetype", "recover", "journal device", "meta_bg", "",
					"extents", "64bit", "mmp", "flex_bg", "ea_inode", "", "dirdata", "csum seed",
					"largedir", "inline data", "encrypt"),
			},
			{
				0x64, 4, "read-only features", littleHex,
				flagged("sparse super", "large file", "btree", "huge file", "gdt csum", "dir nlink",
					"extra isize", "", "quota", "bigalloc", "metadata csum"),
			},
			{0x68, 16, "UUID", uuid, nil},
			{0x78, 16, "label", text, nil},
			{0x88, 64, "last mounted on", text, nil},
			{0x108, 4, "made", little, seconds},
		},
	}
}

// seconds is a moment, as seconds since 1970.
func seconds(v uint64) string {
	if v == 0 {
		return "never"
	}
	return time.Unix(int64(v), 0).UTC().Format(time.DateTime) + " UTC"
}

func xfs() *Structure {
	return &Structure{
		Name: "xfs", Doc: "XFS superblock", Len: 264, magic: []magic{{0, "XFSB"}},
		fields: []Field{
			{0, 4, "magic", text, nil},
			{4, 4, "block size", big, times(1)},
			{8, 8, "blocks", big, nil},
			{16, 8, "realtime blocks", big, nil},
			{32, 16, "UUID", uuid, nil},
			{48, 8, "log start block", big, nil},
			{56, 8, "root inode", big, nil},
			{84, 4, "blocks of a group", big, nil},
			{88, 4, "groups", big, nil},
			{96, 4, "log blocks", big, nil},
			{100, 2, "version", bigHex, func(v uint64) string {
				return named(map[uint64]string{4: "4", 5: "5"})(v & 15)
			}},
			{102, 2, "sector size", big, times(1)},
			{104, 2, "inode size", big, times(1)},
			{108, 12, "label", text, nil},
			{128, 8, "inodes", big, nil},
			{136, 8, "free inodes", big, nil},
			{144, 8, "free blocks", big, nil},
		},
	}
}
