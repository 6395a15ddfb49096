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

// header is the header of an image, with its extensions and the name of the backing file: all of
// the first cluster.
type header struct {
	version                             uint32
	backingOff                          uint64
	backingLen                          uint32
	clusterBits                         uint32
	size                                uint64
	crypt                               uint32
	l1Size                              uint32
	l1Off                               uint64
	reftableOff                         uint64
	reftableClusters                    uint32
	snapshots                           uint32
	snapshotsOff                        uint64
	incompatible, compatible, autoclear uint64
	refOrder                            uint32
	length                              uint32
	compression                         compression
	unknown                             []byte // fields behind those we know
	backing, backingFormat              string
	dataFile                            string
	bare                                bool        // without the names of features
	end                                 int64       // of the extensions, in the first cluster
	crypto                              format.Span // of the LUKS header
	bitmaps                             *bitmapsExt
	// a program wrote to the image and did not keep the bitmaps
	staleBitmaps bool
	extensions   []extension // the ones we do not know
}

// parseHeader reads the fixed fields and judges what needs no look at anything else. b has
// headerLenFull bytes.
func parseHeader(b []byte) (*header, error) {
	be := binary.BigEndian
	if be.Uint32(b) != magic {
		return nil, refuse(syscall.EINVAL, "Image is not in qcow2 format")
	}
	h := &header{
		version: be.Uint32(b[4:]), backingOff: be.Uint64(b[8:]), backingLen: be.Uint32(b[16:]),
		clusterBits: be.Uint32(b[20:]), size: be.Uint64(b[24:]), crypt: be.Uint32(b[32:]),
		l1Size: be.Uint32(b[36:]), l1Off: be.Uint64(b[40:]),
		reftableOff: be.Uint64(b[48:]), reftableClusters: be.Uint32(b[56:]),
		snapshots: be.Uint32(b[60:]), snapshotsOff: be.Uint64(b[64:]),
		refOrder: 4, length: headerLenV2,
	}
	if h.version < 2 || h.version > 3 {
		return nil, &driver.UnsupportedError{Format: "qcow2", Version: h.version}
	}
	if h.clusterBits < minClusterBits || h.clusterBits > maxClusterBits {
		return nil, refuse(syscall.EINVAL, "Unsupported cluster size: 2^%d", h.clusterBits)
	}
	if h.version == 3 {
		h.incompatible, h.compatible, h.autoclear = be.Uint64(b[72:]), be.Uint64(b[80:]),
			be.Uint64(b[88:])
		h.refOrder, h.length = be.Uint32(b[96:]), be.Uint32(b[100:])
		if h.length < headerLenV3 {
			return nil, refuse(syscall.EINVAL, "qcow2 header too short")
		}
	}
	if h.length > 1<<h.clusterBits {
		return nil, refuse(syscall.EINVAL, "qcow2 header exceeds cluster size")
	}
	if h.backingOff > 1<<h.clusterBits {
		return nil, refuse(syscall.EINVAL, "Invalid backing file offset")
	}
	if h.length > headerLenV3 {
		h.compression = compression(b[104])
	}
	return h, nil
}

// checkCompression says whether the compression type is one we know, and the feature bit agrees
// with it.
func (h *header) checkCompression() error {
	marked := h.incompatible&featCompression != 0
	switch {
	case int(h.compression) >= len(compressionNames):
		return refuse(syscall.ENOTSUP, "qcow2: unknown compression type: %d", h.compression)
	case h.compression == compressZlib && marked:
		return refuse(syscall.EINVAL,
			"qcow2: Compression type incompatible feature bit must not be set")
	case h.compression != compressZlib && !marked:
		return refuse(syscall.EINVAL,
			"qcow2: Compression type incompatible feature bit must be set")
	}
	return nil
}

// checkTables judges sizes and places of the tables. A checker may open images that have no
// refcounts or a broken snapshot table.
func (h *header) checkTables(checking bool) error {
	cluster := uint64(1) << h.clusterBits
	if h.reftableClusters == 0 && !checking {
		return damaged(refuse(syscall.EINVAL, "Image does not contain a reference count table"))
	}
	err := h.checkTable("Reference count table", h.reftableOff, uint64(h.reftableClusters), cluster,
		maxReftableBytes)
	if err == nil && !checking {
		err = damaged(
			h.checkTable("Snapshot table", h.snapshotsOff, uint64(h.snapshots), snapshotFixed,
				maxSnapshotsBytes))
	}
	if err == nil {
		err = h.checkTable("Active L1 table", h.l1Off, uint64(h.l1Size), l1EntrySize, maxL1Bytes)
	}
	return err
}

func (h *header) checkTable(name string, off, entries, entrySize, limit uint64) error {
	if entries > limit/entrySize {
		return refuse(syscall.EFBIG, "%s too large", name)
	}
	if math.MaxInt64-entries*entrySize < off || off&(1<<h.clusterBits-1) != 0 {
		return &driver.TableOffsetError{Table: name}
	}
	return nil
}

// marshal is the first cluster of the image. It fails with ENOSPC if the cluster is too small for
// all of it.
func (h *header) marshal() ([]byte, error) {
	cluster := 1 << h.clusterBits
	b := h.fields()
	h.end = int64(len(b))
	if h.backing != "" {
		if at := int(h.backingOff); h.bare && len(b) < at && at+len(h.backing) <= cluster {
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
	be := binary.BigEndian
	b := make([]byte, 0, 1<<h.clusterBits)
	b = be.AppendUint32(b, magic)
	b = be.AppendUint32(b, h.version)
	b = be.AppendUint64(b, 0) // backing file, see setName
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, h.clusterBits)
	b = be.AppendUint64(b, h.size)
	b = be.AppendUint32(b, h.crypt)
	b = be.AppendUint32(b, h.l1Size)
	b = be.AppendUint64(b, h.l1Off)
	b = be.AppendUint64(b, h.reftableOff)
	b = be.AppendUint32(b, h.reftableClusters)
	b = be.AppendUint32(b, h.snapshots)
	b = be.AppendUint64(b, h.snapshotsOff)
	if h.version >= 3 {
		b = be.AppendUint64(b, h.incompatible)
		b = be.AppendUint64(b, h.compatible)
		b = be.AppendUint64(b, h.autoclear)
		b = be.AppendUint32(b, h.refOrder)
		b = be.AppendUint32(b, uint32(headerLenFull+len(h.unknown)))
		b = append(b, byte(h.compression), 0, 0, 0, 0, 0, 0, 0)
	}
	b = append(b, h.unknown...)
	return h.appendExtensions(b)
}

// refuse is an error in QEMU's words around an error number.
func refuse(no syscall.Errno, text string, args ...any) error {
	return driver.RefuseAs(no, text, args...)
}

// refuseWith is text with the C library's words for what caused it.
func refuseWith(err error, text string) error {
	return driver.RefuseAs(err, "%s: %s", text, errnoText(err))
}

// prefix puts text before a refusal's own words.
func prefix(err error, text string) error {
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
