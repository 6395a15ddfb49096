package fio

import (
	"fmt"
	"slices"
	"strings"
)

// A Workload is what a job writes: which blocks, in which order, and what is in them. It is all
// that they depend on, and that a journal keeps of the job. The names in the tags and comments are
// those of fio's options. Sizes and offsets are in bytes.
type Workload struct {
	Fio    Release // which fio's blocks are written and expected
	Thread int     `option:"thread_number"` // from 1: headers have it, seeds depend on it

	// Which blocks, in which order.
	Direction   Direction // rw
	MinBlock    int       // bs, bsrange
	MaxBlock    int       // bsrange; 0: MinBlock
	Split       []Share   // bssplit: the sizes between the two that occur
	Reads       Sizes     // those of reads, if not the same
	BSUnaligned bool      `option:"bs_unaligned blocksize_unaligned"` // any length between the two
	Offset      int64     `option:"offset fileoffset" percent:"OffsetPercent"`
	Size        int64     `option:"size" percent:"SizePercent"`               // of all files
	IOSize      int64     `option:"io_size io_limit" percent:"IOSizePercent"` // 0: Size
	Part        int64     // of one file; 0: an equal share of Size
	FileLength  int64     // how long a file is; 0: it ends with its part
	NrFiles     int       `option:"nrfiles nr_files" few:""`
	File        int       // which of the files this is, from 0; each has its part of Size
	Only        Slice     `json:"Only,omitzero"` // what is done of the job
	FileTurn    int       // file_service_type: requests to one file before the next; 0: 1
	NoRandomMap bool      `option:"norandommap"`      // blocks may be written twice or never
	Generator   string    `option:"random_generator"` // tausworthe, tausworthe64, lfsr
	MixRead     int       `option:"rwmixread"`        // percentage of reads in a mixed job
	// Step is what a sequential job leaves out between two requests: rw=write:8k.
	Step int64
	// RandomEvery is of how many requests of a random job one is random, the others follow it:
	// rw=randwrite:8. 0 is 1.
	RandomEvery int `json:"Run"`
	// Sequential is which percentage of random requests follows the one before, of reads and of
	// writes: 100 less percentage_random.
	Sequential [2]int
	// Distribution is random_distribution; the zero value is a uniform one.
	Distribution Distribution
	// Strided is zonemode=strided: after ZoneSize bytes the job goes on behind the ZoneRange that
	// it was in and ZoneSkip bytes more.
	Strided   bool
	ZoneSize  int64 `option:"zonesize"`
	ZoneRange int64 `option:"zonerange"`
	ZoneSkip  int64 `option:"zoneskip"`

	// What they look like.
	Verify          string // verify; "" is pattern_hdr with a pattern, else TypeAny
	Interval        int    `option:"verify_interval"` // one header each so many bytes
	HeaderOffset    int    `option:"verify_offset"`   // where in the interval the header is
	Pattern         string `option:"verify_pattern"`  // in the grammar of [verify.Parser.Parse]
	PatternInterval int    `option:"verify_pattern_interval"`
	Compress        int    `option:"buffer_compress_percentage"`
	Padding         string `option:"buffer_pattern"` // where compressed
	Generation      uint32 // in place of the clock, if not 0

	// Where the random numbers come from.
	RandSeed      uint64 // randseed
	RandSeedGiven bool
	RandRepeat    bool `option:"randrepeat"`
	AllRandRepeat bool `option:"allrandrepeat"`

	// How long. Where fio begins a loop anew depends on DoVerify and Async as well.
	Loops     int   `option:"loops"`
	TimeBased bool  `option:"time_based"` // loops until Run.Runtime is over
	NumberIOs int64 `option:"number_ios"` // so many writes at most; 0: no limit
	DoVerify  bool  `option:"do_verify"`  // verify after writing
	Async     bool  // an ioengine that queues
	Backlog   int64 `option:"verify_backlog"` // verify each time so many blocks are written

	// What is trimmed.
	TrimPercent int   `option:"trim_percentage"`
	TrimBacklog int64 `option:"trim_backlog"`
	TrimBatch   int64 `option:"trim_backlog_batch"`
}

// A Slice is what one of several runs does of a job that they share: the requests that begin at
// offsets From to To-1. Their numbers and contents are those of the whole job. The zero value is
// the whole job.
type Slice struct {
	From, To int64
}

// Direction says what a job does and in which order.
type Direction uint8

// The directions. The reads of a mixed job are load; only what it wrote is verified.
const (
	Write Direction = iota
	RandWrite
	Read
	RandRead
	ReadWrite
	RandReadWrite
)

var directionNames = [...]string{"write", "randwrite", "read", "randread", "rw", "randrw"}

func (d Direction) String() string {
	if int(d) >= len(directionNames) {
		return fmt.Sprintf("direction-%d", uint8(d))
	}
	return directionNames[d]
}

// MarshalText makes the name the value in JSON.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Direction) UnmarshalText(p []byte) error {
	i := slices.Index(directionNames[:], string(p))
	if i < 0 {
		return fmt.Errorf("unknown direction %q (known: %s)", p,
			strings.Join(directionNames[:], ", "))
	}
	*d = Direction(i)
	return nil
}

// Random reports whether the blocks come in random order.
func (d Direction) Random() bool { return d&1 != 0 }

// Writes reports whether the job writes at all.
func (d Direction) Writes() bool { return d != Read && d != RandRead }

// Mixed reports whether the job reads between its writes.
func (d Direction) Mixed() bool { return d >= ReadWrite }

// A Share is one of the block sizes of bssplit and how often it occurs.
type Share struct {
	Block, Percent int
}

// Sizes are the sizes of blocks: the least, the largest, and if only some between
// them occur, which. The zero value stands for those of writes.
type Sizes struct {
	Min, Max int
	Split    []Share
}

// least is the smallest block of the job.
func (w *Workload) least() int {
	if w.Reads.Min > 0 {
		return min(w.MinBlock, w.Reads.Min)
	}
	return max(w.MinBlock, 1)
}
