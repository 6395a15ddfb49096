package event

import (
	"time"

	"github.com/blksh/blksh/verify"
)

// The events of this file are about blocks that tell whether they are intact, and about load.

// Blocks says which blocks a verification job is about.
type Blocks struct {
	Range
	File string // name of the image, where there are several; otherwise ""
	Job  string // section of a job file; "" without one
	Type string // of their checksum, "any" if each header says it
	// Merge is how long a request may be that takes neighbouring ones of the job with it, in bytes; 0: they are sent as they are.
	Merge int64
}

// BlocksWritten says that a job wrote its blocks. Whoever makes a job of the same seed makes the same blocks.
type BlocksWritten struct {
	Blocks
	Fio    verify.Release
	Bytes  int64
	Writes int64
	// Requests is how many reads and writes were sent to the image.
	Requests int64
	Trimmed  int64 // bytes
	Seed     uint64
	Elapsed  time.Duration
}

// BadRange is a run of damaged blocks with one cause. File is as that of Blocks.
type BadRange struct {
	verify.BadRange
	File string
}

// Verdict says that no block is damaged.
type Verdict struct {
	Blocks
	verify.Result
	Elapsed time.Duration
}

// Damaged is the verdict where some are. Listed is how many of the ranges were shown.
type Damaged struct {
	Verdict
	Listed int
}

// NothingVerified is the verdict where no block was checked.
type NothingVerified struct{ Verdict }

// Dumped says what was kept of bad blocks: files in the directory Dir whose names begin with Prefix and the offset.
type Dumped struct {
	Dir, Prefix string
	Blocks      int
	Left        int // blocks that were too many
}

// JobNote says that an option of a job changes nothing.
type JobNote struct{ verify.Note }

// JobNotes says that of options of a job file.
type JobNotes struct{ Notes []verify.Note }

// NotVerified says that a job of a job file is not verified, because it does not say how. Written: it is written.
type NotVerified struct {
	Job     string
	Written bool
}

// Load is what a device did under load.
type Load struct {
	Range
	Mode     string // "read", "write", "randread", "randwrite"
	Block    int64  // bytes of a request
	Depth    int    // requests under way
	Requests int64
	Elapsed  time.Duration
	// User and System are the time that the processors worked for this program.
	User, System time.Duration
	Latency      Latency
}

// Latency is how long requests took, from the call that started them to the one that found them done.
type Latency struct {
	Min, Mean, Max time.Duration
	Percentiles    []Percentile
}

// Percentile says that so many percent of all requests took no longer than Time, but for an error of less than one percent.
type Percentile struct {
	Percent float64
	Time    time.Duration
}

// Kind of each event.
func (BlocksWritten) Kind() string   { return "blocks_written" }
func (BadRange) Kind() string        { return "bad_range" }
func (Verdict) Kind() string         { return "verdict" }
func (Damaged) Kind() string         { return "damaged" }
func (NothingVerified) Kind() string { return "nothing_verified" }
func (Dumped) Kind() string          { return "dumped" }
func (JobNote) Kind() string         { return "job_note" }
func (Load) Kind() string            { return "load" }
func (JobNotes) Kind() string        { return "job_notes" }
func (NotVerified) Kind() string     { return "not_verified" }
