package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// measure gives the figures of qemu-img measure: metadata is counted as if all clusters were in
// use.
func measure(ctx context.Context, m *driver.Measuring) (driver.Measured, error) {
	h, err := newHeader(m.Creating)
	if err != nil {
		return driver.Measured{}, err
	}
	g := h.geometry()
	guest := g.roundUp(m.Size)
	full := guest + g.metadata(guest)
	data := int64(0)
	prealloc := m.Config.(*createConfig).Preallocation
	switch {
	case prealloc == "full" || prealloc == "falloc", m.Backing != "" && m.Data != nil:
		data = guest // how much of it the backing file shares nobody knows
	case m.Data != nil:
		if data, err = m.Data(ctx, g.cluster); err != nil {
			return driver.Measured{}, err
		}
	}
	crypto, err := m.Config.(*createConfig).encryptionLen(&g)
	if err != nil {
		return driver.Measured{}, err
	}
	full += crypto
	size := driver.Measured{Required: full - guest + data, FullyAllocated: full}
	if size.HasBitmaps = m.Bitmaps != nil && h.Version >= 3; size.HasBitmaps {
		size.Bitmaps = g.bitmapBytes(m.Bitmaps, m.Size)
	}
	return size, nil
}

// bitmapBytes is what bitmaps of an image of size bytes take if no part of them is left out.
func (g *geometry) bitmapBytes(list []driver.Bitmap, size int64) (bytes int64) {
	directory := int64(0)
	for _, b := range list {
		if b.Inconsistent {
			continue
		}
		clusters := g.clustersIn(divUp(divUp(size, b.Granularity), bitmapBitsPerByte))
		bytes += clusters<<g.clusterBits + g.roundUp(clusters*8)
		entry := bitmap{nameLen: int64(len(b.Name))}
		directory += entry.length()
	}
	return bytes + g.roundUp(directory)
}

// metadata is how many bytes of the file are not data if all of so many guest bytes have clusters:
// the header, whole L2 tables, the L1 table, and refcounts for all that.
func (g *geometry) metadata(guest int64) int64 {
	tables := divUp(guest>>g.clusterBits, 1<<g.l2Bits)
	l1 := g.clustersIn(tables * l1EntrySize)
	clusters := 1 + tables + l1
	blocks, table := g.refcountMeta(clusters+guest>>g.clusterBits, false)
	return (clusters + blocks + table) << g.clusterBits
}
