package qcow2

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// Header extensions lie between the header and the name of the backing file: a number, a length and
// bytes, padded to 8.
const (
	extEnd           = 0
	extBackingFormat = 0xe2792aca
	extDataFile      = 0x44415441
	extFeatureNames  = 0x6803f857
	extCrypto        = 0x0537be77
	extBitmaps       = 0x23852875

	maxFormatName   = 16
	maxBitmaps      = 65535
	maxBitmapDir    = 1024 * maxBitmaps
	bitmapsExtSize  = 24
	featureNameSize = 48 // kind, bit and 46 bytes of name

	bitmapsExtDirOff = 16 // of the directory's offset in the extension
)

// extension is one that we keep as it is.
type extension struct {
	kind uint32
	data []byte
}

// bitmapsExt says where the directory of dirty bitmaps is.
type bitmapsExt struct {
	count   uint32
	dirSize uint64
	dirOff  uint64
	at      int64 // of the extension's bytes in the file when the header was read
}

// featureNames are the features that QEMU 7.2 and later name in an image: kind (0 incompatible, 1
// compatible, 2 autoclear), bit, name.
var featureNames = []struct {
	kind, bit byte
	name      string
}{
	{0, 0, "dirty bit"},
	{0, 1, "corrupt bit"},
	{0, 2, "external data file"},
	{0, 3, "compression type"},
	{0, 4, "extended L2 entries"},
	{1, 0, "lazy refcounts"},
	{2, 0, "bitmaps"},
	{2, 1, "raw external data"},
}

// firstCluster reads what lies behind the fields of a header, piece by piece: the rest of the
// cluster need not be readable.
type firstCluster struct {
	ctx  context.Context
	file driver.Node
	h    *header
}

func (c *firstCluster) size() int64 { return 1 << c.h.ClusterBits }

// extensions fills in the extensions of the header. The names of features are only looked at to say
// what is not supported.
func (c *firstCluster) extensions(names func([]byte)) error {
	be := binary.BigEndian
	end := c.size()
	if c.h.BackingOff != 0 {
		end = int64(c.h.BackingOff)
	}
	head := make([]byte, 8)
	c.h.end = int64(c.h.Length)
	for off := int64(c.h.Length); off < end; {
		if off+8 > c.size() {
			return invalid("Header extension too large")
		}
		if err := readAt(c.ctx, c.file, head, off); err != nil {
			return invalid("qcow2_read_extension: ERROR: pread fail from offset %d",
				off)
		}
		kind, n := be.Uint32(head), int64(be.Uint32(head[4:]))
		off += 8
		c.h.end = off
		if off > end || n > end-off {
			return invalid("Header extension too large")
		}
		if kind == extEnd {
			return nil
		}
		if err := c.extension(kind, format.Span{Off: off, Len: n}, names); err != nil {
			return err
		}
		off += (n + 7) &^ 7
		c.h.end = off
	}
	return nil
}

// backingName reads the name of the backing file.
func (c *firstCluster) backingName() error {
	h := c.h
	if h.BackingOff == 0 {
		return nil
	}
	room := uint64(c.size()) - h.BackingOff
	if uint64(h.BackingLen) > min(maxBackingName, room) {
		return invalid("Backing file name too long")
	}
	name, err := c.read(format.Span{Off: int64(h.BackingOff), Len: int64(h.BackingLen)},
		"Could not read backing file name")
	h.backing = cString(name)
	return err
}

// extension takes what one extension says, and reads it only if that matters.
func (c *firstCluster) extension(kind uint32, at format.Span, names func([]byte)) error {
	h := c.h
	switch kind {
	case extBackingFormat:
		if at.Len >= maxFormatName {
			return invalid("ERROR: ext_backing_format: len=%d too large (>=%d)",
				at.Len, maxFormatName)
		}
		name, err := c.read(at, "ERROR: ext_backing_format: Could not read format name")
		h.backingFormat = cString(name)
		return err
	case extDataFile:
		name, err := c.read(at, "ERROR: Could not read data file name")
		h.dataFile = cString(name)
		return err
	case extFeatureNames:
		h.bare = false
		if names == nil {
			return nil
		}
		table, err := c.read(at, "ERROR: ext_feature_table: Could not read table")
		if err == nil {
			names(table)
		}
		return err
	case extCrypto:
		return c.cryptoExtension(at)
	case extBitmaps:
		return c.bitmaps(at)
	}
	data, err := c.read(at, "ERROR: unknown extension: Could not read data")
	h.extensions = append(h.extensions, extension{kind, data})
	return err
}

