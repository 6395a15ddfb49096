// Package qcow2 reads and writes QEMU's qcow2 images, versions 2 and 3.
//
// An image is a file cut into clusters. Two levels of tables say where the guest's clusters are:
// the L1 table (always in memory) points to L2 tables, an entry of an L2 table points to a cluster
// of data. With extended L2 tables an entry also has a bitmap that divides its cluster into 32
// subclusters. A second pair of tables, the refcount table and its refcount blocks, counts the
// references to every cluster of the file: 0 is free, more than 1 is shared with an internal
// snapshot and must be copied before it is written.
//
//	guest offset ─▶ L1 entry ─▶ L2 entry ─▶ host cluster     l2.go: where bytes are
//	                                          ▲
//	                       refcount block ────┘              alloc.go: which clusters are free
//
// # Reading and writing
//
// What is the same for all formats is internal/format's: the walk over runs, allocations in flight
// and the copies around them, pins, the cache of tables and its order, deferred frees. lookup
// (l2.go) maps guest bytes to a run of alike host bytes for it, Target (write.go) finds a place for
// a write and takes clusters where it must, Commit enters what was taken into the L2 table when the
// data is in the file. One lock guards all metadata; it is never held across guest data.
//
// Compressed clusters (compress.go, inflate.go, rle.go) are unpacked for each request; of those
// read in part the last ones are kept. check.go and its neighbours judge an image, rebuild.go makes
// its refcounts anew, corrupt.go ends the use of one found broken.
//
// # More than one disk, and more than one file
//
// A snapshot is an L1 table of its own (snapshot.go reads and writes the table of snapshots,
// snapshotchange.go makes, applies and deletes them, tree.go walks what an L1 table leads to). A
// data file (datafile.go) holds the guest's clusters, at the guest's offsets and without refcounts;
// only metadata is in the image file then. Dirty bitmaps say what has changed: bitmaptrack.go keeps
// them true, bitmapstore.go writes them when the image is closed.
//
// # Order of writes
//
// A crash may leak clusters, and never more than that. The tables are cached, and two rules keep
// the order in which they reach the file. Taking: refcount, then data, then the L2 entry. Giving
// back: the L2 entry, then the refcount, then the hole in the file, and only then may the cluster
// be taken again (deferredfrees.go). Each "then" is a flush of the file, and many requests share
// one. With lazy refcounts the dirty bit stands in for the first rule: it is on disk before, and
// the program that opens a dirty image next rebuilds its refcounts. So it is while a snapshot is
// made or deleted, when refcounts and copied flags change in many places.
//
// Where clusters are placed, which events of blkdebug are raised where, and the words of errors
// follow QEMU 7.2, so that both programs leave the same image behind. The format is specified in
// QEMU's docs/interop/qcow2.
package qcow2
