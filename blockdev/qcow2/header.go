package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

const magic = 0x514649fb // "QFI\xfb"

// Lengths of the header, in bytes.
const (
	headerLenV2   = 72
	headerLenV3   = 104 // the least that version 3 may have
	headerLenFull = 112 // with the compression type
)

// Places of header fields that are written on their own.
const (
	offSize           = 24 // encryption, length and offset of the L1 table follow
	offL1Size         = 36 // the L1 offset follows
	offReftable       = 48 // its length in clusters follows
	offSnapshots      = 60 // their number, the offset follows
	offIncompatible   = 72
	maxBackingName    = 1023
	maxSnapshotsBytes = snapshotFixed * maxSnapshots
)

// Incompatible features: a program that does not know one must not open the image.
const (
	featDirty uint64 = 1 << iota
	featCorrupt
	featDataFile
	featCompression
	featExtendedL2

	knownIncompatible = featDirty | featCorrupt | featDataFile | featCompression | featExtendedL2
)

// compatLazyRefcounts is a feature that may be ignored: refcounts may be written late.
const compatLazyRefcounts uint64 = 1

// Autoclear features: a program that does not know one may write, and clears the bit first.
const (
	autoBitmaps uint64 = 1 << iota
	autoRawData
)

// compression is the way in which compressed clusters are stored.
type compression uint8

const (
	compressZlib compression = iota
	compressZstd
)

var compressionNames = []string{"zlib", "zstd"}

func (c compression) String() string { return compressionNames[c] }

// fieldsV2 are the fields of both versions, as the file has them.
type fieldsV2 struct {
	Magic, Version   uint32
	BackingOff       uint64
	BackingLen       uint32
	ClusterBits      uint32
	Size             uint64
	Crypt            uint32
	L1Size           uint32
	L1Off            uint64
	ReftableOff      uint64
	ReftableClusters uint32
	Snapshots        uint32
	SnapshotsOff     uint64
}

// fieldsV3 are the fields behind those in version 3, the compression type included, which need not
// be there.
type fieldsV3 struct {
	Incompatible, Compatible, Autoclear uint64
	RefOrder, Length                    uint32
	Compression                         compression
	_                                   [7]byte
}

// header is the header of an image, with its extensions and the name of the backing file: all of
// the first cluster.
type header struct {
	fieldsV2
	fieldsV3
	unknown                []byte // fields behind those we know
	backing, backingFormat string
	dataFile               string
	bare                   bool        // without the names of features
	end                    int64       // of the extensions, in the first cluster
	crypto                 format.Span // of the LUKS header
	bitmaps                *bitmapsExt
	// a program wrote to the image and did not keep the bitmaps
	staleBitmaps bool
	extensions   []extension // the ones we do not know
}

// parseHeader reads the fixed fields and judges what needs no look at anything else. b has
// headerLenFull bytes.
func parseHeader(b []byte) (*header, error) {
	h := &header{fieldsV3: fieldsV3{RefOrder: 4, Length: headerLenV2}}
	if _, err := binary.Decode(b, binary.BigEndian, &h.fieldsV2); err != nil {
		return nil, err
	}
	if h.Magic != magic {
		return nil, invalid("Image is not in qcow2 format")
	}
	if h.Version < 2 || h.Version > 3 {
		return nil, &driver.UnsupportedError{Format: "qcow2", Version: h.Version}
	}
	if h.ClusterBits < minClusterBits || h.ClusterBits > maxClusterBits {
		return nil, invalid("Unsupported cluster size: 2^%d", h.ClusterBits)
	}
	if h.Version == 3 {
		_, err := binary.Decode(b[headerLenV2:], binary.BigEndian, &h.fieldsV3)
		switch {
		case err != nil:
			return nil, err
		case h.Length < headerLenV3:
			return nil, invalid("qcow2 header too short")
		case h.Length == headerLenV3:
			h.Compression = compressZlib
		}
	}
	if h.Length > 1<<h.ClusterBits {
		return nil, invalid("qcow2 header exceeds cluster size")
	}
	if h.BackingOff > 1<<h.ClusterBits {
		return nil, invalid("Invalid backing file offset")
	}
	return h, nil
}

// lazy says whether the image asks for late refcounts.
func (h *header) lazy() bool { return h.Compatible&compatLazyRefcounts != 0 }