// read reads a part of the cluster. failed is for the error.
func (c *firstCluster) read(at format.Span, failed string) ([]byte, error) {
	p := make([]byte, at.Len)
	if err := readAt(c.ctx, c.file, p, at.Off); err != nil {
		return nil, refuseWith(err, failed)
	}
	return p, nil
}

func (c *firstCluster) bitmaps(at format.Span) error {
	be, h := binary.BigEndian, c.h
	if at.Len != bitmapsExtSize {
		return invalid("bitmaps_ext: Invalid extension length")
	}
	if h.Autoclear&autoBitmaps == 0 {
		h.staleBitmaps = true // left out of the next header
		return nil
	}
	data, err := c.read(at, "bitmaps_ext: Could not read ext header")
	if err != nil {
		return err
	}
	x := bitmapsExt{
		count: be.Uint32(data), dirSize: be.Uint64(data[8:]),
		dirOff: be.Uint64(data[bitmapsExtDirOff:]), at: at.Off,
	}
	switch {
	case be.Uint32(data[4:]) != 0:
		return invalid("bitmaps_ext: Reserved field is not zero")
	case x.count > maxBitmaps:
		return invalid(
			"bitmaps_ext: Image has %d bitmaps, exceeding the QEMU supported maximum of %d",
			x.count, maxBitmaps)
	case x.count == 0:
		return invalid("found bitmaps extension with zero bitmaps")
	case x.dirOff&(1<<h.ClusterBits-1) != 0:
		return invalid("bitmaps_ext: invalid bitmap directory offset")
	case x.dirSize > maxBitmapDir:
		return invalid(
			"bitmaps_ext: bitmap directory size (%d) exceeds the maximum supported size (%d)",
			x.dirSize, maxBitmapDir)
	}
	if x.dirOff > maxHostOffset {
		return refuseWith(syscall.EIO, "Failed to read bitmap directory")
	}
	h.bitmaps = &x
	return nil
}

// appendExtensions writes them in QEMU's order. Small clusters have no room for the names of
// features.
func (h *header) appendExtensions(b []byte) []byte {
	add := func(kind uint32, data []byte) {
		b = append(appendFields(b, kind, uint32(len(data))), data...)
		b = append(b, make([]byte, -len(data)&7)...)
	}
	if h.backingFormat != "" {
		add(extBackingFormat, []byte(h.backingFormat))
	}
	if h.dataFile != "" {
		add(extDataFile, []byte(h.dataFile))
	}
	if h.crypto.Len > 0 {
		add(extCrypto, appendFields(nil, h.crypto))
	}
	if h.Version >= 3 && h.ClusterBits > 12 && !h.bare {
		add(extFeatureNames, featureTable())
	}
	if x := h.bitmaps; x != nil {
		add(extBitmaps, appendFields(nil, x.count, uint32(0), x.dirSize, x.dirOff))
	}
	for _, x := range h.extensions {
		add(x.kind, x.data)
	}
	add(extEnd, nil)
	return b
}

func featureTable() []byte {
	b := make([]byte, featureNameSize*len(featureNames))
	for i, f := range featureNames {
		row := b[i*featureNameSize:]
		row[0], row[1] = f.kind, f.bit
		copy(row[2:featureNameSize], f.name)
	}
	return b
}

// unsupported names the incompatible features in mask, as far as the image tells their names.
func (c *firstCluster) unsupported(mask uint64) error {
	var list []string
	_ = c.extensions(func(table []byte) { // a broken extension only means fewer names
		for ; len(table) >= featureNameSize && table[2] != 0; table = table[featureNameSize:] {
			if bit := uint64(1) << (table[1] & 63); table[0] == 0 && table[1] < 64 &&
				mask&bit != 0 {
				list = append(list, cString(table[2:featureNameSize]))
				mask &^= bit
			}
		}
	})
	if mask != 0 {
		list = append(list, fmt.Sprintf("Unknown incompatible feature: %x", mask))
	}
	return &driver.UnsupportedError{Format: "qcow2", Features: strings.Join(list, ", ")}
}

// cString is b up to its first zero byte.
func cString(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

// readAt fills p from the image file.
func readAt(ctx context.Context, n driver.Node, p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	return n.ReadVec(ctx, driver.Vec{p}, off, 0)
}
