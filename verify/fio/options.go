package fio

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Options say what a job writes or verifies, and how, as fio's options do: [Options.Set] and
// [ParseJobFile] read them, [DefaultOptions] has the defaults. The names in the tags, which are
// read, and in the comments are those of fio's options. Sizes and offsets are in bytes.
type Options struct {
	Name string `option:"name"` // of the job
	// Section is that of its job file, after which its files are called; "": Name.
	Section string
	Workload
	Run

	// What [Options.On] makes Offset, Size and Part of, when it is known how long the files are.
	SizePercent            int   // size=N%
	IOSizePercent          int   // io_size=N%
	OffsetPercent          int   // offset=N%
	OffsetAlign            int64 `option:"offset_align"`
	OffsetIncrement        int64 `option:"offset_increment" percent:"OffsetIncrementPercent"`
	OffsetIncrementPercent int
	FileSize               int64 // filesize
	FillDevice             bool  `option:"fill_device fill_fs"`

	// The files; opening them is the caller's.
	Filenames      []string // filename
	Directory      string   `option:"directory"`
	FilenameFormat string   `option:"filename_format"`
	OpenFiles      int      `option:"openfiles" few:""` // 0: all
	Direct         bool     `option:"direct odirect atomic"`
	Sync           bool     // sync
	AuxPath        string   `option:"aux-path"`
	StateSave      bool     `option:"verify_state_save"`
	StateLoad      bool     `option:"verify_state_load"`
	NoData         bool     // an ioengine whose requests move no data: such a job does nothing here

	BlockAlign [2]int // blockalign of reads and writes; 0: their size
	// SeqRand is bs_is_seq_rand: block sizes are those of sequential and of random requests.
	SeqRand bool `option:"bs_is_seq_rand"`

	NumJobs int `option:"numjobs" few:""` // see [Options.Clones]
	Clone   int // which of them, from 0
	// Stonewall: the job begins when all before it have ended. Group counts such jobs: fio runs
	// those of one group at the same time.
	Stonewall bool `option:"stonewall wait_for_previous"`
	Group     int

	// KBBase is kb_base: what units mean, see [Options.Set]. 0: k, kb, ki and kib are all 1024.
	KBBase int
	// RangeGiven says that bsrange or bssplit have set the sizes of reads, of writes: bs changes
	// them no more.
	RangeGiven [2]bool
	// ReadFile reads the files that patterns name, as [verify.Parser] has it.
	ReadFile func(name string, limit int) ([]byte, error) `json:"-"`
}

// A Run is how a job is run. Nothing of it changes what a block holds.
type Run struct {
	Runtime    time.Duration // runtime; 0: no limit
	IODepth    int           `option:"iodepth"`      // requests in flight
	Workers    int           `option:"verify_async"` // goroutines that fill and check; 0: one a CPU
	MaxRequest int           // adjacent blocks are one request of so many bytes; 0: each is one
	VerifyOnly bool          `option:"verify_only"`       // write nothing
	Serialize  bool          `option:"serialize_overlap"` // requests in flight never overlap here
	Fsync      int64         `option:"fsync fdatasync"`   // flush each so many blocks
	EndFsync   bool          `option:"end_fsync end_syncfs fsync_on_close"`
	Holes      bool          // blocks of zeroes were never written; for scans
	Content    Content       // whether data are made again and compared
	HeaderSeed bool          `option:"verify_header_seed"`    // headers must have the job's seed
	Sequence   bool          `option:"verify_write_sequence"` // and the write's number
	TrimZero   bool          `option:"trim_verify_zero"`
	// What ends it, and what it leaves.
	StopAtFirst bool `option:"verify_fatal"`
	Dump        bool `option:"verify_dump"`
	Flushed     bool // verify_policy=fsynced
}

// Content says when the data of blocks are made again and compared.
type Content uint8

// The choices. ContentAuto believes good checksums, except of types that do not see all damage.
const (
	ContentAuto Content = iota
	ContentOn
	ContentOff
)

// DefaultOptions are fio's defaults, except that a run goes on after the first bad block and
// verifies with as many workers as there are CPUs.
func DefaultOptions() Options {
	return Options{
		Name: "verify",
		Workload: Workload{
			Fio: Fio342, Thread: 1, MinBlock: 4096, NrFiles: 1, FileTurn: 1, RandomEvery: 1,
			Generator: "tausworthe", MixRead: 50, RandSeed: 0x89, RandRepeat: true, Loops: 1,
			DoVerify: true,
		},
		Run:     Run{IODepth: 16, HeaderSeed: true, Sequence: true, TrimZero: true},
		NumJobs: 1, StateSave: true,
	}
}

// MaxMerge is the most that [Run.MaxRequest] may be, in bytes.
const MaxMerge = MaxBlockSize

// maxDepth bounds the requests in flight, and the workers.
const maxDepth = 1 << 12

// check refuses what no job can be run with.
func (o *Options) check() error {
	switch {
	case o.OffsetAlign < 0:
		return errors.New("a count or size is negative")
	case o.OpenFiles > 0 && o.OpenFiles < o.FileCount() && o.FileTurn < math.MaxInt:
		return errors.New("openfiles below the number of files: the order of files is not known")
	case o.TimeBased && o.Runtime <= 0:
		return errors.New("time_based needs runtime")
	case o.IODepth > maxDepth || o.Workers > maxDepth || o.NumJobs > MaxJobs ||
		o.NrFiles > MaxJobs ||
		len(o.Filenames) > MaxJobs:
		return fmt.Errorf("more than %d jobs or files, or a depth above %d", MaxJobs, maxDepth)
	case o.MaxRequest < 0 || o.MaxRequest > MaxMerge:
		return fmt.Errorf("merged requests of %d bytes are not within 0 and %d", o.MaxRequest,
			MaxMerge)
	case o.Fsync < 0 || o.Runtime < 0:
		return errors.New("a count is negative")
	}
	return nil
}

// Clones are the jobs that numjobs stands for, in the order of fio's names. The
// first is thread 1, the rest are numbered backwards (measured on fio 3.33).
func (o Options) Clones() []Options {
	n := max(o.NumJobs, 1)
	list := make([]Options, n)
	for i := range list {
		list[i] = o
		list[i].NumJobs, list[i].Clone = 1, i
		if i > 0 {
			list[i].Thread = o.Thread + n - i
		}
	}
	return list
}
