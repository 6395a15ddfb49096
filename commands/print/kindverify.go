package print

import (
	"maps"
	"slices"
	"strconv"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/verify"
)

// verifyKinds is about blocks that tell whether they are intact, and about load.
func verifyKinds() []kind {
	return []kind{
		of("blocks_written", "A job wrote blocks that can be verified.", blocksOf(func(e event.BlocksWritten) event.Blocks { return e.Blocks },
			must("fio", Text, "the release of fio that makes such blocks", func(e event.BlocksWritten) any { return e.Fio.String() }),
			must("bytes", Int, "that were written", func(e event.BlocksWritten) any { return e.Bytes }),
			must("writes", Int, "requests of the job that were made", func(e event.BlocksWritten) any { return e.Writes }),
			must("requests", Int, "that were sent to the image, reads of a mixed job too", func(e event.BlocksWritten) any { return e.Requests }),
			may("trimmed", Int, "bytes that were discarded again", func(e event.BlocksWritten) any { return count(e.Trimmed) }),
			must("seed", Text, "what content and order were made from, a number of 64 bits without sign",
				func(e event.BlocksWritten) any { return unsigned(e.Seed) }),
			must("elapsed_ns", Int, "in nanoseconds", func(e event.BlocksWritten) any { return e.Elapsed.Nanoseconds() }),
		)...),
		of("bad_range", "Neighbouring blocks with one kind of damage.",
			must("offset", Int, "of the first", func(e event.BadRange) any { return e.Off }),
			must("length", Int, "bytes of all of them", func(e event.BadRange) any { return e.Len }),
			must("class", Text, "what happened: zeroed, filled, one-bit, shifted, misdirected, stale, torn, foreign, header-only, payload-only, "+
				"leftover-header, not-zero, other-type, cut-off, mixed or other", func(e event.BadRange) any { return e.Cause.Class.String() }),
			may("from", Int, "where the data belong, if they are misdirected", func(e event.BadRange) any {
				return only(e.Cause.Class == verify.Misdirected, e.Off+e.Cause.Delta)
			}),
			may("distance", Int, "by how many bytes the data are too far from where they belong, if they are shifted", func(e event.BadRange) any {
				return only(e.Cause.Class == verify.Shifted, -e.Cause.Delta)
			}),
			may("fill", Int, "the byte that is repeated, if it is filled", func(e event.BadRange) any {
				return only(e.Cause.Class == verify.Filled, int64(e.Cause.Fill))
			}),
			may("bit", Int, "which bit is flipped, 0 the lowest", func(e event.BadRange) any {
				return only(e.Cause.Class == verify.OneBit, int64(e.Cause.Bit))
			}),
			may("bit_offset", Int, "of its byte", func(e event.BadRange) any { return only(e.Cause.Class == verify.OneBit, e.Cause.At) }),
			may("file", Text, "name of the image, where there are several", func(e event.BadRange) any { return text(e.File) }),
			must("first", Object, "the first block: offset, length, cause, type, header (length, seed, offset, clock, thread, number), big_endian, "+
				"want_seed and want_number (what should be there), parts (which bytes are wrong: offset, length, bad, cause)",
				func(e event.BadRange) any { return e.First }),
		),
		of("verdict", "A verification found nothing damaged.", verdictOf(func(e event.Verdict) event.Verdict { return e })...),
		failure("damaged", "A verification found damage.", verdictOf(func(e event.Damaged) event.Verdict { return e.Verdict },
			must("bad", Int, "blocks", func(e event.Damaged) any { return e.Bad }),
			must("bad_bytes", Int, "in them", func(e event.Damaged) any { return e.BadBytes }),
			must("classes", Object, "number of bad blocks by class", func(e event.Damaged) any { return e.Classes }),
			must("ranges", Int, "ranges they make, as far as they were kept", func(e event.Damaged) any { return len(e.Ranges) }),
			may("more", Int, "bad blocks in no range that was kept", func(e event.Damaged) any { return count(e.More) }),
		)...),
		failure("nothing_verified", "A verification checked no block.",
			verdictOf(func(e event.NothingVerified) event.Verdict { return e.Verdict })...),
		of("dumped", "Bad blocks were kept as files PREFIX.OFFSET.received, .expected and .diff, as far as that is known.",
			must("dir", Path, "directory of the files", func(e event.Dumped) any { return e.Dir }),
			must("prefix", Text, "with which their names begin", func(e event.Dumped) any { return e.Prefix }),
			must("blocks", Int, "that were kept", func(e event.Dumped) any { return e.Blocks }),
			may("left", Int, "bad blocks that were too many", func(e event.Dumped) any { return count(int64(e.Left)) }),
		),
		of("job_note", "An option of a job changes nothing.",
			must("option", Text, "as fio calls it", func(e event.JobNote) any { return e.Option }),
			may("why", Text, "the reason", func(e event.JobNote) any { return text(e.Why) }),
			may("job", Text, "section of the job file, or the command", func(e event.JobNote) any { return text(e.Job) }),
			may("job_line", Int, "line of the job file", func(e event.JobNote) any { return positive(int64(e.Note.Line)) }),
		),
		of("job_notes", "Options of a job file change nothing.",
			must("notes", List, "of each option, why and on which line of which job", func(e event.JobNotes) any { return e.Notes }),
		),
		of("not_verified", "A job of a job file does not say how it is verified, so it is not.",
			must("job", Text, "its section", func(e event.NotVerified) any { return text(e.Job) }),
			must("written", Bool, "whether it is written", func(e event.NotVerified) any { return e.Written }),
		),
		of("load", "What a device did under load.", append(rangeOf(func(e event.Load) event.Range { return e.Range }),
			must("mode", Text, "read, write, randread or randwrite", func(e event.Load) any { return e.Mode }),
			must("block", Int, "bytes of a request", func(e event.Load) any { return e.Block }),
			must("depth", Int, "requests under way", func(e event.Load) any { return e.Depth }),
			must("requests", Int, "that were made", func(e event.Load) any { return e.Requests }),
			must("elapsed_ns", Int, "in nanoseconds, like all times here", func(e event.Load) any { return e.Elapsed.Nanoseconds() }),
			must("iops", Int, "requests a second", func(e event.Load) any { return int64(float64(e.Requests) / max(e.Elapsed, 1).Seconds()) }),
			must("bytes_per_second", Int, "bandwidth", func(e event.Load) any {
				return int64(float64(e.Requests*e.Block) / max(e.Elapsed, 1).Seconds())
			}),
			must("user_ns", Int, "time of processors in the program", func(e event.Load) any { return e.User.Nanoseconds() }),
			must("system_ns", Int, "time of processors in the kernel for it", func(e event.Load) any { return e.System.Nanoseconds() }),
			must("latency_ns", Object, "min, mean, max, and percentiles as p50 to p99.99", func(e event.Load) any { return latency(e.Latency) }),
		)...),
	}
}

