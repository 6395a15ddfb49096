package event

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
	"github.com/blksh/blksh/verify/job"
)

// The events of this file are about blocks that tell whether they are intact, and about load.

// Blocks says which blocks a verification job is about. File is the name of the image, where there
// are several; Job is the section of a job file, "" without one; Type is that of their checksum,
// "any" if each header says it. Merge is how long a request may be that takes neighbouring ones of
// the job with it; 0: they are sent as they are.
type Blocks struct {
	Range
	File  string `json:"file,omitempty" doc:"name of the image, where there are several"`
	Job   string `json:"job,omitempty" doc:"section of the job file"`
	Type  string `json:"type,omitempty" doc:"of the checksum, if not each header says it"`
	Merge int64  `json:"merge,omitempty" unit:"bytes" doc:"of the longest request that neighbours may be merged into, if they may"`
}

// BlocksWritten says that a job wrote its blocks. Whoever makes a job of the same seed makes the
// same blocks.
type BlocksWritten struct {
	Blocks
	Fio      fio.Release   `json:"fio" doc:"the release of fio that makes such blocks"`
	Bytes    int64         `json:"bytes" unit:"bytes" doc:"what was written"`
	Writes   int64         `json:"writes" doc:"requests of the job that were made"`
	Requests int64         `json:"requests" doc:"what was sent to the image, reads of a mixed job too"`
	Trimmed  int64         `json:"trimmed,omitempty" unit:"bytes" doc:"what was discarded again"`
	Seed     uint64        `json:"seed,string" doc:"what content and order were made from, a number of 64 bits without sign"`
	Elapsed  time.Duration `json:"elapsed_ns" unit:"ns" doc:"time that it took"`
}

// Kind of the event.
func (BlocksWritten) Kind() Kind {
	return Kind{"blocks_written", "A job wrote blocks that can be verified."}
}

// BadRange is a run of damaged blocks with one cause. File is as that of Blocks.
type BadRange struct {
	job.BadRange
	File string
}

// Kind of the event.
func (BadRange) Kind() Kind {
	return Kind{"bad_range", "Neighbouring blocks with one kind of damage."}
}

type badRange struct {
	Off      int64        `json:"offset" unit:"bytes" doc:"of the first"`
	Len      int64        `json:"length" unit:"bytes" doc:"of all of them"`
	Class    verify.Class `json:"class" doc:"what happened"`
	From     *int64       `json:"from,omitempty" unit:"bytes" doc:"where the data belong, if they are misdirected"`
	Distance *int64       `json:"distance,omitempty" unit:"bytes" doc:"by how much the data are too far from where they belong, if they are shifted"`
	Fill     *int64       `json:"fill,omitempty" doc:"the byte that is repeated, if it is filled"`
	Bit      *int64       `json:"bit,omitempty" doc:"which bit is flipped, 0 the lowest"`
	At       *int64       `json:"bit_offset,omitempty" unit:"bytes" doc:"of its byte"`
	File     string       `json:"file,omitempty" doc:"name of the image, where there are several"`
	First    *job.Bad     `json:"first" doc:"the first block: offset, length, cause, type, header (length, seed, offset, clock, thread, number), big_endian, want_seed and want_number (what should be there), parts (which bytes are wrong: offset, length, bad, cause)"`
}

// Told says of a cause what has a meaning with its class.
func (b BadRange) Told() any {
	told := badRange{Off: b.Off, Len: b.Len, Class: b.Cause.Class, File: b.File, First: b.First}
	switch b.Cause.Class {
	case verify.Misdirected:
		told.From = new(b.Off + b.Cause.Delta)
	case verify.Shifted:
		told.Distance = new(-b.Cause.Delta)
	case verify.Filled:
		told.Fill = new(int64(b.Cause.Fill))
	case verify.OneBit:
		told.Bit, told.At = new(int64(b.Cause.Bit)), new(b.Cause.At)
	}
	return told
}

// Verdict says that no block is damaged.
type Verdict struct {
	Blocks
	job.Result
	// Doubt is what may be the matter with the call, and not with the data; "" for nothing.
	Doubt   string
	Elapsed time.Duration
}

// Kind of the event.
func (Verdict) Kind() Kind { return Kind{"verdict", "A verification found nothing damaged."} }

type verdict struct {
	Blocks
	Fio         fio.Release   `json:"fio" doc:"the release of fio that makes such blocks, or any"`
	Done        bool          `json:"done" doc:"whether all of it was verified"`
	Count       int64         `json:"blocks" doc:"how many were checked"`
	BlockLen    int           `json:"block_length,omitempty" unit:"bytes" doc:"of most blocks, if they are not as long as was asked for"`
	Checked     int64         `json:"checked" unit:"bytes" doc:"of blocks whose data were compared, or proved by a checksum"`
	HeadersOnly int64         `json:"headers_only,omitempty" unit:"bytes" doc:"of blocks whose data were not compared, only their headers"`
	Unchecked   int64         `json:"unchecked,omitempty" unit:"bytes" doc:"what was read and of which nothing is known"`
	Others      int64         `json:"others,omitempty" unit:"bytes" doc:"what other jobs of the file wrote, and is theirs to verify"`
	Unreadable  int64         `json:"unreadable,omitempty" unit:"bytes" doc:"what could not be read"`
	Unfaithful  int64         `json:"unfaithful,omitempty" doc:"blocks that are intact but not what their seed makes"`
	InFlight    job.InFlight  `json:"in_flight,omitempty" doc:"blocks that were under way when the job ended, by what is there: old, new, torn"`
	Generations []generation  `json:"generations,omitempty" doc:"those that were found: generation and blocks"`
	Doubt       string        `json:"doubt,omitempty" doc:"what may be the matter with the call, and not with the data"`
	Elapsed     time.Duration `json:"elapsed_ns" unit:"ns" doc:"time that it took"`
}

