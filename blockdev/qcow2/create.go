package qcow2

import (
	"context"
	"encoding/binary"
	"math/bits"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// newHeader checks the options of a new image and makes its header, without any table yet. The
// order of checks is QEMU's.
func newHeader(c *driver.Creating) (*header, error) {
	v := c.Config.(*createConfig)
	h := &header{}
	h.Length = headerLenFull
	if h.Version = versionOf(v.Compat); h.Version == 0 {
		return nil, invalid(
			"Invalid compatibility level: '%s'; there are 0.10 (or v2) and 1.1 (or v3)", v.Compat)
	}
	if v.ExtendedL2 {
		if h.Version < 3 {
			return nil, invalid(
				"Extended L2 entries are only supported with compatibility level 1.1 and above (use version=v3 or greater)")
		}
		h.Incompatible |= featExtendedL2
	}
	if err := h.setCluster(v.ClusterSize.Int()); err != nil {
		return nil, err
	}
	if err := h.setBacking(c); err != nil {
		return nil, err
	}
	if v.LazyRefcounts {
		if h.Version < 3 {
			return nil, invalid(
				"Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)")
		}
		h.Compatible |= compatLazyRefcounts
	}
	if err := h.setRefcountWidth(v.RefcountBits); err != nil {
		return nil, err
	}
	if err := h.setDataFile(c); err != nil {
		return nil, err
	}
	if v.CompressionType == compressZstd.String() {
		if h.Version < 3 {
			return nil, invalid(
				"Non-zlib compression type is only supported with compatibility level 1.1 and above (use version=v3 or greater)")
		}
		h.Compression = compressZstd
		h.Incompatible |= featCompression
	}
	return h, nil
}

// versionOf is the version that an option calls so, 0 for none.
func versionOf(compat string) uint32 {
	switch compat {
	case "0.10", "v2":
		return 2
	case "1.1", "v3":
		return 3
	}
	return 0
}

// refcountOrder is log2 of the bits in a refcount.
func refcountOrder(width int64) (uint, error) {
	if width <= 0 || width > 64 || width&(width-1) != 0 {
		return 0, invalid("Refcount width must be a power of two and may not exceed 64 bits")
	}
	return uint(bits.TrailingZeros64(uint64(width))), nil
}

func (h *header) setRefcountWidth(width int64) error {
	order, err := refcountOrder(width)
	if err == nil && h.Version < 3 && width != 16 {
		err = invalid(
			"Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)")
	}
	h.RefOrder = uint32(order)
	return err
}

func (h *header) setCluster(size int64) error {
	if size < 1<<minClusterBits || size > 1<<maxClusterBits || size&(size-1) != 0 {
		return invalid("Cluster size must be a power of two between %d and %dk",
			1<<minClusterBits, 1<<(maxClusterBits-10))
	}
	if least := int64(subclusters << minClusterBits); h.Incompatible&featExtendedL2 != 0 &&
		size < least {
		return invalid(
			"Extended L2 entries are only supported with cluster sizes of at least %d bytes", least)
	}
	h.ClusterBits = uint32(bits.TrailingZeros64(uint64(size)))
	return nil
}

func (h *header) setBacking(c *driver.Creating) error {
	switch {
	case c.Backing == "" && c.BackingFormat != "":
		return invalid("Backing format cannot be used without backing file")
	case c.Backing != "" && c.Config.(*createConfig).Preallocation != "off" &&
		h.Incompatible&featExtendedL2 == 0:
		return invalid(
			"Backing file and preallocation can only be used at the same time if extended_l2 is on")
	case len(c.Backing) > maxBackingName || len(c.BackingFormat) >= maxFormatName:
		return invalid(
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
		return invalid("data-file-raw requires data-file")
	case raw && c.Backing != "":
		return invalid("Backing file and data-file-raw cannot be used at the same time")
	case name == "":
		return nil
	case h.Version < 3:
		return invalid("External data files are only supported with compatibility " +
			"level 1.1 and above (use version=v3 or greater)")
	case len(name) > 1<<h.ClusterBits/2:
		return invalid("The name of the data file is too long for the header")
	}
	h.dataFile, h.Incompatible = name, h.Incompatible|featDataFile
	if raw {
		h.Autoclear |= autoRawData
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
	if g := h.geometry(); g.l1Entries(c.Size) > maxL1Bytes/l1EntrySize {
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
	cluster := int64(1) << h.ClusterBits
	h.ReftableOff, h.ReftableClusters = uint64(cluster), 1
	first := make([]byte, 3*cluster)
	if err := fits(c, h); err != nil {
		return err
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

// fits refuses a new image that has no room in devices that are given for it.
func fits(c *driver.Creating, h *header) error {
	v, g := c.Config.(*createConfig), h.geometry()
	crypto, err := v.encryptionLen(&g)
	if err != nil {
		return err
	}
	guest := g.roundUp(c.Size)
	need := 3*g.cluster + g.roundUp(g.l1Entries(c.Size)*l1EntrySize) + crypto
	if v.Preallocation != "off" {
		need = g.metadata(guest) + crypto
		if h.dataFile == "" {
			need += guest
		}
	}
	if err := format.Fits(c.File, need); err != nil || h.dataFile == "" {
		return err
	}
	return format.Fits(c.Parts[0].File, c.Size)
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
	p, _ := driver.ParsePrealloc(c.Config.(*createConfig).Preallocation)
	if err := q.Truncate(ctx, driver.WholeSectors(c.Size), p, 0); err != nil {
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
	return refuseWith(q.writeHeader(ctx), "Could not assign backing file '"+c.Backing+
		"' with format '"+c.BackingFormat+"'")
}
