// Package verify says whether data are what they should be, and if not, what
// happened to them. It knows nothing of devices and commands: data come as
// slices of bytes, or over a [Queue] that the caller provides.
//
// There are two ways to know what data should be.
//
// A [Pattern] says what belongs at each offset, so any piece of a device can be
// checked alone: [Check] compares, and a [Mismatch] tells which bytes are wrong
// and why. [Parser] reads patterns in the grammar of fio's verify_pattern, and
// some of our own.
//
// A [Job] writes blocks that tell about themselves, and verifies them later.
// The blocks are those of fio, byte for byte, so that either side verifies what
// the other wrote: a [Header] with the block's place, length, type and seed, a
// checksum, and content that the seed makes. [Options] are what fio's options
// are, [ParseJobFile] reads its job files.
//
//   - [Job.Write] writes. With a journal ([Hooks.Journal]) it can be known after
//     a crash what must be there: see [ReadJournal] and [History]. [Job.State]
//     is fio's own state file.
//   - [Job.Verify] replays the order of the job and knows what it wrote last to
//     each block. It finds what no checksum can: an older block that is intact
//     in itself.
//   - [Job.Scan] needs nothing but the blocks: the headers of all releases are
//     recognised, and the checksum decides where a type number has two meanings.
//
// Neither of the last two ever writes. A [Result] counts all bad blocks by
// [Class] and lists them as ranges; [Hooks] get each one, with both sides, as it
// is found. A [Cause] is a guess by rules: one bit, zeroes, data of another
// place or moved by some bytes, an older generation, sectors of two of them,
// and so on. The right content is made again from the seed to tell.
//
// What blocks of a type cannot tell without the job that wrote them:
//
//   - null: anything; its blocks are bare content
//   - pattern, pattern_hdr: anything about the data, if the pattern is not given
//   - all: that a block is an older one, except by its generation
//     ([Options.Generation])
//
// meta and the sha512 of fio before 3.39 have no checksum of all data. For them
// the content is made again and compared ([ContentAuto]). How it is made, of which
// share of padding, and where requests begin and end, a scan learns from those it
// sees first. Blocks whose data nothing proves are counted apart
// ([Result.HeadersOnly]).
//
// # How a job runs
//
// Writing, one goroutine owns the queue: it keeps slots in flight, and hands
// batches of them to workers that fill (engine.go). Reading, each processor has a
// goroutine with a queue of its own that checks what it read (crew.go); only the
// places of the next blocks are shared. Nothing is allocated for a block. Memory
// is bounded whatever the size of the device, but for the map of random jobs:
// a bit for each block.
//
// Requests are those of the job, as many in flight as it says, as far as
// 256 MiB hold them. With [Options.MaxRequest], adjacent ones travel as one of up
// to so many bytes, which changes nothing about the bytes and makes less work.
// Requests in flight never overlap.
//
// # Files of a package
//
// pattern, literal, check, diff, hole, diagnose: patterns. sum, crc, xxh32: checksums.
// header, content, tausworthe, order, distribution, mixture, blockmap, lfsr, build:
// blocks and their order. checker, learn, neighbours, origin, rewritten, blame, class,
// verdict, dump: what is wrong with a block. table, options, setting, units, calculate,
// jobfile, files, rival, release: jobs. queue, engine, crew, job, write, replay, verify,
// scan, walk, probe: running them. journal, journaljob, history, ended, state, rangeset:
// how far they came.
package verify
