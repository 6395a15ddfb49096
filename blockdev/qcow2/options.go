package qcow2

import (
	"math"
	"math/bits"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
)

// Cache sizes, as QEMU 7.2 has them on Linux.
const (
	defaultL2Cache       = 32 << 20 // bytes
	minL2Tables          = 2
	minRefcountBlocks    = 4
	defaultCleanInterval = 600 // seconds
	smallL2Entry         = 4096
)

// overlap is a set of kinds of metadata that a write must not touch.
type overlap uint

const (
	overHeader overlap = 1 << iota
	overL1
	overL2
	overReftable
	overRefblock
	overSnapshots
	overInactiveL1
	overInactiveL2
	overBitmaps

	overConstant = overHeader | overL1 | overReftable | overSnapshots | overBitmaps
	overCached   = overConstant | overL2 | overRefblock | overInactiveL1
	overAll      = overCached | overInactiveL2
)

// overlapNames are in the order of their bits.
var overlapNames = []string{
	"qcow2_header", "active L1 table", "active L2 table", "refcount table", "refcount block",
	"snapshot table", "inactive L1 table", "inactive L2 table", "bitmap directory",
}

func (o overlap) String() string { return overlapNames[bits.TrailingZeros(uint(o))] }

// overlapTemplate is what a value of overlap-check guards.
func overlapTemplate(name string) (_ overlap, ok bool) {
	switch name {
	case "none":
		return 0, true
	case "constant":
		return overConstant, true
	case "cached":
		return overCached, true
	case "all":
		return overAll, true
	}
	return 0, false
}

// discardType is why clusters are given back, as QEMU's discard types. It decides whether the file
// is punched out there.
type discardType uint8

const (
	discardNever discardType = iota
	discardAlways
	discardRequest
	discardSnapshot
	discardOther
	discardTypes
)

// settings are the options of an open image that reopening may change.
type settings struct {
	lazy       bool
	punch      [discardTypes]bool
	keepRefs   bool // discard-no-unref
	check      overlap
	l2Unit     int64 // bytes of a cached part of an L2 table
	l2Tables   int
	refBlocks  int
	cleanAfter time.Duration
}

// parseSettings reads the options that count for a length of size bytes.
func (q *image) parseSettings(size int64) (settings, error) {
	return parseSettings(&q.geometry, &q.given.config, size, q.unmap, q.hdr.lazy())
}

// parseSettings reads v for an image of size bytes. compatLazy is what the image itself asks for.
// The order of its checks is QEMU's.
func parseSettings(g *geometry, v *config, size int64, unmap, compatLazy bool) (settings, error) {
	s, err := cacheSizes(g, v, size)
	if err != nil {
		return s, err
	}
	interval := or(v.CacheCleanInterval, defaultCleanInterval)
	if interval < 0 || interval > math.MaxUint32 {
		return s, invalid("Cache clean interval too big")
	}
	s.cleanAfter = time.Duration(interval) * time.Second
	s.lazy = or(v.LazyRefcounts, compatLazy)
	if s.lazy && g.version < 3 {
		return s, invalid(
			"Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level")
	}
	if s.check, err = parseOverlap(v); err != nil {
		return s, err
	}
	s.punch = [discardTypes]bool{
		discardAlways: true, discardRequest: or(v.PassDiscardRequest, unmap),
		discardSnapshot: v.PassDiscardSnapshot,
		discardOther:    v.PassDiscardOther,
	}
	s.keepRefs = v.DiscardNoUnref
	if s.keepRefs && g.version < 3 {
		return s, invalid("discard-no-unref is only supported since qcow2 version 3")
	}
	return s, nil
}

// cacheSizes divides the memory between both caches.
func cacheSizes(g *geometry, v *config, size int64) (settings, error) {
	var s settings
	all := g.roundUp(divUp(size, g.cluster) * g.entrySize) // of all L2 tables
	l2Max := or(v.L2CacheSize, defaultL2Cache).Int()
	refs := or(v.RefcountCacheSize, 0).Int()
	entry := or(v.L2CacheEntrySize, driver.Bytes(g.cluster)).Int()
	l2 := min(all, l2Max)
	if v.CacheSize != nil {
		total := v.CacheSize.Int()
		switch {
		case v.L2CacheSize != nil && v.RefcountCacheSize != nil:
			return s, invalid(
				"cache-size, l2-cache-size and refcount-cache-size may not be set at the same time")
		case v.L2CacheSize != nil && l2Max > total:
			return s, invalid("l2-cache-size may not exceed cache-size")
		case refs > total:
			return s, invalid("refcount-cache-size may not exceed cache-size")
		case v.L2CacheSize != nil:
			refs = total - l2
		case v.RefcountCacheSize != nil:
			l2 = total - refs
		case total >= all+minRefcountBlocks*g.cluster:
			l2, refs = all, total-all
		default:
			refs = min(total, minRefcountBlocks*g.cluster)
			l2 = total - refs
		}
	}
	if l2 < all && v.L2CacheEntrySize == nil {
		entry = min(g.cluster, smallL2Entry)
	}
	if entry < 1<<minClusterBits || entry > g.cluster || entry&(entry-1) != 0 {
		return s, invalid(
			"L2 cache entry size must be a power of two between %d and the cluster size (%d)",
			1<<minClusterBits, g.cluster)
	}
	tables, blocks := max(l2/entry, minL2Tables), max(refs/g.cluster, minRefcountBlocks)
	if tables > math.MaxInt32 {
		return s, invalid("L2 cache size too big")
	}
	if blocks > math.MaxInt32 {
		return s, invalid("Refcount cache size too big")
	}
	s.l2Unit, s.l2Tables, s.refBlocks = entry, int(tables), int(blocks)
	return s, nil
}

func parseOverlap(v *config) (overlap, error) {
	if v.OverlapCheck != nil && v.OverlapTemplate != nil && *v.OverlapCheck != *v.OverlapTemplate {
		return 0, invalid(
			"Conflicting values for qcow2 options 'overlap-check' ('%s') and 'overlap-check.template' ('%s')",
			*v.OverlapCheck, *v.OverlapTemplate)
	}
	name := or(v.OverlapCheck, or(v.OverlapTemplate, "cached"))
	set, ok := overlapTemplate(name)
	if !ok {
		return 0, invalid(
			"Unsupported value '%s' for qcow2 option 'overlap-check'. Allowed are any of the following: none, constant, cached, all", name)
	}
	for i, guard := range v.Overlap.all() {
		bit := overlap(1) << i
		if or(*guard, set&bit != 0) {
			set |= bit
		} else {
			set &^= bit
		}
	}
	return set, nil
}
