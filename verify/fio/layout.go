package fio

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/blksh/blksh/verify"
)

const (
	// MaxBlockSize is the longest block, in bytes.
	MaxBlockSize = 64 << 20
	// maxMapBlocks bounds the memory of a random map to 128 MiB.
	maxMapBlocks = 1 << 30
)

// A Layout is what follows from a workload for each block.
type Layout struct {
	Workload // with all defaults filled in
	// Checksum is nil for blocks without header, and for those whose header says what they are.
	Checksum *Checksum
	// AnyType: each header says what its block is, so none can be written.
	AnyType bool
	// Headerless: the data are the pattern or ordinary fill.
	Headerless bool
	Payload    Payload
	// The range of each file has Extent bytes, and the file goes on for length bytes from its
	// beginning.
	Extent, length int64
	// BlockLen is the length of a block with one header; 0: that of the request.
	BlockLen int
}

// NewLayout checks options and works out what they mean for blocks.
func NewLayout(o *Options) (*Layout, error) {
	l := &Layout{Workload: o.Workload}
	l.fillIn(o)
	if err := o.check(); err != nil {
		return nil, err
	}
	for _, check := range []func() error{
		l.checkSizes, l.checkSplit, l.checkCounts, l.checkOffsets,
		func() error { return l.setPayload(o.ReadFile) },
		l.setType, l.setInterval, l.checkHeader, l.checkOrder,
		func() error { return l.checkAlign(o) },
		func() error { return l.checkSlice(&o.Run) },
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// fillIn puts what is meant in place of what was not said.
func (l *Layout) fillIn(o *Options) {
	l.MaxBlock = cmp.Or(l.MaxBlock, l.MinBlock)
	l.Thread = max(l.Thread, 1)
	l.Loops = max(l.Loops, 1)
	l.NrFiles = o.FileCount()
	l.FileTurn = max(l.FileTurn, 1)
	if l.Distribution.Kind != "" && l.Distribution.Names == nil {
		l.Distribution.Names = o.Files()
	}
	l.Extent = cmp.Or(l.Part, l.Size/int64(l.NrFiles))
	if l.length = l.FileLength - l.Offset; l.FileLength == 0 {
		l.length = l.Extent
	}
	switch r := l.Reads; {
	case r.Min == l.MinBlock && r.Max == l.MaxBlock && slices.Equal(r.Split, l.Split):
		l.Reads = Sizes{}
	case r.Min > 0 && (l.Direction == Read || l.Direction == RandRead):
		l.MinBlock, l.MaxBlock, l.Split = r.Min, r.Max, r.Split
	}
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
	case l.File < 0 || l.File >= l.NrFiles:
		return fmt.Errorf("file %d of %d", l.File, l.NrFiles)
	case l.Direction.Random() && !l.mapless() && l.Generator != "lfsr" &&
		l.Extent/int64(l.least()) > maxMapBlocks/int64(l.NrFiles):
		return fmt.Errorf("%d blocks in random order need random_generator=lfsr or norandommap",
			l.Extent/int64(l.least())*int64(l.NrFiles))
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
	for _, sizes := range []Sizes{l.sizes(writes), l.sizes(reads)} {
		if len(sizes.Split) > maxShares {
			return fmt.Errorf("bssplit has %d sizes, more than %d", len(sizes.Split), maxShares)
		}
		for _, s := range sizes.Split {
			if s.Block < sizes.Min || s.Block > sizes.Max || s.Percent < 0 || s.Percent > 100 {
				return fmt.Errorf("bssplit: %d/%d is no size within %d and %d with a percentage",
					s.Block, s.Percent, sizes.Min, sizes.Max)
			}
		}
	}
	return nil
}

// checkOffsets refuses what is not known of the order of requests.
func (l *Layout) checkOffsets() error {
	if err := l.Distribution.check(); err != nil {
		return fmt.Errorf("random_distribution: %w", err)
	}
	moves := l.Step != 0 || l.ZoneSize > 0 || l.RandomEvery > 1 || l.Sequential != [2]int{} ||
		l.Distribution.Kind != ""
	switch {
	case l.Distribution.Names != nil && len(l.Distribution.Names) != l.NrFiles:
		return fmt.Errorf("random_distribution for %d files of %d", len(l.Distribution.Names),
			l.NrFiles)
	case l.RandomEvery < 0 || l.FileTurn < 0 || l.FileLength < 0 || l.Part < 0:
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
	case l.ZoneSize > 0 && (l.NrFiles > 1 || l.Generator == "lfsr"):
		return errors.New("zonemode=strided works on one file, and not with random_generator=lfsr")
	case l.ZoneSize > 0 && !l.Strided:
		return errors.New("zonesize needs zonemode=strided")
	case l.ZoneSize == 0 && l.Strided:
		return errors.New("zonemode=strided needs zonesize")
	case l.Generator == "lfsr" &&
		(l.RandomEvery > 1 || l.Sequential != [2]int{} || l.Distribution.Kind != "" ||
			l.Reads.Min > 0):
		return errors.New(
			"random_generator=lfsr is for requests that are all random and of one size")
	}
	return nil
}

// checkAlign refuses blocks that begin elsewhere than at multiples of their size, or have a size
// that depends on what stands before them.
func (l *Layout) checkAlign(o *Options) error {
	for way, align := range o.BlockAlign {
		if align != 0 && align != l.sizes(ddir(way)).Min && l.Direction.Random() {
			return errors.New(
				"blockalign: blocks that are not aligned to their size may overlap in part and cannot be told apart")
		}
	}
	if o.SeqRand && l.Reads.Min > 0 && l.Direction != RandWrite {
		return errors.New("bs_is_seq_rand: block sizes that depend on the order are not supported")
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
	case l.TrimPercent > 0 && l.Rewrites():
		return errors.New(
			"trim_percentage with loops, time_based or norandommap: what was trimmed may be written again")
	case l.TrimPercent > 0 && l.TrimBacklog <= 0:
		return errors.New("trim_percentage needs trim_backlog")
	case l.Interval < 0 || l.HeaderOffset < 0 || l.PatternInterval < 0 ||
		l.PatternInterval > MaxBlockSize:
		return errors.New("an interval is negative or too large")
	case l.Backlog < 0 || l.TrimBacklog < 0 || l.TrimBatch < 0 || l.NumberIOs < 0:
		return errors.New("a count is negative")
	}
	return nil
}

// oldPatternLimit is the longest pattern of fio up to 3.33, in bytes.
const oldPatternLimit = 512

func (l *Layout) setPayload(readFile func(string, int) ([]byte, error)) error {
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
	ps := verify.Parser{ReadFile: readFile, Limit: limit}
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
	case l.Verify == typePattern || l.Verify == TypeNull:
		l.Headerless = true
		l.Payload.Still = l.Verify == TypeNull // fio fills its buffer once
	}
	if l.Pattern == "" && strings.HasPrefix(l.Verify, typePattern) {
		return fmt.Errorf("verify=%s needs a verify_pattern", l.Verify)
	}
	if l.Headerless && l.Ranged() && l.Overlaps() {
		return fmt.Errorf(
			"verify=%s where blocks of different lengths are written over each other: nothing tells them apart", l.Verify)
	}
	if !l.Headerless {
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

// Every is the length of the blocks of a request of n bytes; the last one may be shorter.
func (l *Layout) Every(n int) int {
	if l.BlockLen == 0 {
		return n
	}
	return l.BlockLen
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
	return l.DoVerify && (l.IOSize > l.Size || l.Reads.Min > 0 || l.Step != 0 || l.ZoneSize > 0)
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
		(l.mapless() || l.RandomEvery > 1 || l.Sequential[writes] > 0 || l.Fio == Fio22 &&
			l.Ranged())
}

// sizes are those of the blocks of one direction.
func (l *Layout) sizes(w ddir) Sizes {
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
	least, size := cmp.Or(l.BlockLen, l.MinBlock), l.HeaderSize()
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

// checkOrder makes sure that there is an order of blocks.
func (l *Layout) checkOrder() error {
	if l.Generator != "lfsr" || !l.Direction.Random() {
		return nil
	}
	seeds := makeSeeds(&l.Workload)
	_, err := newLFSR(l.Extent/int64(l.MinBlock), seeds[l.Fio.streams().order])
	return err
}

// SetRelease makes the release known whose content is expected first.
func (l *Layout) SetRelease(r Release) {
	l.Fio = r
	l.Payload.Filler, l.Payload.Alternate = r.filler(), r == Fio22
}

// Touches reports whether the n bytes at off lie, in part at least, in the range of a file.
func (l *Layout) Touches(off, n int64) bool {
	return off < l.Offset+l.Extent && off+n > l.Offset
}

// Owns reports whether a request is one that this run makes: to its file, and within what it does
// of the job.
func (l *Layout) Owns(r *Request) bool {
	return r.File == l.File && (l.Only == Slice{} || r.Off >= l.Only.From && r.Off < l.Only.To)
}

// checkSlice refuses jobs of which several runs, each at its own pace, do not make the same blocks
// as a single one.
func (l *Layout) checkSlice(r *Run) error {
	if l.Only == (Slice{}) {
		return nil
	}
	switch {
	case l.Only.From < l.Offset || l.Only.To < l.Only.From || l.Only.To-l.Offset > l.Extent:
		return fmt.Errorf("the part from %d to %d is not within the %d bytes at %d", l.Only.From,
			l.Only.To, l.Extent, l.Offset)
	case l.TimeBased || r.Runtime > 0:
		return errors.New("runtime: a job that ends by time cannot be done in parts, " +
			"as each would end elsewhere")
	case l.Ranged() && (l.Overlaps() || l.Fio == Fio22):
		return errors.New("blocks of several lengths that are written over each other " +
			"cannot be written in parts: nobody knows which would be the last")
	}
	return nil
}

// Covers reports whether the job writes all of its range for sure.
func (l *Layout) Covers() bool {
	limited := l.NumberIOs > 0 || l.limit() < l.Extent*int64(l.NrFiles)
	return !l.Direction.Mixed() && !l.collides() && !limited
}

// Distinguishes reports whether it shows by each block which of two jobs wrote it: their blocks lie
// in the same places and have headers. If all blocks of both are the same, it does not matter.
func (l *Layout) Distinguishes(other *Layout) bool {
	if l.Headerless && other.Headerless {
		return l.Payload.Pattern != nil && l.Pattern == other.Pattern &&
			l.MinBlock == other.MinBlock && l.MaxBlock == other.MaxBlock
	}
	every := int64(l.BlockLen)
	return l.Checksum != nil && other.Checksum != nil && every > 0 &&
		other.BlockLen == l.BlockLen && l.HeaderOffset == other.HeaderOffset &&
		l.Thread != other.Thread && (l.Offset-other.Offset)%every == 0
}
