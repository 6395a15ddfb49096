package qcow2

import (
	"context"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// rebuildAll makes new refcount blocks and a new refcount table out of the counts. The old ones
// leak and are given back if leaks are to be repaired.
func (c *checker) rebuildAll(ctx context.Context) error {
	q := c.q
	old := c.res
	c.say("Rebuilding refcount structure")
	r := &rebuilder{c: c}
	if err := r.run(ctx); err != nil {
		return c.failed(err, "%s", reason(err))
	}
	q.nextFree, q.byteOff = 0, 0
	c.res.Corruptions, c.res.Leaks, c.rebuild, c.recount = 0, 0, false, recount{}
	c.res.AllocatedClusters, c.res.FragmentedClusters, c.res.CompressedClusters = 0, 0, 0
	fix := c.fix
	c.fix = 0
	if err := c.countAll(ctx); err != nil {
		return err
	}
	c.fix = fix
	fresh := int64(0)
	if c.fix&driver.FixLeaks != 0 {
		saved := c.res
		c.res = driver.CheckResult{}
		if err := c.compare(ctx, driver.FixLeaks); err != nil {
			return err
		}
		if c.rebuild {
			c.say("ERROR rebuilt refcount structure is still broken")
		}
		fresh, c.res = c.res.Leaks, saved
	}
	c.res.CorruptionsFixed += max(0, old.Corruptions-c.res.Corruptions)
	c.res.LeaksFixed += max(0, old.Leaks-c.res.Leaks)
	c.res.Leaks += fresh
	return nil
}

// maxRebuildGap is how far behind the end of the file new refcounts may begin, in bytes: as long as
// the L1 table may be, which may be said to lie there.
const maxRebuildGap = maxL1Bytes

// rebuilder writes refcounts from a checker's counts, in which it takes the clusters that it needs.
type rebuilder struct {
	c     *checker
	table []uint64 // the new refcount table
}

func (r *rebuilder) run(ctx context.Context) error {
	q := r.c.q
	q.refs.Reset()
	q.l2.Release(q.refs)
	if _, err := r.blocks(ctx, 0, r.c.clusters); err != nil {
		return refuseWith(err, "ERROR writing refblock")
	}
	var at int64
	for grown := true; grown; {
		// The table needs clusters, whose counts need blocks, which may make the table grow; then
		// it needs a new place.
		n := q.clustersIn(int64(len(r.table)) * reftableEntrySize)
		from := int64(0)
		var err error
		if at, err = r.take(ctx, n, &from); err != nil {
			return err
		}
		if grown, err = r.blocks(ctx, at, at+n); err != nil {
			return refuseWith(err, "ERROR writing refblock")
		}
	}
	off := at << q.clusterBits
	err := q.writeTable(ctx, overRefblock, r.table, off)
	if err == nil {
		err = q.file.Flush(ctx)
	}
	if err != nil {
		return refuseWith(err, "ERROR writing reftable")
	}
	return refuseWith(q.pointToReftable(ctx, r.table, off), "ERROR setting reftable")
}

// blocks writes the refcount blocks for all clusters from first to end that are in use, and says
// whether the table grew for them.
func (r *rebuilder) blocks(ctx context.Context, first, end int64) (grown bool, err error) {
	q := r.c.q
	per := int64(1) << q.blockBits
	free := int64(0)
	for cluster := first; cluster < end; cluster++ {
		if cluster%countPage == 0 {
			if err := format.Interrupted(ctx); err != nil {
				return grown, err
			}
			if r.c.recount.unused(cluster) {
				cluster += countPage - 1
				continue
			}
		}
		if r.c.recount.get(cluster) == 0 {
			continue
		}
		i := cluster >> q.blockBits
		if i >= int64(len(r.table)) || r.table[i] == 0 {
			free = max(free, i<<q.blockBits) // never into a block that is written already
			at, err := r.take(ctx, 1, &free)
			if err != nil {
				return grown, err
			}
			end = max(end, at+1)
			if i >= int64(len(r.table)) {
				perCluster := q.cluster / reftableEntrySize
				longer := make([]uint64, divUp(i+1, perCluster)*perCluster)
				copy(longer, r.table)
				r.table, grown = longer, true
			}
			r.table[i] = uint64(at << q.clusterBits)
		}
		if err := r.writeBlock(ctx, i); err != nil {
			return grown, err
		}
		cluster = (i+1)*per - 1
	}
	return grown, nil
}

func (r *rebuilder) writeBlock(ctx context.Context, i int64) error {
	q := r.c.q
	buf := make([]byte, q.cluster)
	for k := range int64(1) << q.blockBits {
		if n := r.c.recount.get(i<<q.blockBits + k); n > 0 {
			q.setRefcount(buf, k, n)
		}
	}
	at := int64(r.table[i])
	if err := q.guardMetadata(ctx, overRefblock, at, q.cluster); err != nil {
		return err
	}
	return q.writeFile(ctx, buf, at)
}

// take counts n free clusters in a row, the first ones from *from on or else at the end, and
// returns where they begin. *from moves to the first gap that was found, even if it was too small.
func (r *rebuilder) take(ctx context.Context, n int64, from *int64) (int64, error) {
	c := r.c
	cluster, run, gap := *from, int64(0), false
	for last := max(*from, c.clusters) + c.q.clustersIn(maxRebuildGap); run < n; cluster++ {
		if run == 0 && cluster > last {
			return 0, syscall.EFBIG
		}
		free, err := r.free(ctx, cluster)
		if err != nil {
			return 0, err
		}
		if !free {
			run = 0
			continue
		}
		run++
		if !gap {
			*from, gap = cluster, true
		}
	}
	cluster -= run
	c.clusters = max(c.clusters, cluster+n)
	for i := range n {
		c.recount.set(cluster+i, 1)
	}
	return cluster, nil
}

// free says whether nothing refers to a cluster. Tables that are said to end behind the file were
// not counted and are in use all the same; the refcount blocks of old are either counted or none.
func (r *rebuilder) free(ctx context.Context, cluster int64) (bool, error) {
	if cluster%countPage == 0 {
		if err := format.Interrupted(ctx); err != nil {
			return false, err
		}
	}
	if r.c.recount.get(cluster) != 0 {
		return false, nil
	}
	q := r.c.q
	hit, err := q.overlaps(ctx, q.settings.check&^overRefblock, cluster<<q.clusterBits, q.cluster)
	return hit == 0, err
}
