package job

import (
	"slices"
	"sort"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// Bad is a block that is not as expected.
type Bad struct {
	// Off and Len are where the block is, in bytes.
	Off int64 `json:"offset"`
	Len int64 `json:"length"`
	// Cause is what happened to it.
	Cause verify.Cause `json:"cause"`
	// Type is the verify type, or the types that it may be.
	Type string `json:"type,omitempty"`
	// Header is what its header says, if there is one whose own crc is right,
	// or was before a single bit flipped.
	Header *fio.Header `json:"header,omitempty"`
	// Seed and Number are what the job wrote last there, if the job is known.
	Seed   uint64 `json:"want_seed,omitempty"`
	Number uint64 `json:"want_number,omitempty"`
	// Parts are the wrong sectors, as far as the right content is known.
	Parts []verify.Range `json:"parts,omitempty"`
	// BigEndian says that it begins with a header in the byte order of another machine.
	BigEndian bool `json:"big_endian,omitempty"`
	// blind says that its type has no checksum of all data.
	blind bool
	// got and want are both sides, valid during the call that reports the
	// block; want is nil if it is not known.
	got, want []byte
}

// maxBadRanges bounds the memory of a result.
const maxBadRanges = 4096

// A Result is what came of a job, or on what was done of it.
type Result struct {
	// Written and Trimmed count bytes, and so do the following, which tell apart what was read:
	// Checked is blocks whose data were compared, or proved by a checksum; HeadersOnly is blocks
	// of which only the header could be checked; Unchecked is what nothing is known about: of
	// type null, or never written; Unreadable could not be read.
	Written     int64 `json:"written"`
	Trimmed     int64 `json:"trimmed,omitempty"`
	Checked     int64 `json:"checked"`
	HeadersOnly int64 `json:"headers_only,omitempty"`
	Unchecked   int64 `json:"unchecked,omitempty"`
	Unreadable  int64 `json:"unreadable,omitempty"`
	// Requests counts the reads and writes that were sent to the device, each of
	// one request of the job or of several that were merged.
	Requests int64 `json:"requests"`
	// ReadTraffic and WriteTraffic are what was sent and how long it took; nil without
	// [Hooks.Clock].
	ReadTraffic  *Traffic `json:"-"`
	WriteTraffic *Traffic `json:"-"`
	// Blocks counts the blocks that were checked; Bad those that are damaged.
	Blocks int64 `json:"blocks"`
	Bad    int64 `json:"bad"`
	// BadBytes is the length of the damaged blocks.
	BadBytes int64 `json:"bad_bytes"`
	// Classes counts the damaged blocks by what happened to them.
	Classes map[string]int64 `json:"classes,omitempty"`
	// Ranges are the damaged blocks, in ascending order, neighbours with one
	// cause merged; Range.Bad counts bytes of blocks. There is a limit, and
	// More is how many blocks are not listed.
	Ranges []BadRange `json:"ranges,omitempty"`
	More   int64      `json:"more,omitempty"`
	// Made counts the writes of the job that this run made and that ended well.
	Made int64 `json:"made,omitempty"`
	// Writes is the number of the first write that was not made.
	Writes uint64 `json:"writes,omitempty"`
	// ContentMismatches are blocks whose checksum is right while their content does
	// not follow from their seed. They count as good.
	ContentMismatches int64 `json:"unfaithful,omitempty"`
	// InFlight counts the blocks that were in flight when the power went, by what
	// is there now. They are good.
	InFlight InFlight `json:"in_flight,omitzero"`
	// Others counts bytes of blocks that other jobs of a job file wrote after this
	// one: they are judged when it is their turn. See [VerifyOptions.Others].
	Others int64 `json:"others,omitempty"`
	// Generations are the generations seen on blocks, with their numbers.
	Generations map[uint32]int64 `json:"generations,omitempty"`
	// BlockLen is how long most blocks are, in bytes, if a scan found them to be of
	// another length than the options say.
	BlockLen int `json:"block_length,omitempty"`
	// Fio is the release whose blocks were found.
	Fio fio.Release `json:"fio"`
	// Position is where a run that ended early goes on: see [WriteOptions.From].
	Position int64 `json:"position"`
	// Done says that nothing is left to do.
	Done bool `json:"done"`

	// flushed is the number of the first write that no flush covered, offsets the generator of
	// offsets behind the last write; for the state file.
	flushed uint64
	offsets fio.Generator
}

// A BadRange is a run of damaged blocks with one cause.
type BadRange struct {
	verify.Range
	// First is the first of them, without its bytes.
	First *Bad `json:"first"`
}

// InFlight counts blocks that may be old or new.
type InFlight struct {
	Old  int64 `json:"old"`
	New  int64 `json:"new"`
	Torn int64 `json:"torn"`
}

// History says what the run wrote whose result it is, for the verification of that.
func (r *Result) History() *History { return &History{Issued: r.Writes, own: true} }

// Good reports whether nothing is damaged.
func (r *Result) Good() bool { return r.Bad == 0 }

// bad adds as many bad blocks as blocks says, of which b is the first.
func (r *Result) bad(b *Bad, blocks int64) {
	if b.Cause.Class == verify.ContentMismatch {
		r.ContentMismatches++
		return
	}
	r.Bad += blocks
	r.BadBytes += b.Len * blocks
	if r.Classes == nil {
		r.Classes = map[string]int64{}
	}
	r.Classes[b.Cause.Class.String()] += blocks
	first := *b
	first.got, first.want = nil, nil
	n := b.Len * blocks
	where := verify.DiffRange{Off: b.Off, Len: n, Bad: n}
	r.insert(BadRange{verify.Range{DiffRange: where, Cause: b.Cause}, &first}, blocks)
}

// insert keeps the ranges sorted, for blocks come in the order of writing. n has so many blocks.
func (r *Result) insert(n BadRange, blocks int64) {
	i := sort.Search(len(r.Ranges), func(i int) bool { return r.Ranges[i].Off >= n.Off })
	switch {
	case i > 0 && r.Ranges[i-1].join(&n):
		i--
	case len(r.Ranges) == maxBadRanges:
		r.More += blocks
		return
	default:
		r.Ranges = slices.Insert(r.Ranges, i, n)
	}
	if i+1 < len(r.Ranges) && r.Ranges[i].join(&r.Ranges[i+1]) {
		r.Ranges = slices.Delete(r.Ranges, i+1, i+2)
	}
}

// join adds next if it continues r with the same cause. Where a bit flipped is not told apart from
// where others did.
func (r *BadRange) join(next *BadRange) bool {
	a, b := r.Cause, next.Cause
	a.At, b.At, a.Bit, b.Bit, a.Generation, b.Generation = 0, 0, 0, 0, 0, 0
	if r.End() != next.Off || a != b || a.Class == verify.OneBit {
		return false
	}
	r.Len += next.Len
	r.Bad += next.Bad
	return true
}

// merge adds the counts and ranges of other, which another worker found.
func (r *Result) merge(other *Result) {
	r.Written += other.Written
	r.Checked += other.Checked
	r.Trimmed += other.Trimmed
	r.Requests += other.Requests
	r.Blocks += other.Blocks
	r.HeadersOnly += other.HeadersOnly
	r.Unchecked += other.Unchecked
	r.Others += other.Others
	r.InFlight.Old += other.InFlight.Old
	r.InFlight.New += other.InFlight.New
	r.InFlight.Torn += other.InFlight.Torn
	for gen, n := range other.Generations {
		r.generation(gen, n)
	}
}

// maxGenerations bounds how many generations are told apart.
const maxGenerations = 64

func (r *Result) generation(gen uint32, n int64) {
	if r.Generations == nil {
		r.Generations = map[uint32]int64{}
	}
	if _, known := r.Generations[gen]; known || len(r.Generations) < maxGenerations {
		r.Generations[gen] += n
	}
}
