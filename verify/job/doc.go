// Package job writes blocks that tell about themselves, and verifies them later. The blocks are
// those of package fio, and so are the options: a [fio.Workload] says what the blocks are, a
// [fio.Run] how a job goes about them. They travel over a [Queue] that the caller provides.
//
//   - [Job.Write] writes. With a journal ([WriteOptions.Journal]) it can be known after a crash
//     what must be there: see [ReadJournal] and [History]. [Job.State] is fio's own state file.
//   - [Job.Verify] replays the order of the job and knows what it wrote last to each block. It
//     finds what no checksum can: an older block that is intact in itself.
//   - [Job.Scan] needs nothing but the blocks: the headers of all releases are recognised, and the
//     checksum decides where a type number has two meanings.
//
// Neither of the last two ever writes. A [Result] counts all bad blocks by [verify.Class] and lists
// them as ranges; [Hooks] get each one, and its bytes, as it is found. The right content is made
// again from the seed to tell what happened.
//
// What blocks of a type cannot tell without the job that wrote them:
//
//   - null: anything; its blocks are bare content
//   - pattern, pattern_hdr: anything about the data, if the pattern is not given
//   - all: that a block is an older one, except by its generation ([fio.Workload.Generation])
//
// meta and the sha512 of fio before 3.39 have no checksum of all data. For them the content is made
// again and compared ([fio.ContentAuto]). How it is made, of which share of padding, and where
// requests begin and end, a scan learns from those it sees first. Blocks whose data nothing proves
// are counted apart ([Result.HeadersOnly]).
//
// # How a job runs
//
// Writing, one goroutine owns the queue: it keeps slots in flight, and hands batches of them to
// workers that fill (pipeline.go). Reading, each processor has a goroutine with a queue of its own
// that checks what it read (readers.go); only the offsets of the next blocks are shared. Nothing is
// allocated for a block. Memory is bounded whatever the size of the device, but for the map of
// random jobs, a bit for each block, and 6 MiB for a list of holes.
//
// What is known to be zero ([Hooks.Extent]) is not read: its slots are cleared and checked as if it
// had been. Where all blocks of a long hole come to the same verdict, one is judged, and counted as
// often as there are blocks (holes.go).
//
// Requests are those of the job, as many in flight as it says, as far as 256 MiB hold them. With
// [fio.Run.MaxRequest], adjacent ones travel as one of up to so many bytes, which changes
// nothing about the bytes and makes less work. Requests in flight never overlap.
//
// # Files of the package
//
// job, task, queue, pipeline, readers: running. write, replay: writing. verify, scan, walk, probe,
// cut, holes: reading. checker, learn, neighbours, origin, rewritten, otherjobs, diagnosis: what is
// wrong with a block. result, dump: what is told of it. journal, journalworkload, history,
// lastwrite, rangeset: how far a job came.
package job
