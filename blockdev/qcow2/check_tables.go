package qcow2

import (
	"context"
	"maps"
	"slices"

	"github.com/blksh/blksh/blockdev/internal/format"
)

// maxReferences is how many L2 tables are noted before they are looked at.
const maxReferences = 1 << 18

// references says how often each L2 table is referred to, by its offset. Snapshots share most of
// their tables, and a damaged L1 table may refer to few ones ever again: each is looked at once,
// and what is in it counts as often as it is referred to.
type references map[int64]int64

// l1Tables are L1 tables with how often each is in use.
type l1Tables struct {
	list  []format.Span // in bytes
	times map[format.Span]int64
}

func (t *l1Tables) add(off, words int64) {
	s := format.Span{Off: off, Len: words * l1EntrySize}
	if t.times == nil {
		t.times = map[format.Span]int64{}
	}
	if t.times[s] == 0 {
		t.list = append(t.list, s)
	}
	t.times[s]++
}

// trees counts L1 tables and all that they lead to.
func (c *checker) trees(ctx context.Context, tables l1Tables) error {
	refs := references{}
	for _, t := range tables.list {
		err := c.counting(tables.times[t], func() error { return c.l1Table(ctx, t, refs) })
		if err != nil {
			return err
		}
	}
	return c.l2Tables(ctx, refs)
}

// counting has everything that do finds count so many times.
func (c *checker) counting(times int64, do func() error) error {
	old := c.times
	c.times = times
	defer func() { c.times = old }()
	return do()
}

// l1Table counts an L1 table and notes the L2 tables that it refers to.
func (c *checker) l1Table(ctx context.Context, t format.Span, refs references) error {
	if t.Len == 0 {
		return nil
	}
	c.count(t.Off, t.Len)
	return c.q.eachWord(ctx, t.Off, t.Len/l1EntrySize, func(_ int64, w uint64, err error) error {
		switch {
		case err != nil:
			return c.failed(err, "ERROR: I/O error in check_refcounts_l1")
		case w == 0:
			return nil
		}
		c.l1Entry(w, refs)
		if len(refs) < maxReferences {
			return nil
		}
		return c.l2Tables(ctx, refs)
	})
}

