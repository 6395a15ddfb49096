package fio

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/blksh/blksh/verify"
)

// Options say what a job writes or verifies. The names in the comments are those of fio's options,
// which [ParseJobFile] reads; [DefaultOptions] has the defaults. Sizes and offsets are in bytes.
type Options struct {
	Name   string  // of the job
	Fio    Release // which fio's blocks are written and expected
	Thread int     // number of the job from 1: headers have it, seeds depend on it

	// Which blocks, in which order.
	Direction   Direction // rw
	MinBlock    int       // bs, bsrange
	MaxBlock    int       // bsrange; 0: MinBlock
	Split       []Share   // bssplit: the sizes between the two that occur
	Reads       Sizes     // those of reads, if not the same
	BSUnaligned bool      // bs_unaligned: any length between the two
	Offset      int64     // offset
	Size        int64     // size, from Offset on, of all files together
	IOSize      int64     // io_size: how much is moved; 0: Size
	Part        int64     // of one file; 0: an equal share of Size
	FileLength  int64     // how long a file is; 0: it ends with its part
	NoRandomMap bool      // norandommap: blocks may be written twice or never
	Generator   string    // random_generator: tausworthe, tausworthe64, lfsr
	MixRead     int       // rwmixread: percentage of reads in a mixed job
	// Step is what a sequential job leaves out between two requests: rw=write:8k.
	Step int64
	// Run is of how many requests of a random job one is random, the others
	// follow it: rw=randwrite:8. 0 is 1.
	Run int
	// Sequential is which percentage of random requests follows the one before,
	// of reads and of writes: 100 less percentage_random.
	Sequential [2]int
	// Distribution is random_distribution; the zero value is a uniform one.
	Distribution Distribution
	// Strided is zonemode=strided: after ZoneSize bytes the job goes on behind the
	// ZoneRange that it was in and ZoneSkip bytes more.
	Strided                       bool
	ZoneSize, ZoneRange, ZoneSkip int64

	// What [Options.On] makes Offset, Size and Part of, when it is known how long the files are.
	SizePercent            int   // size=N%
	IOSizePercent          int   // io_size=N%
	OffsetPercent          int   // offset=N%
	OffsetAlign            int64 // offset_align
	OffsetIncrement        int64 // offset_increment
	OffsetIncrementPercent int
	FileSize               int64 // filesize
	FillDevice             bool  // fill_device

	// What they look like.
	Verify          string // verify; "" is pattern_hdr with a pattern, else TypeAny
	Interval        int    // verify_interval: one header each so many bytes
	HeaderOffset    int    // verify_offset: where in the interval the header is
	Pattern         string // verify_pattern, in the grammar of [verify.Parser.Parse]
	PatternInterval int    // verify_pattern_interval
	Compress        int    // buffer_compress_percentage
	Padding         string // buffer_pattern, where compressed
	Generation      uint32 // in place of the clock, if not 0

	// Where the random numbers come from.
	RandSeed      uint64 // randseed
	RandSeedGiven bool
	RandRepeat    bool // randrepeat
	AllRandRepeat bool // allrandrepeat

	// How long.
	Loops     int           // loops
	TimeBased bool          // time_based: loops until Runtime is over
	Runtime   time.Duration // runtime; 0: no limit
	NumberIOs int64         // number_ios: so many writes at most; 0: no limit

	// How.
	IODepth    int     // iodepth: requests in flight
	Async      bool    // an ioengine that queues: where fio begins a loop anew depends on it
	Workers    int     // verify_async: goroutines that fill and check; 0: one a CPU
	MaxRequest int     // adjacent blocks are one request of up to so many bytes; 0: each is one
	DoVerify   bool    // do_verify: verify after writing
	VerifyOnly bool    // verify_only: write nothing
	Backlog    int64   // verify_backlog: verify each time so many blocks are written
	Fsync      int64   // fsync, fdatasync: flush each time so many blocks are written
	EndFsync   bool    // end_fsync
	Holes      bool    // blocks of zeroes were never written; for scans
	Content    Content // whether data are made again and compared
	HeaderSeed bool    // verify_header_seed: headers must have the seed of this job
	Sequence   bool    // verify_write_sequence: and the write's number

	// Trimming: trim_percentage, trim_backlog, trim_backlog_batch, trim_verify_zero.
	TrimPercent int
	TrimBacklog int64
	TrimBatch   int64
	TrimZero    bool

	// What ends it and what stays.
	StopAtFirst bool   // verify_fatal
	Dump        bool   // verify_dump
	StateSave   bool   // verify_state_save
	StateLoad   bool   // verify_state_load
	Flushed     bool   // verify_policy=fsynced
	AuxPath     string // aux-path

	// The files; opening them is the caller's.
	Filenames      []string // filename
	Directory      string   // directory
	FilenameFormat string   // filename_format
	NrFiles        int      // nrfiles
	OpenFiles      int      // openfiles; 0: all
	FileTurn       int      // file_service_type: requests to one file before the next; 0: 1
	NumJobs        int      // numjobs; see [Options.Clones]
	Clone          int      // which of them, from 0
	File           int      // which of the files this is, from 0; each has its part of Size
	Direct         bool     // direct
	Sync           bool     // sync

	// Stonewall is stonewall: the job begins when all before it have ended. Group
	// counts such jobs: fio runs those of one group at the same time.
	Stonewall bool
	Group     int

	// KBBase is kb_base: what units mean, see [Options.Set]. 0: k, kb, ki and kib are all 1024.
	KBBase int
	// RangeGiven says that bsrange or bssplit have set the sizes of reads, of writes:
	// bs changes them no more.
	RangeGiven [2]bool

	// ReadFile reads the files that patterns name, as [verify.Parser] has it.
	ReadFile func(name string, limit int) ([]byte, error) `json:"-"`
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

// Content says when the data of blocks are made again and compared.
type Content uint8

// The choices. ContentAuto believes good checksums, except of types that do not see all damage.
const (
	ContentAuto Content = iota
	ContentOn
	ContentOff
)

// DefaultOptions are fio's defaults, except that a run goes on after the first
// bad block and verifies with as many workers as there are CPUs.
func DefaultOptions() Options {
	return Options{
		Name: "verify", Fio: Fio342, Thread: 1,
		MinBlock: 4096, Generator: "tausworthe", MixRead: 50,
		RandSeed: 0x89, RandRepeat: true, Loops: 1, IODepth: 16,
		DoVerify: true, HeaderSeed: true, Sequence: true, TrimZero: true, StateSave: true,
		NrFiles: 1, NumJobs: 1, FileTurn: 1, Run: 1,
	}
}

// MaxMerge is the most that [Options.MaxRequest] may be, in bytes.
const MaxMerge = MaxBlockSize

const (
	MaxBlockSize = 64 << 20
	MaxDepth     = 1 << 12
	// maxMapBlocks bounds the memory of a random map to 128 MiB.
	maxMapBlocks = 1 << 30
)

// A Layout is what follows from Options for each block.
type Layout struct {
	Options
	// Checksum is nil for blocks without header, and for those whose header says what they are.
	Checksum *Checksum
	// AnyType: each header says what its block is, so none can be written.
	AnyType bool
	// Headless: the data are the pattern or ordinary fill.
	Headless bool
	Payload  Payload
	// files is how many files the job has. The range of each has part bytes, and
	// the file goes on for length bytes from its beginning.
	files          int
	Extent, length int64
	// BlockLen is the length of a block with one header; 0: that of the request.
	BlockLen int
}

// NewLayout checks options and works out what they mean.
func NewLayout(o Options) (*Layout, error) {
	l := &Layout{Options: o}
	if l.MaxBlock == 0 {
		l.MaxBlock = l.MinBlock
	}
	l.Thread = max(l.Thread, 1)
	l.Loops = max(l.Loops, 1)
	l.files = l.FileCount()
	l.FileTurn = max(l.FileTurn, 1)
	if l.Distribution.Kind != "" && l.Distribution.Names == nil {
		l.Distribution.Names = l.Files()
	}
	if l.Extent = l.Part; l.Extent == 0 {
		l.Extent = l.Size / int64(l.files)
	}
	if l.length = l.FileLength - l.Offset; l.FileLength == 0 {
		l.length = l.Extent
	}
	switch r := l.Reads; {
	case r.Min == l.MinBlock && r.Max == l.MaxBlock && slices.Equal(r.Split, l.Split):
		l.Reads = Sizes{}
	case r.Min > 0 && (l.Direction == Read || l.Direction == RandRead):
		l.MinBlock, l.MaxBlock, l.Split = r.Min, r.Max, r.Split
	}
	if !l.RandRepeat && !l.RandSeedGiven {
		l.HeaderSeed = false
		l.Sequence = l.Sequence && !l.Direction.Random()
	}
	for _, check := range []func() error{l.checkSizes, l.checkSplit, l.checkCounts, l.checkPlaces, l.setContent, l.setType, l.setInterval, l.checkHeader, l.checkOrder} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *Layout) checkSizes() error {
	switch {
	case l.MinBlock < 1 || l.MaxBlock < l.MinBlock || l.MaxBlock > MaxBlockSize:
		return fmt.Errorf("block size %d-%d is not within 1 and %d", l.MinBlock, l.MaxBlock,
			MaxBlockSize)
	case l.Reads.Min < 0 || l.Reads.Max < l.Reads.Min || l.Reads.Max > MaxBlockSize:
		return fmt.Errorf("block size %d-%d of reads is not within 1 and %d", l.Reads.Min,
			l.Reads.Max, MaxBlockSize)
	case l.Offset < 0 || l.Size < 0 || l.Extent < 0 || l.IOSize < 0 ||
		l.Offset > math.MaxInt64-max(l.Size, l.Extent)-MaxBlockSize:
		return fmt.Errorf("offset %d and size %d are out of range", l.Offset, max(l.Size, l.Extent))
	case l.File < 0 || l.File >= l.files:
		return fmt.Errorf("file %d of %d", l.File, l.files)
	case l.Direction.Random() && !l.mapless() && l.Generator != "lfsr" &&
		l.Extent/int64(l.least()) > maxMapBlocks/int64(l.files):
		return fmt.Errorf("%d blocks in random order need random_generator=lfsr or norandommap",
			l.Extent/int64(l.least())*int64(l.files))
	case l.BSUnaligned && l.Overlaps():
		return errors.New(
			"bs_unaligned where blocks are written more than once: those that overlap in part cannot be told apart")
	case l.Fio == Fio22 && l.BSUnaligned:
		return errors.New("fio 2.2 writes no sound blocks with bs_unaligned")
	case l.Fio == Fio22 && l.Ranged() && l.MinBlock&(l.MinBlock-1) != 0:
		return errors.New(
			"fio 2.2 writes no sound blocks with bsrange unless the smaller size is a power of two")
	case l.Split != nil && l.Fio == Fio22:
		return errors.New("bssplit is not known to write the same blocks as fio 2.2")
	case l.Generator == "lfsr" && l.Ranged():
		return errors.New("random_generator=lfsr needs blocks of one size")
	}
	return nil
}

func (l *Layout) checkSplit() error {
	if len(l.Split) > maxShares {
		return fmt.Errorf("bssplit has %d sizes, more than %d", len(l.Split), maxShares)
	}
	for _, s := range l.Reads.Split {
		if s.Block < l.Reads.Min || s.Block > l.Reads.Max || s.Percent < 0 || s.Percent > 100 ||
			len(l.Reads.Split) > maxShares {
			return fmt.Errorf(
				"bssplit of reads: %d/%d is no size within %d and %d with a percentage", s.Block,
				s.Percent, l.Reads.Min, l.Reads.Max)
		}
	}
	for _, s := range l.Split {
		if s.Block < l.MinBlock || s.Block > l.MaxBlock || s.Percent < 0 || s.Percent > 100 {
			return fmt.Errorf("bssplit: %d/%d is no size within %d and %d with a percentage",
				s.Block, s.Percent, l.MinBlock, l.MaxBlock)
		}
	}
	return nil
}

// checkPlaces refuses what is not known of the order of requests.
func (l *Layout) checkPlaces() error {
	if err := l.Distribution.check(); err != nil {
		return fmt.Errorf("random_distribution: %w", err)
	}
	moves := l.Step != 0 || l.ZoneSize > 0 || l.Run > 1 || l.Sequential != [2]int{} ||
		l.Distribution.Kind != ""
	switch {
	case l.Distribution.Names != nil && len(l.Distribution.Names) != l.files:
		return fmt.Errorf("random_distribution for %d files of %d", len(l.Distribution.Names),
			l.files)
	case l.Run < 0 || l.FileTurn < 0 || l.FileLength < 0 || l.Part < 0 || l.OffsetAlign < 0:
		return errors.New("a count or size is negative")
	case moves && l.Fio == Fio22:
		return errors.New("of fio 2.2 only plain sequential and random orders are known")
	case moves && l.TrimPercent > 0:
		return errors.New(
			"trim_percentage where blocks are written more than once: what was trimmed may be written again")
	case l.Step%int64(l.MinBlock) != 0 || l.Step != 0 && l.Ranged():
		return fmt.Errorf(
			"rw=%v:%d: blocks that leave out no whole blocks may overlap in part and cannot be told apart", l.Direction, l.Step)
	case l.ZoneSize < 0 || l.ZoneRange < 0 || l.ZoneSkip < 0 ||
		max(l.ZoneSize, l.ZoneRange, l.ZoneSkip) > math.MaxInt64/4:
		return errors.New("a size of zones is out of range")
	case l.ZoneSize > 0 &&
		(l.ZoneSize%int64(l.MinBlock) != 0 || l.zoneRange()%int64(l.MinBlock) != 0 ||
			l.ZoneSkip%int64(l.MinBlock) != 0 || l.Ranged()):
		return errors.New(
			"zones that are no whole blocks of one size: blocks may overlap in part and cannot be told apart")
	case l.ZoneSize > 0 && (l.files > 1 || l.Generator == "lfsr"):
		return errors.New("zonemode=strided works on one file, and not with random_generator=lfsr")
	case l.ZoneSize > 0 && !l.Strided:
		return errors.New("zonesize needs zonemode=strided")
	case l.ZoneSize == 0 && (l.Strided || l.ZoneRange > 0 || l.ZoneSkip > 0):
		return errors.New("zonemode=strided, zonerange and zoneskip need zonesize")
	case l.Generator == "lfsr" &&
		(l.Run > 1 || l.Sequential != [2]int{} || l.Distribution.Kind != "" || l.Reads.Min > 0):
		return errors.New(
			"random_generator=lfsr is for requests that are all random and of one size")
	case l.OpenFiles > 0 && l.OpenFiles < l.files && l.FileTurn < math.MaxInt:
		return errors.New("openfiles below the number of files: the order of files is not known")
	}
	return nil
}

func (l *Layout) checkCounts() error {
	percent := func(n int) bool { return n >= 0 && n <= 100 }
	switch {
	case !percent(l.Compress) || !percent(l.TrimPercent) || !percent(l.MixRead) ||
		!percent(l.Sequential[reads]) || !percent(l.Sequential[writes]):
		return errors.New("a percentage is not within 0 and 100")
	case l.Generator != "tausworthe" && l.Generator != "tausworthe64" && l.Generator != "lfsr":
		return fmt.Errorf("unknown random_generator %q (known: tausworthe, tausworthe64, lfsr)",
			l.Generator)
	case l.TimeBased && l.Runtime <= 0:
		return errors.New("time_based needs runtime")
	case l.TrimPercent > 0 && l.Rewrites():
		return errors.New(
			"trim_percentage with loops, time_based or norandommap: what was trimmed may be written again")
	case l.TrimPercent > 0 && l.TrimBacklog <= 0:
		return errors.New("trim_percentage needs trim_backlog")
	case l.Interval < 0 || l.HeaderOffset < 0 || l.PatternInterval < 0 ||
		l.PatternInterval > MaxBlockSize:
		return errors.New("an interval is negative or too large")
	case l.IODepth > MaxDepth || l.Workers > MaxDepth || l.NumJobs > MaxJobs ||
		l.NrFiles > MaxJobs || len(l.Filenames) > MaxJobs:
		return fmt.Errorf("more than %d jobs or files, or a depth above %d", MaxJobs, MaxDepth)
	case l.MaxRequest < 0 || l.MaxRequest > MaxMerge:
		return fmt.Errorf("merged requests of %d bytes are not within 0 and %d", l.MaxRequest,
			MaxMerge)
	case l.Backlog < 0 || l.Fsync < 0 || l.TrimBacklog < 0 || l.TrimBatch < 0 || l.NumberIOs < 0 ||
		l.Runtime < 0:
		return errors.New("a count is negative")
	}
	return nil
}

// oldPatternLimit is the longest pattern of fio up to 3.33, in bytes.
const oldPatternLimit = 512

func (l *Layout) setContent() error {
	if l.Compress == 100 {
		l.Compress = 0 // fio takes it for zero_buffers, which verification ignores
	}
	l.Payload = Payload{Recipe: Recipe{
		Filler: l.Fio.filler(), Compress: l.Compress,
		Alternate: l.Fio == Fio22,
	}}
	limit := verify.MaxPattern
	if l.Fio == Fio22 || l.Fio == Fio333 {
		limit = oldPatternLimit
	}
	ps := verify.Parser{ReadFile: l.ReadFile, Limit: limit}
	if l.Padding != "" {
		pad, err := ps.Literal(l.Padding)
		if err != nil {
			return fmt.Errorf("buffer_pattern %q: %w", verify.Brief(l.Padding), err)
		}
		l.Payload.Padding = string(pad.Unit)
	}
	if l.Pattern == "" {
		return nil
	}
	pat, err := ps.Literal(l.Pattern)
	if err != nil {
		return fmt.Errorf("verify_pattern %q: %w", verify.Brief(l.Pattern), err)
	}
	l.Payload.Pattern, l.Payload.patternInterval = pat, l.PatternInterval
	return nil
}

func (l *Layout) setType() (err error) {
	switch {
	case l.Verify == TypeAny:
		l.Verify, l.AnyType = "", true
		return nil
	case l.Verify == "" && l.Pattern != "":
		l.Verify = "pattern_hdr"
	case l.Verify == "":
		return nil
	case l.Verify == TypePattern || l.Verify == TypeNull:
		l.Headless = true
		l.Payload.Still = l.Verify == TypeNull // fio fills its buffer once
	}
	if l.Pattern == "" && strings.HasPrefix(l.Verify, TypePattern) {
		return fmt.Errorf("verify=%s needs a verify_pattern", l.Verify)
	}
	if l.Headless && l.Ranged() && l.Overlaps() {
		return fmt.Errorf(
			"verify=%s where blocks of different lengths are written over each other: nothing tells them apart", l.Verify)
	}
	if !l.Headless {
		l.Checksum, err = findSum(l.Verify, l.Fio)
	}
	return err
}

// setInterval works out where headers are: fio takes the greatest common
// divisor of the block sizes where the interval does not divide them.
func (l *Layout) setInterval() error {
	lo, hi := l.MinBlock, l.MaxBlock
	if l.BSUnaligned {
		return nil
	}
	l.BlockLen = l.Interval
	if l.BlockLen == 0 || l.BlockLen > lo {
		l.BlockLen = lo
	}
	if within := l.Interval > 0 && l.Interval <= lo || l.Interval == 0 && l.Ranged(); within &&
		l.Direction.Mixed() && l.Reads.Min > 0 {
		l.BlockLen = min(l.BlockLen, l.Reads.Min)
	}
	if lo%l.BlockLen == 0 && hi%l.BlockLen == 0 {
		return nil
	}
	if l.Fio == Fio22 && l.Interval != 0 {
		return fmt.Errorf(
			"fio 2.2 writes no sound blocks with verify_interval %d in blocks of %d-%d", l.Interval,
			lo, hi)
	}
	l.BlockLen = gcd(lo, hi)
	return nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Passes reports whether the job goes over its range more than once.
func (l *Layout) Passes() bool { return l.Loops > 1 || l.TimeBased }

// reseeds reports whether the random numbers of a loop are those of the one before.
func (l *Layout) reseeds() bool {
	return l.RandRepeat && !l.RandSeedGiven && (!l.TimeBased || l.Async)
}

// Ranged reports whether blocks have different lengths.
func (l *Layout) Ranged() bool { return l.MinBlock != l.MaxBlock }

// repeats reports whether the job may go over its range again because it has not
// moved as much as it is to.
func (l *Layout) repeats() bool {
	return l.DoVerify && (l.IOSize > l.Size || l.Reads.Min > 0)
}

// mapless reports whether a random job does not remember which blocks it did.
func (l *Layout) mapless() bool { return l.NoRandomMap || l.Distribution.Kind != "" }

// collides reports whether blocks may be written more than once in one pass.
// The map of fio 2.2 does not keep those of different lengths apart.
func (l *Layout) collides() bool {
	if l.Step != 0 || l.ZoneSize > 0 || l.repeats() {
		return true
	}
	return l.Direction.Random() &&
		(l.mapless() || l.Run > 1 || l.Sequential[writes] > 0 || l.Fio == Fio22 && l.Ranged())
}

// sizes are those of the blocks of one direction.
func (l *Layout) sizes(w way) Sizes {
	if w == reads && l.Reads.Min > 0 {
		return l.Reads
	}
	return Sizes{Min: l.MinBlock, Max: l.MaxBlock, Split: l.Split}
}

// Rewrites reports whether blocks may be written more than once.
func (l *Layout) Rewrites() bool { return l.Passes() || l.collides() }

// Overlaps reports whether a later write may have replaced an earlier one, and
// not by one pass following the other in the same order.
func (l *Layout) Overlaps() bool {
	if !l.Passes() || l.collides() {
		return l.collides()
	}
	shuffled := !l.reseeds() && (l.Direction.Random() || l.Ranged())
	return shuffled || l.Direction.Mixed() || l.Backlog > 0
}

// HeaderSize is the length of the header with the checksum.
func (l *Layout) HeaderSize() int {
	size := ShortHeader
	if l.Fio.long() {
		size = LongHeader
	}
	if l.Checksum != nil {
		size += l.Checksum.Size
	}
	return size
}

// checkHeader makes sure that headers fit into their blocks.
func (l *Layout) checkHeader() error {
	if l.Checksum == nil {
		return nil
	}
	least, size := l.BlockLen, l.HeaderSize()
	if least == 0 {
		least = l.MinBlock
	}
	if least <= size {
		return fmt.Errorf("blocks of %d bytes have no room for the %d bytes of a %s header", least,
			size, l.Verify)
	}
	if l.HeaderOffset != 0 && (l.HeaderOffset < size || l.HeaderOffset > least-size) {
		return fmt.Errorf(
			"verify_offset %d would lay a header of %d bytes over its own place or out of its block of %d (possible: %d to %d)",
			l.HeaderOffset, size, least, size, least-size)
	}
	return nil
}

// Compares reports whether the content of blocks is to be made again even if the checksum is right.
func (l *Layout) Compares(s *Checksum) bool {
	switch l.Content {
	case ContentOn:
		return true
	case ContentOff:
		return false
	}
	return s != nil && s.Blind
}

// checkOrder makes sure that there is an order of blocks.
func (l *Layout) checkOrder() error {
	if l.Generator != "lfsr" || !l.Direction.Random() {
		return nil
	}
	seeds := makeSeeds(&l.Options)
	_, err := newLFSR(l.Extent/int64(l.MinBlock), seeds[l.Fio.streams().order])
	return err
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

// SetRelease makes the release known whose content is expected first.
func (l *Layout) SetRelease(r Release) {
	l.Fio = r
	l.Payload.Filler, l.Payload.Alternate = r.filler(), r == Fio22
}

// A Span is a part of a file, in bytes.
type Span struct{ From, To int64 }

func (s Span) Overlaps(other Span) bool { return s.From < other.To && other.From < s.To }

// Span is what the job is about of each file.
func (l *Layout) Span() Span { return Span{l.Offset, l.Offset + l.Extent} }

// Covers reports whether the job writes all of its range for sure.
func (l *Layout) Covers() bool {
	limited := l.Runtime > 0 || l.NumberIOs > 0 || l.limit() < l.Extent*int64(l.files) ||
		l.FillDevice
	return !l.Direction.Mixed() && !l.collides() && !limited
}

// Tells reports whether it shows by each block which of two jobs wrote it: their blocks lie in the
// same places and have headers. If all blocks of both are the same, it does not matter.
func (l *Layout) Tells(other *Layout) bool {
	if l.Headless && other.Headless {
		return l.Payload.Pattern != nil && l.Pattern == other.Pattern &&
			l.MinBlock == other.MinBlock && l.MaxBlock == other.MaxBlock
	}
	every := int64(l.BlockLen)
	return l.Checksum != nil && other.Checksum != nil && every > 0 &&
		other.BlockLen == l.BlockLen && l.HeaderOffset == other.HeaderOffset &&
		l.Thread != other.Thread && (l.Offset-other.Offset)%every == 0
}
