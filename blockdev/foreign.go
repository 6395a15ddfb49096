package blockdev

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
)

// foreignFormat is an image format that has no driver here. Its images are recognised all the same,
// so that none is taken for raw, where one write would destroy it. A driver of the same name takes
// the place of its entry.
type foreignFormat struct {
	name, words string // QEMU's name, and where such images come from
	// One of magic is what files have at off, or is looks at their first bytes, as QEMU's own
	// probing does. ext is the end of a name by which QEMU takes a file for one whatever its bytes
	// are, "" for none.
	magic []string
	off   int
	is    func(head []byte) bool
	ext   string
	// extra looks at what QEMU's probing does not: other versions, and the last bytes of a file. It
	// may be nil.
	extra func(head, tail []byte) bool
}

// foreignFormats is a table of what QEMU 7.2 knows by its first bytes and has no driver here.
var foreignFormats = []foreignFormat{
	{
		name: "bochs", words: "a growing image of Bochs",
		magic: []string{bochsMagic + "\x01\x00", bochsMagic + "\x02\x00"},
	},
	{
		name: "cloop", words: "a compressed loop image",
		magic: []string{"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"},
	},
	{name: "dmg", words: "a disk image of Mac OS", ext: ".dmg", extra: isDMG},
	{
		name: "luks", words: "a LUKS encrypted volume",
		magic: []string{luksMagic + "\x01"}, extra: isLUKS2,
	},
	{
		name: "parallels", words: "an image of Parallels",
		magic: []string{"WithoutFreeSpace\x02\x00\x00\x00", "WithouFreSpacExt\x02\x00\x00\x00"},
	},
	{
		name: "qcow", words: "an image of QEMU's format before qcow2",
		magic: []string{"QFI\xfb\x00\x00\x00\x01"},
	},
	{name: "qed", words: "an image of QEMU's enhanced disk format", magic: []string{"QED\x00"}},
	{name: "vdi", words: "an image of VirtualBox", magic: []string{"\x7f\x10\xda\xbe"}, off: 64},
	{name: "vhdx", words: "an image of Hyper-V", magic: []string{"vhdxfile"}},
	{
		name: "vmdk", words: "an image of VMware",
		magic: []string{"KDMV", "COWD"}, is: isVMDK, extra: isOtherVMDK,
	},
	{
		name: "vpc", words: "a VHD image of Virtual PC or Hyper-V",
		magic: []string{"conectix"}, extra: isFixedVHD,
	},
}

// field is the n bytes of head at off, zeroes where it is shorter.
func field(head []byte, off, n int) []byte {
	f := make([]byte, n)
	copy(f, head[min(off, len(head)):])
	return f
}

// hasMagic says whether the first bytes of a file say what it is.
func (f *foreignFormat) hasMagic(head []byte) bool {
	return slices.ContainsFunc(f.magic, func(m string) bool {
		return string(field(head, f.off, len(m))) == m
	})
}

// bochsMagic is what images of Bochs begin with: fields of 32, 16 and 16 bytes, and the lower half
// of the version.
const bochsMagic = "Bochs Virtual HD Image" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"Redolog" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"Growing" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00"

// luksMagic is what both versions of LUKS begin with; one byte more tells them apart.
const luksMagic = "LUKS\xba\xbe\x00"

func isLUKS2(head, _ []byte) bool { return bytes.HasPrefix(head, []byte(luksMagic+"\x02")) }

// isVMDK knows of descriptors what QEMU does: comments and blank lines, then the version.
func isVMDK(head []byte) bool {
	for {
		line, rest, whole := bytes.Cut(head, []byte("\n"))
		text := string(bytes.TrimSuffix(line, []byte("\r")))
		switch {
		case !whole:
			return false
		case text == "version=1", text == "version=2", text == "version=3":
			return true
		case !bytes.HasPrefix(line, []byte("#")) && (text == "" || strings.Trim(text, " ") != ""):
			return false
		}
		head = rest
	}
}