// eachWord calls do for the words of a table of n, with their indexes, or for the error with which
// reading them failed. Those behind the end of the file, which are zero, are left out: a table may
// claim to be far longer than the file is.
func (q *image) eachWord(
	ctx context.Context, off, n int64, do func(i int64, w uint64, err error) error,
) error {
	const piece = 8192 // words
	n = min(n, max(1, divUp(q.fileLength()-off, 8)))
	for done := int64(0); done < n; done += piece {
		if err := format.Interrupted(ctx); err != nil {
			return err
		}
		words, err := q.readTable(ctx, off+done*8, min(piece, n-done))
		if err != nil {
			return do(done, 0, err)
		}
		for i, w := range words {
			if err := do(done+int64(i), w, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) l1Entry(w uint64, refs references) {
	if w&l1Reserved != 0 {
		c.wrong("ERROR found L1 entry with reserved bits set: %x", w)
	}
	at := int64(w & offsetMask)
	c.count(at, c.q.cluster)
	if c.q.within(at) != 0 {
		c.wrong("ERROR l2_offset=%x: Table is not cluster aligned; L1 entry corrupted", at)
	}
	if at < c.length { // behind it all is zero
		refs[at] += c.times
	}
}

// l2Tables counts what L2 tables refer to, and empties refs.
func (c *checker) l2Tables(ctx context.Context, refs references) error {
	return refs.each(ctx, c.q, func(s slice, times int64) error {
		if err := readAt(ctx, c.q.file, s.Data, s.Off); err != nil {
			return c.failed(err, "ERROR: I/O error in check_refcounts_l2")
		}
		c.foreign = c.isForeign(s.Off, times)
		return c.counting(times, func() error { return c.l2Table(ctx, s) })
	})
}

// isForeign says whether what is taken for an L2 table of a snapshot, which so many L1 entries
// refer to, is something else for the active disk: data, or another table. Where the L1 table of a
// snapshot is garbage it may be, and is not to be written then.
func (c *checker) isForeign(at, times int64) bool {
	if c.active || !c.mayFix() {
		return false
	}
	used := c.recount.get(at >> c.q.clusterBits)
	if used <= uint64(times) {
		return false
	}
	for _, w := range c.q.l1 {
		if int64(w&offsetMask) == at {
			times++
		}
	}
	return used > uint64(times)
}

// each calls do for L2 tables in the order of their offsets, with memory for their bytes and how
// often they are referred to, and empties refs.
func (refs references) each(
	ctx context.Context, q *image, do func(s slice, times int64) error,
) error {
	buf := make([]byte, q.cluster)
	for _, at := range slices.Sorted(maps.Keys(refs)) {
		if err := format.Interrupted(ctx); err != nil {
			return err
		}
		s := slice{&format.Table{Off: at, Data: buf}, &q.geometry, at}
		if err := do(s, refs[at]); err != nil {
			return err
		}
	}
	clear(refs)
	return nil
}

// l2Table counts what the entries of an L2 table refer to.
func (c *checker) l2Table(ctx context.Context, s slice) error {
	q := c.q
	next := int64(0) // where the cluster would be that continues the last one
	for i := range s.slots() {
		e := s.entry(i)
		k := q.clusterType(e)
		if k != compressed && e.desc&l2Reserved != 0 {
			c.wrong("ERROR found l2 entry with reserved bits set: %x", e.desc)
		}
		switch k {
		case compressed:
			c.compressedEntry(i, e)
		case normal, zeroHost:
			if c.misaligned(e) && c.mayZero(e) {
				lost, err := c.zeroEntry(ctx, s, i)
				if lost {
					return err
				}
				if err == nil {
					continue
				}
			}
			if c.active {
				c.res.AllocatedClusters += c.times
				if next != 0 && e.host() != next {
					c.res.FragmentedClusters += c.times
				}
				next = e.host() + q.cluster
			}
			if !q.external() {
				c.count(e.host(), q.cluster)
			} else if k == normal && c.cutOff(e) {
				c.lost += c.times
			}
		case unallocated:
			if e.bitmap&allAlloc != 0 {
				c.wrong("ERROR: Unallocated cluster has non-zero subcluster allocation map")
			}
		}
	}
	return nil
}

// cutOff says whether a cluster with data is behind the end of the data file, which is as long as
// the disk.
func (c *checker) cutOff(e entry) bool {
	return e.host() >= c.q.Data.Info().Size && e.host() < c.q.size.Load() &&
		(!c.q.extended || e.bitmap&allAlloc != 0)
}

func (c *checker) compressedEntry(i int64, e entry) {
	if e.desc&flagCopied != 0 {
		off, _ := c.q.compressedAt(e.desc)
		c.wrong("ERROR: coffset=0x%x: copied flag must never be set for compressed clusters", off)
		e.desc &^= flagCopied
	}
	if c.q.external() {
		c.wrong("ERROR compressed cluster %d with data file, entry=0x%x", i, e.desc)
		return
	}
	if e.bitmap != 0 {
		c.wrong("ERROR compressed cluster %d with non-zero subcluster allocation bitmap, entry=0x%x", i, e.desc)
		return
	}
	c.count(c.q.compressedAt(e.desc))
	if c.active {
		c.res.AllocatedClusters += c.times
		c.res.CompressedClusters += c.times
		c.res.FragmentedClusters += c.times // by nature
	}
}

// misaligned reports an entry whose place or bitmap cannot be.
func (c *checker) misaligned(e entry) bool {
	if e.bitmap>>32&e.bitmap != 0 {
		c.wrong("ERROR offset=%x: Allocated cluster has corrupted subcluster allocation bitmap",
			e.host())
	}
	if c.q.within(e.host()) == 0 {
		return false
	}
	what := "Data"
	if c.emptyHost(e) {
		what = "Preallocated"
	}
	c.wrong("%s offset=%x: %s cluster is not properly aligned; L2 entry corrupted.",
		repairing(c.mayZero(e)), e.host(), what)
	return true
}

// mayZero says whether an entry whose place cannot be is to be made zeroes without one.
func (c *checker) mayZero(e entry) bool { return c.emptyHost(e) && c.mayFix() && !c.foreign }

// emptyHost says whether the host cluster of an entry holds no guest data.
func (c *checker) emptyHost(e entry) bool {
	if c.q.extended {
		return e.bitmap&allAlloc == 0
	}
	return e.desc&flagZero != 0
}

// zeroEntry makes an entry read as zeroes without a place. lost says that the table itself lies on
// other metadata.
func (c *checker) zeroEntry(ctx context.Context, s slice, i int64) (lost bool, err error) {
	q := c.q
	own := overInactiveL2
	if c.active {
		own = overL2
	}
	e := s.entry(i)
	if q.extended {
		e = entry{bitmap: (e.bitmap | e.bitmap<<32) & allZero}
	} else {
		e = entry{desc: flagZero}
	}
	s.set(i, e)
	at := s.Off + i*q.entrySize
	if err := q.guardMetadata(ctx, own, at, q.entrySize); err != nil {
		return true, c.failed(err, "ERROR: Overlap check failed")
	}
	if err := q.writeSync(ctx, s.Data[i*q.entrySize:][:q.entrySize], at); err != nil {
		return false, c.failed(err, "ERROR: Failed to overwrite L2 table entry: %s", errnoText(err))
	}
	c.res.Corruptions -= c.times
	c.res.CorruptionsFixed++
	return false, nil
}

// copiedFlags checks that the copied flags of the active tables say exactly which refcounts are
// one.
func (c *checker) copiedFlags(ctx context.Context) error {
	q := c.q
	f := &flags{c, c.mayFix() ||
		c.fix != 0 && c.res.CheckErrors == 0 && c.res.Corruptions == 0 && c.res.Leaks == 0}
	refs := references{}
	for i, w := range q.l1 {
		at := int64(w & offsetMask)
		if at == 0 {
			continue
		}
		count, err := q.refcountOf(ctx, at>>q.clusterBits)
		if err != nil {
			continue // was reported when the counts were compared
		}
		if (count == 1) != (w&flagCopied != 0) {
			if err := f.l1Entry(ctx, int64(i), count); err != nil {
				return err
			}
		}
		if at < c.length {
			refs[at]++
		}
		if len(refs) >= maxReferences {
			if err := f.l2Tables(ctx, refs); err != nil {
				return err
			}
		}
	}
	return f.l2Tables(ctx, refs)
}

// flags judges copied flags, or repairs them.
type flags struct {
	*checker
	repair bool
}

// l1Entry deals with a wrong flag in the L1 table.
func (f *flags) l1Entry(ctx context.Context, i int64, count uint64) error {
	q := f.q
	f.say("%s OFLAG_COPIED L2 cluster: l1_index=%d l1_entry=%x refcount=%d", repairing(f.repair),
		i, q.l1[i], count)
	if !f.repair {
		f.res.Corruptions++
		return nil
	}
	q.l1[i] ^= flagCopied
	if err := q.writeL1Entry(ctx, i); err != nil {
		f.res.CheckErrors++
		return err
	}
	f.res.CorruptionsFixed++
	return nil
}

// l2Tables looks at tables, and empties refs.
func (f *flags) l2Tables(ctx context.Context, refs references) error {
	return refs.each(ctx, f.q, func(s slice, times int64) error { return f.l2Table(ctx, s, times) })
}

// references is how often a cluster of data is referred to. Those of a data file have no refcounts
// and are never shared.
func (f *flags) references(ctx context.Context, e entry) (uint64, error) {
	if f.q.external() {
		return 1, nil
	}
	return f.q.refcountOf(ctx, e.host()>>f.q.clusterBits)
}

// l2Table looks at a table that is referred to so many times.
func (f *flags) l2Table(ctx context.Context, s slice, times int64) error {
	q := f.q
	if err := readAt(ctx, q.file, s.Data, s.Off); err != nil {
		return f.failed(err, "ERROR: Could not read L2 table: %s", errnoText(err))
	}
	wrong := int64(0)
	for i := range s.slots() {
		e := s.entry(i)
		if k := q.clusterType(e); k != normal && k != zeroHost {
			continue
		}
		count, err := f.references(ctx, e)
		if err != nil || (count == 1) == (e.desc&flagCopied != 0) {
			continue
		}
		f.say("%s OFLAG_COPIED data cluster: l2_entry=%x refcount=%d", repairing(f.repair), e.desc,
			count)
		wrong++
		e.desc ^= flagCopied
		s.set(i, e)
	}
	f.res.Corruptions += wrong * times
	if wrong == 0 || !f.repair {
		return nil
	}
	if err := q.guardMetadata(ctx, overL2, s.Off, q.cluster); err != nil {
		return f.failed(err, "ERROR: Could not write L2 table; metadata overlap check failed: %s",
			errnoText(err))
	}
	if err := q.writeFile(ctx, s.Data, s.Off); err != nil {
		return f.failed(err, "ERROR: Could not write L2 table: %s", errnoText(err))
	}
	q.l2.Forget(s.Off, q.cluster) // read again as it is in the file now
	f.res.Corruptions -= wrong * times
	f.res.CorruptionsFixed += wrong
	return nil
}
