package qcow2

import (
	"math"
	"math/bits"
	"syscall"
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

// overlapKinds are in the order of their bits.
var overlapKinds = []struct{ option, name, help string }{
	{"main-header", "qcow2_header", "the header"},
	{"active-l1", "active L1 table", "the active L1 table"},
	{"active-l2", "active L2 table", "active L2 tables"},
	{"refcount-table", "refcount table", "the refcount table"},
	{"refcount-block", "refcount block", "refcount blocks"},
	{"snapshot-table", "snapshot table", "the snapshot table"},
	{"inactive-l1", "inactive L1 table", "L1 tables of snapshots"},
	{"inactive-l2", "inactive L2 table", "L2 tables of snapshots (reads them)"},
	{"bitmap-directory", "bitmap directory", "the bitmap directory"},
}

func (o overlap) String() string { return overlapKinds[bits.TrailingZeros(uint(o))].name }

var overlapTemplates = map[string]overlap{
	"none": 0, "constant": overConstant, "cached": overCached,
	"all": overAll,
}

// keys are the options of an open image.
var keys = func() []driver.Key {
	k := []driver.Key{
		{Name: "file", Type: driver.NodeRef, Help: "where the image is stored"},
		{Name: "backing", Type: driver.NodeRef, Help: "backing file, instead of the one that the image names"},
		{Name: "lazy-refcounts", Type: driver.Bool, Help: "write refcounts late; a crash makes a repair at the next open"},
		{Name: "pass-discard-request", Type: driver.Bool, Help: "punch out what a discard frees (default: as discard=)"},
		{Name: "pass-discard-snapshot", Type: driver.Bool, Default: "on", Help: "punch out what deleting a snapshot frees"},
		{Name: "pass-discard-other", Type: driver.Bool, Default: "off", Help: "punch out what else is freed"},
		{Name: "discard-no-unref", Type: driver.Bool, Default: "off", Help: "keep clusters that are discarded"},
		{Name: "overlap-check", Type: driver.String, Help: "metadata to guard against wrong writes: none, constant, cached (default) or all"},
		{Name: "overlap-check.template", Type: driver.String, Help: "the same as overlap-check"},
		{Name: "cache-size", Type: driver.Size, Help: "most memory for metadata"},
		{Name: "l2-cache-size", Type: driver.Size, Help: "most memory for L2 tables"},
		{Name: "l2-cache-entry-size", Type: driver.Size, Help: "bytes of an L2 table that are read at once"},
		{Name: "refcount-cache-size", Type: driver.Size, Help: "most memory for refcount blocks"},
		{Name: "cache-clean-interval", Type: driver.Int, Help: "seconds after which unused metadata is dropped; 0 keeps it"},
	}
	for _, o := range overlapKinds {
		k = append(k,
			driver.Key{Name: "overlap-check." + o.option, Type: driver.Bool, Help: "guard " +
				o.help})
	}
	return k
}()

// discardType says why clusters are given back, which decides whether the file is punched out
// there.
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

// given are the options of an image, less those that later ones have overruled.
type given struct {
	driver.Values
	overruled map[string]bool
}

// Has says whether an option is set and still counts.
func (v given) Has(name string) bool { return !v.overruled[name] && v.Values.Has(name) }

// size is a Size option, 0 if it is not set.
func (v given) size(name string) int64 {
	if !v.Has(name) {
		return 0
	}
	return v.Int(name)
}

// text is a String option, "" if it is not set.
func (v given) text(name string) string {
	if !v.Has(name) {
		return ""
	}
	return v.String(name)
}

// boolOr is a Bool option.
func (v given) boolOr(name string, otherwise bool) bool {
	if v.Has(name) {
		return v.Bool(name)
	}
	return otherwise
}

// with is v after a reopen that left next. What is new overrules what was said before about the
// same thing: a template all overlap checks, a total size both parts, a part the total.
func (v given) with(next driver.Values) given {
	now := given{next, map[string]bool{}}
	for name, gone := range v.overruled {
		now.overruled[name] = gone && !v.changed(next, name)
	}
	overrule := func(names ...string) {
		for _, name := range names {
			now.overruled[name] = now.overruled[name] || !v.changed(next, name)
		}
	}
	if v.changed(next, "overlap-check") || v.changed(next, "overlap-check.template") {
		overrule("overlap-check", "overlap-check.template")
		for _, o := range overlapKinds {
			overrule("overlap-check." + o.option)
		}
	}
	switch {
	case v.changed(next, "cache-size"):
		overrule("l2-cache-size", "refcount-cache-size")
	case v.changed(next, "l2-cache-size"), v.changed(next, "refcount-cache-size"):
		overrule("cache-size")
	}
	return now
}

// changed says whether next sets an option to something else than v.
func (v given) changed(next driver.Values, name string) bool {
	if !next.Has(name) || !v.Values.Has(name) {
		return next.Has(name)
	}
	for _, k := range keys {
		if k.Name != name {
			continue
		}
		switch k.Type {
		case driver.Bool:
			return next.Bool(name) != v.Bool(name)
		case driver.String:
			return next.String(name) != v.String(name)
		default:
			return next.Int(name) != v.Int(name)
		}
	}
	return false
}

// parseSettings reads v for an image of size bytes. compatLazy is what the image itself asks for.
// The order of its checks is QEMU's.
func parseSettings(g *geometry, v given, size int64, unmap, compatLazy bool) (settings, error) {
	s, err := cacheSizes(g, v, size)
	if err != nil {
		return s, err
	}
	interval := int64(defaultCleanInterval)
	if v.Has("cache-clean-interval") {
		interval = v.Int("cache-clean-interval")
	}
	if interval < 0 || interval > math.MaxUint32 {
		return s, refuse(syscall.EINVAL, "Cache clean interval too big")
	}
	s.cleanAfter = time.Duration(interval) * time.Second
	s.lazy = v.boolOr("lazy-refcounts", compatLazy)
	if s.lazy && g.version < 3 {
		return s, refuse(syscall.EINVAL,
			"Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level")
	}
	if s.check, err = parseOverlap(v); err != nil {
		return s, err
	}
	s.punch = [discardTypes]bool{
		discardAlways: true, discardRequest: v.boolOr("pass-discard-request", unmap),
		discardSnapshot: v.Bool("pass-discard-snapshot"),
		discardOther:    v.Bool("pass-discard-other"),
	}
	s.keepRefs = v.Bool("discard-no-unref")
	if s.keepRefs && g.version < 3 {
		return s, refuse(syscall.EINVAL, "discard-no-unref is only supported since qcow2 version 3")
	}
	return s, nil
}

// cacheSizes divides the memory between both caches.
func cacheSizes(g *geometry, v given, size int64) (settings, error) {
	var s settings
	all := g.roundUp(divUp(size, g.cluster) * g.entrySize) // of all L2 tables
	l2Max, refs, entry := int64(defaultL2Cache), v.size("refcount-cache-size"), g.cluster
	if v.Has("l2-cache-size") {
		l2Max = v.Int("l2-cache-size")
	}
	if v.Has("l2-cache-entry-size") {
		entry = v.Int("l2-cache-entry-size")
	}
	l2 := min(all, l2Max)
	if v.Has("cache-size") {
		total := v.Int("cache-size")
		switch {
		case v.Has("l2-cache-size") && v.Has("refcount-cache-size"):
			return s, refuse(syscall.EINVAL,
				"cache-size, l2-cache-size and refcount-cache-size may not be set at the same time")
		case v.Has("l2-cache-size") && l2Max > total:
			return s, refuse(syscall.EINVAL, "l2-cache-size may not exceed cache-size")
		case refs > total:
			return s, refuse(syscall.EINVAL, "refcount-cache-size may not exceed cache-size")
		case v.Has("l2-cache-size"):
			refs = total - l2
		case v.Has("refcount-cache-size"):
			l2 = total - refs
		case total >= all+minRefcountBlocks*g.cluster:
			l2, refs = all, total-all
		default:
			refs = min(total, minRefcountBlocks*g.cluster)
			l2 = total - refs
		}
	}
	if l2 < all && !v.Has("l2-cache-entry-size") {
		entry = min(g.cluster, smallL2Entry)
	}
	if entry < 1<<minClusterBits || entry > g.cluster || entry&(entry-1) != 0 {
		return s, refuse(syscall.EINVAL,
			"L2 cache entry size must be a power of two between %d and the cluster size (%d)",
			1<<minClusterBits, g.cluster)
	}
	tables, blocks := max(l2/entry, minL2Tables), max(refs/g.cluster, minRefcountBlocks)
	if tables > math.MaxInt32 {
		return s, refuse(syscall.EINVAL, "L2 cache size too big")
	}
	if blocks > math.MaxInt32 {
		return s, refuse(syscall.EINVAL, "Refcount cache size too big")
	}
	s.l2Unit, s.l2Tables, s.refBlocks = entry, int(tables), int(blocks)
	return s, nil
}

func parseOverlap(v given) (overlap, error) {
	name, template := v.text("overlap-check"), v.text("overlap-check.template")
	if v.Has("overlap-check") && v.Has("overlap-check.template") && name != template {
		return 0, refuse(syscall.EINVAL,
			"Conflicting values for qcow2 options 'overlap-check' ('%s') and 'overlap-check.template' ('%s')", name, template)
	}
	if !v.Has("overlap-check") {
		name = "cached"
		if v.Has("overlap-check.template") {
			name = template
		}
	}
	set, ok := overlapTemplates[name]
	if !ok {
		return 0, refuse(syscall.EINVAL,
			"Unsupported value '%s' for qcow2 option 'overlap-check'. Allowed are any of the following: none, constant, cached, all", name)
	}
	for i, o := range overlapKinds {
		bit := overlap(1) << i
		if v.boolOr("overlap-check."+o.option, set&bit != 0) {
			set |= bit
		} else {
			set &^= bit
		}
	}
	return set, nil
}