// checkCompression says whether the compression type is one we know, and the feature bit agrees
// with it.
func (h *header) checkCompression() error {
	marked := h.Incompatible&featCompression != 0
	switch {
	case int(h.Compression) >= len(compressionNames):
		return refuse(syscall.ENOTSUP, "qcow2: unknown compression type: %d", h.Compression)
	case h.Compression == compressZlib && marked:
		return invalid("qcow2: Compression type incompatible feature bit must not be set")
	case h.Compression != compressZlib && !marked:
		return invalid("qcow2: Compression type incompatible feature bit must be set")
	}
	return nil
}

// checkTables judges sizes and places of the tables. A checker may open images that have no
// refcounts or a broken snapshot table.
func (h *header) checkTables(checking bool) error {
	cluster := uint64(1) << h.ClusterBits
	if h.ReftableClusters == 0 && !checking {
		return damaged(invalid("Image does not contain a reference count table"))
	}
	err := h.checkTable("Reference count table", h.ReftableOff, uint64(h.ReftableClusters), cluster,
		maxReftableBytes)
	if err == nil && !checking {
		err = damaged(
			h.checkTable("Snapshot table", h.SnapshotsOff, uint64(h.Snapshots), snapshotFixed,
				maxSnapshotsBytes))
	}
	if err == nil {
		err = h.checkTable("Active L1 table", h.L1Off, uint64(h.L1Size), l1EntrySize, maxL1Bytes)
	}
	return err
}

func (h *header) checkTable(name string, off, entries, entrySize, limit uint64) error {
	if entries > limit/entrySize {
		return refuse(syscall.EFBIG, "%s too large", name)
	}
	if math.MaxInt64-entries*entrySize < off || off&(1<<h.ClusterBits-1) != 0 {
		return &driver.TableOffsetError{Table: name}
	}
	return nil
}

// marshal is the first cluster of the image. It fails with ENOSPC if the cluster is too small for
// all of it.
func (h *header) marshal() ([]byte, error) {
	cluster := 1 << h.ClusterBits
	b := h.fields()
	h.end = int64(len(b))
	if h.backing != "" {
		if at := int(h.BackingOff); h.bare && len(b) < at && at+len(h.backing) <= cluster {
			b = append(b, make([]byte, at-len(b))...) // it stays where it is
		}
		h.setName(b, int64(len(b)))
		b = append(b, h.backing...)
	}
	if len(b) > cluster {
		return nil, fmt.Errorf("qcow2 header of %d bytes in a cluster of %d: %w", len(b), cluster,
			syscall.ENOSPC)
	}
	return append(b, make([]byte, cluster-len(b))...), nil
}

// fields is the header with its extensions, without the name of the backing file.
func (h *header) fields() []byte {
	v2, v3 := h.fieldsV2, h.fieldsV3
	v2.Magic, v2.BackingOff, v2.BackingLen = magic, 0, 0 // see setName
	v3.Length = uint32(headerLenFull + len(h.unknown))
	b := appendFields(make([]byte, 0, 1<<h.ClusterBits), v2)
	if h.Version >= 3 {
		b = appendFields(b, v3)
	}
	b = append(b, h.unknown...)
	return h.appendExtensions(b)
}

// appendFields appends integers, or structs of them, as they are in the file.
func appendFields(b []byte, fields ...any) []byte {
	for _, f := range fields {
		var err error
		if b, err = binary.Append(b, binary.BigEndian, f); err != nil {
			panic(err) // of a type without a size
		}
	}
	return b
}

// geometry is what follows from the header.
func (h *header) geometry() geometry {
	g := newGeometry(h.Version, uint(h.ClusterBits), uint(h.RefOrder),
		h.Incompatible&featExtendedL2 != 0)
	g.dataFile = h.Incompatible&featDataFile != 0
	return g
}

// refuse is an error in QEMU's words around an error number.
func refuse(no syscall.Errno, text string, args ...any) error {
	return driver.RefuseAs(no, text, args...)
}

// invalid is refuse for what cannot be.
func invalid(text string, args ...any) error { return refuse(syscall.EINVAL, text, args...) }

// refuseWith is text with the C library's words for what caused it. nil stays nil.
func refuseWith(err error, text string) error {
	if err == nil {
		return nil
	}
	return driver.RefuseAs(err, "%s: %s", text, errnoText(err))
}

// prefix puts text before a refusal's own words. nil stays nil.
func prefix(err error, text string) error {
	if err == nil {
		return nil
	}
	return driver.RefuseAs(err, "%s: %s", text, reason(err))
}

// errnoText is the C library's words for the number of an error.
func errnoText(err error) string { return driver.ErrnoText(driver.Errno(err)) }

// reason is a refusal's own words, or the C library's for an error number.
func reason(err error) string {
	var r *driver.Refusal
	if errors.As(err, &r) {
		return r.Text
	}
	return errnoText(err)
}
