// Package format is the half that all formats share.
//
// A format says where the guest's bytes are, and Image does with that what is the same for all of
// them:
//
//	request ─▶ Image ─▶ Mapper.Lookup ─▶ runs of alike bytes ─▶ reads of the data file, some at a time
//	                ╰─▶ Mapper.Target ─▶ a place, and an Allocation ─▶ data and copies ─▶ Mapper.Commit
//
// One lock guards all that a format knows (its tables, what it has taken). Image takes it around
// every call of the Mapper and never holds it across guest data. What keeps others off meanwhile:
//
//   - An Allocation is clusters with data on its way. Until it is committed or aborted every
//     request for its clusters waits, unless it writes elsewhere in clusters that keep their place.
//   - A pin is a range of the file with guest I/O under way. A cluster that is freed meanwhile is
//     neither taken again nor punched out before the pin is gone.
//
// Beside Image stand the parts that a format needs for its metadata: Tables, a bounded cache that
// keeps the order in which tables reach the file; DeferredFrees, clusters that nothing in memory
// refers to but something in the file still may; UnpackCache, compressed clusters that were
// unpacked for a part of them.
//
// A format of one table is a few hundred lines on top of this, see the package vdi; qcow2 is one
// with everything.
package format
