package qcow2

import (
	"context"
	"encoding/binary"
	"math/bits"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// newHeader checks the options of a new image and makes its header, without any table yet. The
// order of checks is QEMU's.
func newHeader(c *driver.Creating) (*header, error) {
	v := c.Config.(*createConfig)
	h := &header{version: 3, length: headerLenFull}
	switch s := v.Compat; s {
	case "0.10", "v2":
		h.version = 2
	case "1.1", "v3":
	default:
		return nil, refuse(syscall.EINVAL,
			"Invalid compatibility level: '%s'; there are 0.10 (or v2) and 1.1 (or v3)", s)
	}
	if v.ExtendedL2 {
		if h.version < 3 {
			return nil, refuse(syscall.EINVAL,
				"Extended L2 entries are only supported with compatibility level 1.1 and above (use version=v3 or greater)")
		}
		h.incompatible |= featExtendedL2
	}
	if err := h.setCluster(v.ClusterSize.Int()); err != nil {
		return nil, err
	}
	if err := h.setBacking(c); err != nil {
		return nil, err
	}
	if v.LazyRefcounts {
		if h.version < 3 {
			return nil, refuse(syscall.EINVAL,
				"Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)")
		}
		h.compatible |= compatLazyRefcounts
	}
	if err := h.setRefcountWidth(v.RefcountBits); err != nil {
		return nil, err
	}
	if err := h.setDataFile(c); err != nil {
		return nil, err
	}
	if v.CompressionType == compressZstd.String() {
		if h.version < 3 {
			return nil, refuse(syscall.EINVAL,
				"Non-zlib compression type is only supported with compatibility level 1.1 and above (use version=v3 or greater)")
		}
		h.compression = compressZstd
		h.incompatible |= featCompression
	}
	return h, nil
}

func (h *header) setRefcountWidth(width int64) error {
	if width <= 0 || width > 64 || width&(width-1) != 0 {
		return refuse(syscall.EINVAL,
			"Refcount width must be a power of two and may not exceed 64 bits")
	}
	if h.version < 3 && width != 16 {
		return refuse(syscall.EINVAL,
			"Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)")
	}
	h.refOrder = uint32(bits.TrailingZeros64(uint64(width)))
	return nil
}

func (h *header) setCluster(size int64) error {
	if size < 1<<minClusterBits || size > 1<<maxClusterBits || size&(size-1) != 0 {
		return refuse(syscall.EINVAL, "Cluster size must be a power of two between %d and %dk",
			1<<minClusterBits, 1<<(maxClusterBits-10))
	}
	if least := int64(subclusters << minClusterBits); h.incompatible&featExtendedL2 != 0 &&
		size < least {
		return refuse(syscall.EINVAL,
			"Extended L2 entries are only supported with cluster sizes of at least %d bytes", least)
	}
	h.clusterBits = uint32(bits.TrailingZeros64(uint64(size)))
	return nil
}

func (h *header) setBacking(c *driver.Creating) error {
	switch {
	case c.Backing == "" && c.BackingFormat != "":
		return refuse(syscall.EINVAL, "Backing format cannot be used without backing file")
	case c.Backing != "" && c.Config.(*createConfig).Preallocation != "off" &&
		h.incompatible&featExtendedL2 == 0:
		return refuse(syscall.EINVAL,
			"Backing file and preallocation can only be used at the same time if extended_l2 is on")
	case len(c.Backing) > maxBackingName || len(c.BackingFormat) >= maxFormatName:
		return refuse(syscall.EINVAL,
			"Could not assign backing file '%s' with format '%s': Invalid argument", c.Backing,
			c.BackingFormat)
	}
	return nil
}

// setDataFile notes the name of a data file.
func (h *header) setDataFile(c *driver.Creating) error {
	v := c.Config.(*createConfig)
	name, raw := v.DataFile, v.DataFileRaw
	switch {
	case raw && name == "":
		return refuse(syscall.EINVAL, "data-file-raw requires data-file")
	case raw && c.Backing != "":
		return refuse(syscall.EINVAL,
			"Backing file and data-file-raw cannot be used at the same time")
	case name == "":
		return nil
	case h.version < 3:
		return refuse(syscall.EINVAL, "External data files are only supported with compatibility "+
			"level 1.1 and above (use version=v3 or greater)")
	case len(name) > 1<<h.clusterBits/2:
		return refuse(syscall.EINVAL, "The name of the data file is too long for the header")
	}
	h.dataFile, h.incompatible = name, h.incompatible|featDataFile
	if raw {
		h.autoclear |= autoRawData
	}
	return nil
}

// checkCreate decides whether there can be an image with these options and of this length, and of
// which files.
func checkCreate(c *driver.Creating) error {
	h, err := newHeader(c)
	if err != nil {
		return err
	}
	g := newGeometry(h.version, uint(h.clusterBits), uint(h.refOrder),
		h.incompatible&featExtendedL2 != 0)
	if g.l1Entries(c.Size) > maxL1Bytes/l1EntrySize {
		return refuse(syscall.EFBIG,
			"The image size is too large for file format 'qcow2' (try using a larger cluster size)")
	}
	if h.dataFile != "" {
		c.Parts = []driver.Part{{Name: h.dataFile}}
	}
	return checkEncryption(c)
}

// create makes an image: a header, a refcount table with one block, then everything else by the
// means of an open image. All is on stable storage when it returns.
func create(ctx context.Context, c *driver.Creating) error {
	h, err := newHeader(c)
	if err != nil {
		return err
	}
	cluster := int64(1) << h.clusterBits
	h.reftableOff, h.reftableClusters = uint64(cluster), 1
	first := make([]byte, 3*cluster)
	// a device, which does not grow
	if i := c.File.Info(); i.NeedsZeroInit && i.Size < int64(len(first)) {
		return refuse(syscall.ENOSPC, "A qcow2 image takes %d bytes at least", len(first))
	}
	head, err := h.marshal()
	if err != nil {
		return err
	}
	copy(first, head)
	binary.BigEndian.PutUint64(first[cluster:], uint64(2*cluster))
	if err := c.File.WriteVec(ctx, driver.Vec{first}, 0, 0); err != nil {
		return refuseWith(err, "Could not write qcow2 header")
	}
	var defaults config
	if err := driver.Fill(&defaults, &driver.Options{}); err != nil {
		return err
	}
	q := newImage(c.File, &defaults, func(driver.Notice) {})
	defer q.endCaches()
	err = q.load(ctx, func(_ context.Context, h *header) (driver.Node, error) {
		if h.dataFile == "" {
			return nil, nil
		}
		return c.Parts[0].File, nil
	})
	if err != nil {
		return err
	}
	if err := q.fillIn(ctx, c); err != nil {
		return err
	}
	if err := q.Close(); err != nil {
		return err
	}
	return q.sync(ctx)
}

// fillIn counts the first clusters of a new image and gives it its size and backing file.
func (q *image) fillIn(ctx context.Context, c *driver.Creating) error {
	if err := q.Lock(ctx); err != nil {
		return err
	}
	_, err := q.allocate(ctx, 3*q.cluster)
	q.Unlock()
	if err != nil {
		return refuseWith(err, "Could not allocate clusters for qcow2 header and refcount table")
	}
	size := (c.Size + driver.SectorSize - 1) &^ (driver.SectorSize - 1)
	p, _ := driver.ParsePrealloc(c.Config.(*createConfig).Preallocation)
	if err := q.Truncate(ctx, size, p, 0); err != nil {
		return prefix(err, "Could not resize image")
	}
	if err := q.Lock(ctx); err != nil {
		return err
	}
	defer q.Unlock()
	if err := q.assignBacking(ctx, c); err != nil {
		return err
	}
	return q.encrypt(ctx, c)
}

// assignBacking gives a new image its backing file, if it is to have one.
func (q *image) assignBacking(ctx context.Context, c *driver.Creating) error {
	if c.Backing == "" {
		return nil
	}
	q.hdr.backing, q.hdr.backingFormat = c.Backing, c.BackingFormat
	if err := q.writeHeader(ctx); err != nil {
		return refuseWith(err, "Could not assign backing file '"+c.Backing+"' with format '"+
			c.BackingFormat+"'")
	}
	return nil
}
