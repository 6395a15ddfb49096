package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev"
)

// l1Table counts an L1 table and all that it leads to.
func (c *checker) l1Table(ctx context.Context, off, n int64, fix blockdev.Fix, active bool) error {
	q := c.q
	if n == 0 {
		return nil
	}
	c.count(off, n*l1EntrySize)
	buf := make([]byte, q.cluster)
	return c.eachWord(ctx, off, n, func(w uint64, err error) error {
		switch {
		case err != nil:
			c.say("ERROR: I/O error in check_refcounts_l1")
			c.res.CheckErrors++
			return err
		case w == 0:
			return nil
		}
		return c.l1Entry(ctx, w, buf, fix, active)
	})
}

// eachWord calls do for the words of a table of n, or for the error with which reading them failed. Those behind the end of the file, which
// are zero, are left out: a table may claim to be far longer than the file is.
func (c *checker) eachWord(ctx context.Context, off, n int64, do func(w uint64, err error) error) error {
	const piece = 8192 // words
	n = min(n, max(1, divUp(c.q.fileLength()-off, 8)))
	for done := int64(0); done < n; done += piece {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		words, err := c.q.readTable(ctx, off+done*8, min(piece, n-done))
		if err != nil {
			return do(0, err)
		}
		for _, w := range words {
			if err := do(w, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) l1Entry(ctx context.Context, w uint64, buf []byte, fix blockdev.Fix, active bool) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if w&l1Reserved != 0 {
		c.say("ERROR found L1 entry with reserved bits set: %x", w)
		c.res.Corruptions++
	}
	at := int64(w & offsetMask)
	c.count(at, c.q.cluster)
	if c.q.within(at) != 0 {
		c.say("ERROR l2_offset=%x: Table is not cluster aligned; L1 entry corrupted", at)
		c.res.Corruptions++
	}
	if err := readAt(ctx, c.q.file, buf, at); err != nil {
		c.say("ERROR: I/O error in check_refcounts_l2")
		c.res.CheckErrors++
		return err
	}
	return c.l2Table(ctx, at, buf, fix, active)
}

// l2Table counts what the entries of an L2 table refer to.
func (c *checker) l2Table(ctx context.Context, at int64, data []byte, fix blockdev.Fix, active bool) error {
	q := c.q
	s := slice{&table{off: at, data: data}, &q.geometry, at}
	next := int64(0) // where the cluster would be that continues the last one
	for i := range s.slots() {
		e := s.entry(i)
		k := q.clusterKind(e)
		if k != compressed && e.desc&l2Reserved != 0 {
			c.say("ERROR found l2 entry with reserved bits set: %x", e.desc)
			c.res.Corruptions++
		}
		switch k {
		case compressed:
			c.compressedEntry(i, e, active)
		case normal, zeroHost:
			if c.misaligned(e) && c.emptyPlace(e) && fix&blockdev.FixErrors != 0 {
				lost, err := c.zeroEntry(ctx, s, i, active)
				if lost {
					return err
				}
				if err == nil {
					continue
				}
			}
			if active {
				c.res.AllocatedClusters++
				if next != 0 && e.host() != next {
					c.res.FragmentedClusters++
				}
				next = e.host() + q.cluster
			}
			c.count(e.host(), q.cluster)
		case unallocated:
			if e.bitmap&allAlloc != 0 {
				c.res.Corruptions++
				c.say("ERROR: Unallocated cluster has non-zero subcluster allocation map")
			}
		}
	}
	return nil
}

func (c *checker) compressedEntry(i int64, e entry, active bool) {
	if e.desc&flagCopied != 0 {
		off, _ := c.q.compressedAt(e.desc)
		c.say("ERROR: coffset=0x%x: copied flag must never be set for compressed clusters", off)
		c.res.Corruptions++
		e.desc &^= flagCopied
	}
	if e.bitmap != 0 {
		c.say("ERROR compressed cluster %d with non-zero subcluster allocation bitmap, entry=0x%x", i, e.desc)
		c.res.Corruptions++
		return
	}
	c.count(c.q.compressedAt(e.desc))
	if active {
		c.res.AllocatedClusters++
		c.res.CompressedClusters++
		c.res.FragmentedClusters++ // by nature
	}
}

// misaligned reports an entry whose place or bitmap cannot be.
func (c *checker) misaligned(e entry) bool {
	if e.bitmap>>32&e.bitmap != 0 {
		c.res.Corruptions++
		c.say("ERROR offset=%x: Allocated cluster has corrupted subcluster allocation bitmap", e.host())
	}
	if c.q.within(e.host()) == 0 {
		return false
	}
	c.res.Corruptions++
	switch {
	case !c.emptyPlace(e):
		c.say("ERROR offset=%x: Data cluster is not properly aligned; L2 entry corrupted.", e.host())
	case c.fix&blockdev.FixErrors != 0:
		c.say("Repairing offset=%x: Preallocated cluster is not properly aligned; L2 entry corrupted.", e.host())
	default:
		c.say("ERROR offset=%x: Preallocated cluster is not properly aligned; L2 entry corrupted.", e.host())
	}
	return true
}

// emptyPlace says whether no guest data is at the place that an entry gives.
func (c *checker) emptyPlace(e entry) bool {
	if c.q.extended {
		return e.bitmap&allAlloc == 0
	}
	return e.desc&flagZero != 0
}

// zeroEntry makes an entry read as zeroes without a place. lost says that the table itself lies on other metadata.
func (c *checker) zeroEntry(ctx context.Context, s slice, i int64, active bool) (lost bool, err error) {
	q := c.q
	own := overInactiveL2
	if active {
		own = overL2
	}
	e := s.entry(i)
	if q.extended {
		e = entry{bitmap: (e.bitmap | e.bitmap<<32) & allZero}
	} else {
		e = entry{desc: flagZero}
	}
	s.set(i, e)
	at := s.off + i*q.entrySize
	if err := q.guardMetadata(ctx, own, at, q.entrySize); err != nil {
		c.say("ERROR: Overlap check failed")
		c.res.CheckErrors++
		return true, err
	}
	if err := q.writeSync(ctx, s.data[i*q.entrySize:][:q.entrySize], at); err != nil {
		c.say("ERROR: Failed to overwrite L2 table entry: %s", errnoText(err))
		c.res.CheckErrors++
		return false, err
	}
	c.res.Corruptions--
	c.res.CorruptionsFixed++
	return false, nil
}

// copiedFlags checks that the copied flags of the active tables say exactly which refcounts are one.
func (c *checker) copiedFlags(ctx context.Context) error {
	q := c.q
	repair := c.fix&blockdev.FixErrors != 0 ||
		c.fix != 0 && c.res.CheckErrors == 0 && c.res.Corruptions == 0 && c.res.Leaks == 0
	word := "ERROR"
	if repair {
		word = "Repairing"
	}
	buf := make([]byte, q.cluster)
	for i, w := range q.l1 {
		at := int64(w & offsetMask)
		if at == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		count, err := q.refcountOf(ctx, at>>q.clusterBits)
		if err != nil {
			continue // was reported when the counts were compared
		}
		if (count == 1) != (w&flagCopied != 0) {
			c.say("%s OFLAG_COPIED L2 cluster: l1_index=%d l1_entry=%x refcount=%d", word, i, w, count)
			if !repair {
				c.res.Corruptions++
			} else {
				q.l1[i] = w ^ flagCopied
				if err := q.writeL1Entry(ctx, int64(i)); err != nil {
					c.res.CheckErrors++
					return err
				}
				c.res.CorruptionsFixed++
			}
		}
		if err := c.copiedFlagsL2(ctx, at, buf, word, repair); err != nil {
			c.res.CheckErrors++
			return err
		}
	}
	return nil
}

func (c *checker) copiedFlagsL2(ctx context.Context, at int64, buf []byte, word string, repair bool) error {
	q := c.q
	if err := readAt(ctx, q.file, buf, at); err != nil {
		c.say("ERROR: Could not read L2 table: %s", errnoText(err))
		return err
	}
	s := slice{&table{off: at, data: buf}, &q.geometry, at}
	changed := int64(0)
	for i := range s.slots() {
		e := s.entry(i)
		if k := q.clusterKind(e); k != normal && k != zeroHost {
			continue
		}
		count, err := q.refcountOf(ctx, e.host()>>q.clusterBits)
		if err != nil || (count == 1) == (e.desc&flagCopied != 0) {
			continue
		}
		c.say("%s OFLAG_COPIED data cluster: l2_entry=%x refcount=%d", word, e.desc, count)
		c.res.Corruptions++
		if repair {
			e.desc ^= flagCopied
			s.set(i, e)
			changed++
		}
	}
	if changed == 0 {
		return nil
	}
	if err := q.guardMetadata(ctx, overL2, at, q.cluster); err != nil {
		c.say("ERROR: Could not write L2 table; metadata overlap check failed: %s", errnoText(err))
		return err
	}
	if err := q.writeFile(ctx, buf, at); err != nil {
		c.say("ERROR: Could not write L2 table: %s", errnoText(err))
		return err
	}
	q.l2.forget(at, q.cluster) // read again as it is in the file now
	c.res.Corruptions -= changed
	c.res.CorruptionsFixed += changed
	return nil
}