type generation struct {
	Generation uint32 `json:"generation"`
	Blocks     int64  `json:"blocks"`
}

// Told is the verdict.
func (v Verdict) Told() any { return v.told() }

func (v Verdict) told() verdict {
	r := &v.Result
	told := verdict{
		Blocks: v.Blocks, Fio: r.Fio, Done: r.Done, Count: r.Blocks, BlockLen: r.BlockLen,
		Checked: r.Checked, HeadersOnly: r.HeadersOnly, Unchecked: r.Unchecked, Others: r.Others,
		Unreadable: r.Unreadable, Unfaithful: r.ContentMismatches, InFlight: r.InFlight,
		Doubt: v.Doubt, Elapsed: v.Elapsed,
	}
	for _, n := range slices.Sorted(maps.Keys(r.Generations)) {
		told.Generations = append(told.Generations, generation{n, r.Generations[n]})
	}
	return told
}

// Damaged is the verdict where some are. Listed is how many of the ranges were shown.
type Damaged struct {
	dataFailure
	Verdict
	Listed int
}

// Kind of the event.
func (Damaged) Kind() Kind { return Kind{"damaged", "A verification found damage."} }

type damaged struct {
	verdict
	Bad      int64            `json:"bad" doc:"blocks"`
	BadBytes int64            `json:"bad_bytes" unit:"bytes" doc:"in them"`
	Classes  map[string]int64 `json:"classes" doc:"number of bad blocks by class"`
	Ranges   int              `json:"ranges" doc:"ranges they make, as far as they were kept"`
	More     int64            `json:"more,omitempty" doc:"bad blocks in no range that was kept"`
}

// Told is the verdict and how much is damaged.
func (d Damaged) Told() any {
	return damaged{d.told(), d.Bad, d.BadBytes, d.Classes, len(d.Ranges), d.More}
}

// NothingVerified is the verdict where no block was checked.
type NothingVerified struct {
	dataFailure
	Verdict
}

// Kind of the event.
func (NothingVerified) Kind() Kind {
	return Kind{"nothing_verified", "A verification checked no block."}
}

// Dumped says what was kept of bad blocks.
type Dumped struct {
	Dir    string `json:"dir" type:"path" doc:"directory of the files"`
	Prefix string `json:"prefix" doc:"with which their names begin"`
	Blocks int    `json:"blocks" doc:"how many were kept"`
	Left   int    `json:"left,omitempty" doc:"bad blocks that were too many"`
}

// Kind of the event.
func (Dumped) Kind() Kind {
	return Kind{
		"dumped",
		"Bad blocks were kept as files PREFIX.OFFSET.received, .expected and .diff, as far as that is known.",
	}
}

// JobNote says that an option of a job changes nothing.
type JobNote struct{ fio.Note }

// Kind of the event.
func (JobNote) Kind() Kind { return Kind{"job_note", "An option of a job changes nothing."} }

type jobNote struct {
	Option string `json:"option" doc:"as fio calls it"`
	Why    string `json:"why,omitempty" doc:"the reason"`
	Job    string `json:"job,omitempty" doc:"section of the job file, or the command"`
	Line   int    `json:"job_line,omitempty" doc:"line of the job file"`
}

// Told is the note.
func (j JobNote) Told() any { return jobNote{j.Option, j.Why, j.Job, j.Line} }

// JobNotes says that of options of a job file.
type JobNotes struct {
	Notes []fio.Note `json:"notes" doc:"of each option, why and on which line of which job"`
}

// Kind of the event.
func (JobNotes) Kind() Kind { return Kind{"job_notes", "Options of a job file change nothing."} }

// NotVerified says that a job of a job file is not verified, because it does not say how.
type NotVerified struct {
	Job     string `json:"job" doc:"its section"`
	Written bool   `json:"written" doc:"whether it is written"`
}

// Kind of the event.
func (NotVerified) Kind() Kind {
	return Kind{
		"not_verified",
		"A job of a job file does not say how it is verified, so it is not.",
	}
}

// Words of the event.
func (n NotVerified) Words() string {
	if n.Written {
		return fmt.Sprintf("job %s has no verify=: it is written and not verified", n.Job)
	}
	return fmt.Sprintf("job %s has no verify=: nothing of it is verified", n.Job)
}