// isOtherVMDK knows the extents of newer snapshots of ESX, which QEMU finds by way of their
// descriptor only, and the title of a descriptor.
func isOtherVMDK(head, _ []byte) bool {
	const blank = "\t\n\f\r "
	title, ok := bytes.CutPrefix(bytes.TrimLeft(head, blank), []byte("#"))
	return isSESparse(head) || ok &&
		bytes.HasPrefix(bytes.TrimLeft(title, blank), []byte("Disk DescriptorFile"))
}

func isSESparse(head []byte) bool {
	return binary.LittleEndian.Uint64(field(head, 0, 8)) == 0xcafebabe &&
		binary.LittleEndian.Uint64(field(head, 8, 8)) == 0x200000001
}

// isDMG knows the trailer, which up to a sector of padding may follow.
func isDMG(_, tail []byte) bool { return bytes.Contains(tail, []byte("koly")) }

// isFixedVHD knows the footer that is all the metadata of a fixed image. It is 512 bytes long, and
// was 511 in the first versions.
func isFixedVHD(_, tail []byte) bool {
	const cookie = "conectix"
	n := len(tail)
	return n >= SectorSize && bytes.HasPrefix(tail[n-SectorSize:], []byte(cookie)) ||
		n >= SectorSize-1 && bytes.HasPrefix(tail[n-SectorSize+1:], []byte(cookie))
}

// ForeignFormatError says that an image is in a format that nothing here can read.
type ForeignFormatError struct {
	Format string // as QEMU calls it
	Words  string // where such images come from
	Image  string
	// Depth is how many images it stands behind.
	Depth int
}

func (e *ForeignFormatError) Error() string {
	return fmt.Sprintf("'%s' has the format %s (%s), which this program cannot read", e.Image,
		e.Format, e.Words)
}

// Hint says how to get at its bytes.
func (e *ForeignFormatError) Hint() string {
	way := "-f raw opens"
	if e.Depth > 0 {
		way = "open -o " + strings.Repeat("backing.", e.Depth) + "driver=raw takes"
	}
	return way + " its bytes as they are; qemu-img convert makes an image that can be read\n"
}

// foreign is the first format without a driver that matches, nil if none does.
func (t *tree) foreign(matches func(*foreignFormat) bool) *foreignFormat {
	for i := range foreignFormats {
		if f := &foreignFormats[i]; t.driver(f.name) == nil && matches(f) {
			return f
		}
	}
	return nil
}

// foreignHead is what the first bytes and the name tell.
func (t *tree) foreignHead(head []byte, name string) *foreignFormat {
	return t.foreign(func(f *foreignFormat) bool {
		switch {
		case f.hasMagic(head), f.is != nil && f.is(head):
			return true
		case t.cfg.LikeQEMU:
			return f.ext != "" && strings.HasSuffix(name, f.ext)
		}
		return f.extra != nil && f.extra(head, nil)
	})
}

// tailSize is how much of the end of a file is looked at, in bytes.
const tailSize = 2 * SectorSize

// foreignTail is what the last bytes tell. They are read from the protocol, past filters that count
// requests or refuse them. What cannot be read tells nothing: nobody asked for it.
func (t *tree) foreignTail(ctx context.Context, file *treeNode) *foreignFormat {
	if t.cfg.LikeQEMU {
		return nil
	}
	for file.driver.Kind != driver.Protocol && file.firstChild() != nil {
		file = file.firstChild()
	}
	size := file.guard.Info().Size
	tail := make([]byte, min(tailSize, size))
	if len(tail) == 0 || file.guard.ReadVec(ctx, Vec{tail}, size-int64(len(tail)), 0) != nil {
		return nil
	}
	return t.foreign(func(f *foreignFormat) bool { return f.extra != nil && f.extra(nil, tail) })
}
