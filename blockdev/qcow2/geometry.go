package qcow2

import "github.com/blksh/blksh/blockdev/driver"

// Limits of the format, and of QEMU where the format has none.
const (
	minClusterBits = 9
	maxClusterBits = 21
	subclusters    = 32 // in a cluster, with extended L2 tables

	l1EntrySize       = 8
	reftableEntrySize = 8

	maxL1Bytes       = 32 << 20
	maxReftableBytes = 8 << 20
	maxSnapshots     = 65536

	maxHostOffset = 1<<56 - 1 // what fits into a table entry
	csectorSize   = 512       // unit of a compressed cluster's length
)

// geometry is what follows from the sizes in the header. It never changes while an image is open.
type geometry struct {
	version     uint32
	clusterBits uint
	cluster     int64 // bytes in a cluster
	dataFile    bool  // guest data lies in a file of its own
	extended    bool  // L2 entries have a bitmap of subclusters
	subBits     uint  // log2 of bytes in a subcluster; a whole cluster without extended L2
	sub         int64 // bytes in a subcluster
	subs        int   // subclusters in a cluster
	entrySize   int64 // bytes of an L2 entry
	l2Bits      uint  // log2 of entries in an L2 table
	refOrder    uint  // log2 of bits in a refcount
	refMax      uint64
	blockBits   uint // log2 of refcounts in a refcount block
	csizeShift  uint // where the length of a compressed cluster starts in its L2 entry
}

func newGeometry(version uint32, clusterBits, refOrder uint, extended bool) geometry {
	g := geometry{
		version: version, clusterBits: clusterBits, cluster: 1 << clusterBits, extended: extended,
		subBits: clusterBits, subs: 1, entrySize: 8, l2Bits: clusterBits - 3,
		refOrder: refOrder, refMax: 1<<(1<<refOrder) - 1, blockBits: clusterBits + 3 - refOrder,
		csizeShift: 62 - (clusterBits - 8),
	}
	if refOrder == 6 {
		g.refMax = 1<<64 - 1
	}
	if extended {
		g.subBits, g.subs, g.entrySize, g.l2Bits = clusterBits-5, subclusters, 16, clusterBits-4
	}
	g.sub = 1 << g.subBits
	return g
}

// within is the part of off that is inside its cluster.
func (g *geometry) within(off int64) int64 { return off & (g.cluster - 1) }

// startOf is the start of the cluster that off is in.
func (g *geometry) startOf(off int64) int64 { return off &^ (g.cluster - 1) }

// clustersIn is the number of clusters that n bytes fill or begin.
func (g *geometry) clustersIn(n int64) int64 { return (n + g.cluster - 1) >> g.clusterBits }

// roundUp is n or the next multiple of a cluster.
func (g *geometry) roundUp(n int64) int64 { return driver.RoundUp(n, g.cluster) }

func (g *geometry) subIndex(off int64) int { return int(off>>g.subBits) & (g.subs - 1) }

// l1Shift is log2 of the guest bytes that one L1 entry covers.
func (g *geometry) l1Shift() uint { return g.clusterBits + g.l2Bits }

func (g *geometry) l1Index(off int64) int64 { return off >> g.l1Shift() }

// l1Entries is the number of L1 entries that n guest bytes need.
func (g *geometry) l1Entries(n int64) int64 {
	return int64((uint64(n) + 1<<g.l1Shift() - 1) >> g.l1Shift())
}

func (g *geometry) l2Index(off int64) int64 {
	return (off >> g.clusterBits) & (1<<g.l2Bits - 1)
}

// compressedAt takes the L2 entry of a compressed cluster apart: where its data is and at most how
// many bytes it has.
func (g *geometry) compressedAt(desc uint64) (off, n int64) {
	off = int64(desc & (1<<g.csizeShift - 1))
	sectors := int64(desc>>g.csizeShift)&(1<<(g.clusterBits-8)-1) + 1
	return off, sectors*csectorSize - off&(csectorSize-1)
}

// refcountMeta is the number of refcount blocks, and of clusters of refcount table, that count
// clusters and themselves. With room for growth the table is half as large again.
func (g *geometry) refcountMeta(clusters int64, generous bool) (blocks, table int64) {
	perTable, perBlock := g.cluster/reftableEntrySize, int64(1)<<g.blockBits
	for last := int64(-1); ; {
		blocks = divUp(clusters+table+blocks, perBlock)
		table = divUp(blocks, perTable)
		n := clusters + blocks + table
		switch {
		case n != last:
			last = n
		case generous:
			clusters += divUp(table, 2)
			generous, last = false, -1
		default:
			return blocks, table
		}
	}
}

func divUp(n, by int64) int64 { return (n + by - 1) / by }