// blocksOf is the fields about the blocks of a job.
func blocksOf[E event.Event](get func(e E) event.Blocks, more ...fieldOf[E]) []fieldOf[E] {
	return append(append(rangeOf(func(e E) event.Range { return get(e).Range }),
		may("file", Text, "name of the image, where there are several", func(e E) any { return text(get(e).File) }),
		may("job", Text, "section of the job file", func(e E) any { return text(get(e).Job) }),
		may("type", Text, "of the checksum, if not each header says it", func(e E) any { return text(get(e).Type) }),
		may("merge", Int, "bytes of the longest request that neighbours may be merged into, if they may", func(e E) any { return count(get(e).Merge) }),
	), more...)
}

// verdictOf is the fields of a verdict, good or bad.
func verdictOf[E event.Event](get func(e E) event.Verdict, more ...fieldOf[E]) []fieldOf[E] {
	return append(blocksOf(func(e E) event.Blocks { return get(e).Blocks },
		must("fio", Text, "the release of fio that makes such blocks, or any", func(e E) any { return get(e).Result.Fio.String() }),
		must("done", Bool, "whether all of it was verified", func(e E) any { return get(e).Done }),
		must("blocks", Int, "that were checked", func(e E) any { return get(e).Result.Blocks }),
		may("block_length", Int, "bytes of most blocks, if they are not as long as was asked for", func(e E) any { return count(int64(get(e).BlockLen)) }),
		must("checked", Int, "bytes of blocks whose data were compared, or proved by a checksum", func(e E) any { return get(e).Checked }),
		may("headers_only", Int, "bytes of blocks whose data were not compared, only their headers", func(e E) any { return count(get(e).HeadersOnly) }),
		may("unchecked", Int, "bytes that were read and of which nothing is known", func(e E) any { return count(get(e).Unchecked) }),
		may("others", Int, "bytes that other jobs of the file wrote, and that are theirs to verify", func(e E) any { return count(get(e).Others) }),
		may("unreadable", Int, "bytes that could not be read", func(e E) any { return count(get(e).Unreadable) }),
		may("unfaithful", Int, "blocks that are intact but not what their seed makes", func(e E) any { return count(get(e).Unfaithful) }),
		may("in_flight", Object, "blocks that were under way when the job ended, by what is there: old, new, torn", func(e E) any {
			if f := get(e).InFlight; f != (verify.InFlight{}) {
				return f
			}
			return nil
		}),
		may("generations", List, "those that were found: generation and blocks", func(e E) any { return generations(get(e).Generations) }),
		must("elapsed_ns", Int, "in nanoseconds", func(e E) any { return get(e).Elapsed.Nanoseconds() }),
	), more...)
}

func generations(found map[uint32]int64) any {
	type generation struct {
		Generation uint32 `json:"generation"`
		Blocks     int64  `json:"blocks"`
	}
	if len(found) == 0 {
		return nil
	}
	list := make([]generation, 0, len(found))
	for _, n := range slices.Sorted(maps.Keys(found)) {
		list = append(list, generation{n, found[n]})
	}
	return list
}

func latency(l event.Latency) map[string]int64 {
	object := map[string]int64{"min": l.Min.Nanoseconds(), "mean": l.Mean.Nanoseconds(), "max": l.Max.Nanoseconds()}
	for _, p := range l.Percentiles {
		object["p"+strconv.FormatFloat(p.Percent, 'g', -1, 64)] = p.Time.Nanoseconds()
	}
	return object
}

// only leaves out what has no meaning.
func only(has bool, n int64) any {
	if !has {
		return nil
	}
	return n
}

func unsigned(n uint64) string { return strconv.FormatUint(n, 10) }
