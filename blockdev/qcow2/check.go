package qcow2

import (
	"context"
	"fmt"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// maxMessages bounds what a check remembers to say; the numbers are right in any case.
const maxMessages = 10000

// checker counts all references anew and compares them with the refcounts. Its words and numbers
// are qemu-img's.
type checker struct {
	q        *image
	fix      driver.Fix
	say      func(format string, args ...any)
	res      driver.CheckResult
	recount  recount
	length   int64 // of the file, in bytes
	clusters int64 // of the file
	rebuild  bool  // the refcounts cannot be put right one by one
	highest  int64 // last cluster in use
	lost     int64 // clusters behind the end of a data file
	// how often what is looked at is referred to: so often counts what is found in it
	times  int64
	active bool // it belongs to the active L1 table
	// what is taken for an L2 table is in use as something else too
	foreign bool
	tell    tellCluster // nil: nobody wants to know
}

// tellCluster gets a cluster of a file of so many bytes, see driver.ClusterChecker.
type tellCluster = func(file, off, n int64, as driver.ClusterState)

// Check judges the metadata, and repairs what fix allows.
func (q *image) Check(ctx context.Context, fix driver.Fix) (driver.CheckResult, error) {
	return q.checkAlone(ctx, fix, nil)
}

// CheckClusters judges the metadata and tells of clusters.
func (q *image) CheckClusters(ctx context.Context, tell tellCluster) (driver.CheckResult, error) {
	return q.checkAlone(ctx, 0, tell)
}

// checkAlone checks while nothing else is under way.
func (q *image) checkAlone(ctx context.Context, fix driver.Fix,
	tell tellCluster,
) (driver.CheckResult, error) {
	if err := q.LockAnyway(ctx); err != nil {
		return driver.CheckResult{}, err
	}
	defer q.Unlock()
	if q.loaded {
		return driver.CheckResult{}, refuse(syscall.EBUSY,
			"A snapshot of the image is open; the image is checked without it")
	}
	if q.readOnly && fix != 0 {
		return driver.CheckResult{}, syscall.EROFS
	}
	// what writes have taken looks like leaks until it is linked
	if err := q.WaitIdle(ctx, 0, math.MaxInt64); err != nil {
		return driver.CheckResult{}, err
	}
	if !q.readOnly {
		if err := inOrder(ctx, q.flushCaches, q.barrier); err != nil {
			return driver.CheckResult{}, err
		}
	}
	// counts need the memory, and tables are read past the caches
	q.l2.Empty()
	q.refs.Empty()
	var lines []string
	res, err := q.check(ctx, fix, tell, func(format string, args ...any) {
		if len(lines) < maxMessages {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	})
	if err == nil && fix != 0 {
		err = q.file.Flush(ctx) // what is called repaired stays so
	}
	res.Messages = lines
	return res, err
}

// noteCheck reports a line of a check that nobody asked for.
func (q *image) noteCheck(format string, args ...any) {
	q.Notify(driver.CheckNote{Text: fmt.Sprintf(format, args...)})
}

// repairDirty repairs an image that was not closed, saying what it does.
func (q *image) repairDirty(ctx context.Context) error {
	res, err := q.check(ctx, driver.FixErrors|driver.FixLeaks, nil, q.noteCheck)
	if err == nil && res.CheckErrors > 0 {
		err = syscall.EIO
	}
	if err != nil {
		return refuseWith(err, "Could not repair dirty image")
	}
	return nil
}

func (q *image) check(
	ctx context.Context, fix driver.Fix, tell tellCluster, say func(string, ...any),
) (driver.CheckResult, error) {
	ctx = format.Uncancelled(ctx)
	c := &checker{q: q, fix: fix, say: say, times: 1, tell: tell}
	if fix != 0 {
		if err := q.dropUnknownAutoclear(ctx); err != nil {
			return c.res, err
		}
	}
	if err := c.checkAll(ctx); err != nil {
		return c.res, err
	}
	if fix == 0 {
		return c.res, nil
	}
	if err := q.flushCaches(ctx); err != nil {
		return c.res, err
	}
	if c.res.CheckErrors > 0 || c.res.Corruptions > 0 {
		return c.res, nil
	}
	q.unrepaired, q.repairDue = false, false
	if err := q.markClean(ctx); err != nil {
		return c.res, err
	}
	if q.hdr.Incompatible&featCorrupt != 0 {
		return c.res, q.rewriteFeatures(ctx, q.hdr.Incompatible&^featCorrupt)
	}
	return c.res, nil
}

// checkAll checks the snapshot table first, on which the rest relies; it can be written anew only
// when the refcounts are right.
func (c *checker) checkAll(ctx context.Context) error {
	wrong, err := c.snapshotTable(ctx)
	if err != nil {
		return err
	}
	rewrite := wrong > 0 && c.mayFix()
	var entries [][]byte
	// now: what of the table is in the file may be given back where it cannot be there as a whole
	if rewrite {
		entries, err = c.q.wholeSnapshots(ctx)
	}
	if err == nil {
		err = c.refcounts(ctx)
	}
	if err == nil && rewrite {
		if err = c.q.replaceSnapshots(ctx, entries); err == nil {
			c.res.CorruptionsFixed += wrong
			return nil
		}
		_ = c.failed(err, "ERROR failed to update snapshot table: %s", errnoText(err))
	}
	c.res.Corruptions += wrong
	return err
}

// refcounts compares all references with the refcounts, then the copied flags with both.
func (c *checker) refcounts(ctx context.Context) error {
	q := c.q
	c.clusters = q.clustersIn(q.fileLength())
	if c.clusters > math.MaxInt32 {
		c.res.CheckErrors++
		return syscall.EFBIG
	}
	c.res.TotalClusters = q.clustersIn(q.size.Load())
	if err := c.countAll(ctx); err != nil {
		return err
	}
	if c.lost > 0 {
		c.say("ERROR: the data file ends at %d, before %d of its clusters", q.Data.Info().Size,
			c.lost)
		c.res.Corruptions += c.lost
	}
	before := c.res
	if err := c.compare(ctx, 0); err != nil {
		return err
	}
	switch {
	case c.rebuild && c.mayFix():
		if err := c.rebuildAll(ctx); err != nil {
			return err
		}
	case c.rebuild && c.fix != 0:
		return c.failed(syscall.EIO, "ERROR need to rebuild refcount structures")
	case c.fix != 0 && c.res.Leaks+c.res.Corruptions > 0:
		c.res = before
		if err := c.compare(ctx, c.fix); err != nil {
			return err
		}
	}
	if err := c.copiedFlags(ctx); err != nil {
		return err
	}
	c.res.ImageEnd = (c.highest + 1) << q.clusterBits
	return nil
}

// countAll counts every reference there is.
func (c *checker) countAll(ctx context.Context) error {
	q, h := c.q, c.q.hdr
	c.length = q.fileLength()
	c.count(0, q.cluster)
	var active, inactive l1Tables
	active.add(int64(h.L1Off), int64(len(q.l1)))
	c.active = true
	if err := c.trees(ctx, active); err != nil {
		return err
	}
	for _, s := range q.snapshots {
		c.snapshot(ctx, s, &inactive)
	}
	c.active = false
	if err := c.trees(ctx, inactive); err != nil {
		return err
	}
	c.count(int64(h.SnapshotsOff), q.snapBytes)
	c.count(int64(h.ReftableOff), int64(len(q.reftable))*reftableEntrySize)
	c.count(h.crypto.Off, h.crypto.Len)
	if err := c.bitmaps(ctx); err != nil {
		return err
	}
	c.refblocks()
	return nil
}

// count adds a reference to all clusters that a range touches. The last cluster of a file may be
// shorter than the others.
func (c *checker) count(off, n int64) {
	if n <= 0 {
		return
	}
	q := c.q
	if c.tooLong(off, n) {
		c.wrong("ERROR: counting reference for region exceeding the end of the file by one cluster or more: offset 0x%x size 0x%x", off, n)
		return
	}
	for at := q.startOf(off); at <= q.startOf(off+n-1); at += q.cluster {
		cluster := at >> q.clusterBits
		c.clusters = max(c.clusters, cluster+1)
		count := c.recount.get(cluster)
		more := uint64(c.times)
		if over := more - min(more, q.refMax-count); over > 0 {
			c.say("ERROR: overflow cluster offset=0x%x", at)
			c.say("Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy if the image cannot be opened for writing")
			c.res.Corruptions += int64(over)
			more -= over
		}
		c.recount.set(cluster, count+more)
	}
}

// tooLong says that a range ends a whole cluster or more behind the file. It is not counted.
func (c *checker) tooLong(off, n int64) bool { return off >= c.length-n+c.q.cluster }

// wrong tells of something that cannot be, and counts it.
func (c *checker) wrong(format string, args ...any) {
	c.say(format, args...)
	c.res.Corruptions += c.times
}

// failed tells of what keeps the check from its end, or a repair from its own, and returns err.
func (c *checker) failed(err error, format string, args ...any) error {
	c.say(format, args...)
	c.res.CheckErrors++
	return err
}

// repairing is how what is told of an error begins, which may be one that is put right.
func repairing(fixed bool) string {
	if fixed {
		return "Repairing"
	}
	return "ERROR"
}

// mayFix says whether errors are to be repaired.
func (c *checker) mayFix() bool { return c.fix&driver.FixErrors != 0 }

// snapshot adds the L1 table of a snapshot to those in use, if it can be one.
func (c *checker) snapshot(ctx context.Context, s snapshot, tables *l1Tables) {
	why := c.wrongL1(s)
	if why == "" {
		tables.add(s.l1Off, int64(s.l1Size))
		return
	}
	id, name, _ := c.q.names(ctx, s) // it is told without them then
	c.wrong("ERROR snapshot %.*s (%.*s) %s; snapshot table entry corrupted", maxListedName, id,
		maxListedName, name, why)
}

// refblocks counts the refcount blocks themselves.
func (c *checker) refblocks() {
	q := c.q
	for i, w := range q.reftable {
		at := int64(w & reftableMask)
		switch {
		case w&reftableReserved != 0:
			c.say("ERROR refcount table entry %d has reserved bits set", i)
		case q.within(at) != 0:
			c.say("ERROR refcount block %d is not cluster aligned; refcount table entry corrupted",
				i)
		case at < 0 || at>>q.clusterBits >= c.clusters:
			// what it counted is lost, and the file does not grow for an empty one however far it
			// is
			c.rebuild = c.rebuild || c.mayFix()
			c.wrong("%s refcount block %d is outside image", repairing(c.mayFix()), i)
			continue
		case at == 0:
			continue
		default:
			c.count(at, q.cluster)
			n := c.recount.get(at >> q.clusterBits)
			if n == 1 {
				continue
			}
			c.say("ERROR refcount block %d refcount=%d", i, n)
		}
		c.res.Corruptions++
		c.rebuild = true
	}
}

// compare sets the counts against the refcounts.
func (c *checker) compare(ctx context.Context, fix driver.Fix) error {
	q := c.q
	c.highest = 0
	r := refcounts{q: q}
	defer r.drop()
	for i := int64(0); i < c.clusters; i++ {
		if i%countPage == 0 {
			if err := format.Interrupted(ctx); err != nil {
				return err
			}
			if c.recount.unused(i) && c.uncounted(i) {
				i += countPage - 1
				continue
			}
		}
		have, err := r.of(ctx, i)
		if err != nil {
			_ = c.failed(err, "Can't get refcount for cluster %d: %s", i, errnoText(err))
			continue
		}
		want := c.recount.get(i)
		if have > 0 || want > 0 {
			c.highest = i
			c.told(i, have, want)
		}
		if have != want {
			r.drop() // a repair may do away with the block
			c.mismatch(ctx, i, have, want, fix)
		}
	}
	return nil
}

// told tells of a cluster that is counted so often, and is to be so often.
func (c *checker) told(cluster int64, have, want uint64) {
	if c.tell == nil {
		return
	}
	as := driver.ClusterUsed
	switch {
	case have > want:
		as = driver.ClusterLeaked
	case have < want:
		as = driver.ClusterWrong
	}
	c.tell(c.length, cluster<<c.q.clusterBits, c.q.cluster, as)
}

// uncounted says whether no refcount block covers the page of counts that begins with cluster.
func (c *checker) uncounted(cluster int64) bool {
	first, last := cluster>>c.q.blockBits, (cluster+countPage-1)>>c.q.blockBits
	for i := first; i <= last && i < int64(c.q.reftableEnd); i++ {
		if c.q.reftable[i] != 0 {
			return false
		}
	}
	return true
}

func (c *checker) mismatch(ctx context.Context, cluster int64, have, want uint64, fix driver.Fix) {
	var fixed *int64
	d := delta{by: want - have}
	word := "ERROR"
	if have > want {
		d = delta{by: have - want, down: true}
		word = "Leaked"
	}
	switch {
	case have == 0:
		c.rebuild = true
	case have > want && fix&driver.FixLeaks != 0:
		fixed, word = &c.res.LeaksFixed, "Repairing"
	case have < want && fix&driver.FixErrors != 0:
		fixed, word = &c.res.CorruptionsFixed, "Repairing"
	}
	c.say("%s cluster %d refcount=%d reference=%d", word, cluster, have, want)
	if fixed != nil && c.q.adjust(ctx, cluster<<c.q.clusterBits, 1, d, discardAlways) == nil {
		*fixed++
		return
	}
	if have < want {
		c.res.Corruptions++
	} else {
		c.res.Leaks++
	}
}
