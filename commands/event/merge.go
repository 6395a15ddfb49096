package event

import (
	"slices"

	"github.com/blksh/blksh/verify"
)

// The events of this file are about what shards did together.

// Merged is what became of a run that several shards made. It is a MergeFailed unless all was done
// and all is right.
type Merged struct {
	Range
	Op       string `json:"op" doc:"the command of the shards"`
	Asked    string `json:"asked" doc:"its call, without those flags that are each shard's own"`
	Job      string `json:"job,omitempty" doc:"section of the job file"`
	File     string `json:"file,omitempty" doc:"name of the image, where there are several"`
	N        int64  `json:"shards" doc:"how many there are"`
	Done     int64  `json:"shards_done" doc:"how many of them came to their end"`
	Complete bool   `json:"complete" doc:"whether all of them did"`
	Status   int    `json:"status" doc:"the exit status of the whole"`
	Size     int64  `json:"image_size" unit:"bytes" doc:"of the image"`
	Block    int64  `json:"block" unit:"bytes" doc:"shards are cut at multiples of so many bytes from the start of the range"`

	Missing      []MergeMissing `json:"missing,omitempty" doc:"shards that nobody has done: shard, offset, length, file and why of the last attempt; up to a limit"`
	MissingCount int64          `json:"missing_count,omitempty" doc:"how many those are"`
	Overlaps     []MergeOverlap `json:"overlaps,omitempty" doc:"shards that were done more than once: shard, files that tell of it, and differ if their results do"`
	Foreign      []MergeForeign `json:"foreign,omitempty" doc:"files with shards of another run: file, field that differs, theirs and ours"`

	MergeTotals
	Algorithm string          `json:"algorithm,omitempty" doc:"of the sum"`
	Sum       verify.HexBytes `json:"sum,omitempty" doc:"of the whole range in hex, if the parts have one"`
}

// Kind of the event.
func (Merged) Kind() Kind { return Kind{"merged", "All shards of a run did what they were to do."} }

// Failing says whether the whole is not as it should be, whatever the status of a shard.
func (m *Merged) Failing() bool {
	return !m.Complete || len(m.Overlaps) > 0 || len(m.Foreign) > 0 || m.Bad > 0 || m.Wrong > 0 ||
		m.Op == "find" && m.Matches == 0 || m.Verified && m.Blocks == 0 && m.Others == 0
}

// Disputed reports whether results contradict each other.
func (m *Merged) Disputed() bool {
	return slices.ContainsFunc(m.Overlaps, func(o MergeOverlap) bool { return o.Differ })
}

// MergeTotals are the figures of shards, added up.
type MergeTotals struct {
	Verified   bool             `json:"-"` // blocks were verified
	Blocks     int64            `json:"blocks,omitempty" doc:"how many were checked"`
	Checked    int64            `json:"checked,omitempty" unit:"bytes" doc:"of blocks whose data were compared, or proved by a checksum"`
	Unreadable int64            `json:"unreadable,omitempty" unit:"bytes" doc:"what could not be read"`
	Others     int64            `json:"others,omitempty" unit:"bytes" doc:"what other jobs of the file wrote"`
	Bad        int64            `json:"bad,omitempty" doc:"damaged blocks"`
	BadBytes   int64            `json:"bad_bytes,omitempty" unit:"bytes" doc:"in them"`
	Classes    map[string]int64 `json:"classes,omitempty" doc:"number of bad blocks by class"`
	Written    int64            `json:"written,omitempty" unit:"bytes" doc:"what was written"`
	Matches    int64            `json:"matches,omitempty" doc:"places that were found"`
	More       bool             `json:"more,omitempty" doc:"a search ended before its range did, so that there may be more of them"`
	Wrong      int64            `json:"bytes,omitempty" unit:"bytes" doc:"what differs, or is not zero"`
	Ranges     []MergeRange     `json:"ranges,omitempty" doc:"where it is bad or differs: offset, length and class, as far as the shards told; up to a limit"`
	RangeCount int64            `json:"range_count,omitempty" doc:"how many such ranges there are"`
}

// MergeRange is a run of bytes that are not as they should be.
type MergeRange struct {
	Off   int64  `json:"offset"`
	Len   int64  `json:"length"`
	Class string `json:"class,omitempty"`
}

// MergeMissing is a shard that nobody has done. Name is the file of the last attempt, "" if there
// was none.
type MergeMissing struct {
	K int64 `json:"shard"`
	Range
	Name string `json:"file,omitempty"`
	Why  string `json:"why,omitempty"`
}

// MergeOverlap is a shard that was done more than once.
type MergeOverlap struct {
	K      int64    `json:"shard"`
	Files  []string `json:"files"`
	Differ bool     `json:"differ,omitempty"` // their results do
}

// MergeForeign is a file with shards of another run. Field is the first of the event "shard" that
// tells them apart.
type MergeForeign struct {
	Name   string `json:"file"`
	Field  string `json:"field"`
	Theirs string `json:"theirs"`
	Ours   string `json:"ours"`
}

// MergeFailed is Merged where not all was done, or not all is right.
type MergeFailed struct{ Merged }

// Kind of the event.
func (MergeFailed) Kind() Kind {
	return Kind{"merge_failed", "The shards of a run did not do all of it, or found something wrong."}
}

// Class of the failure: that of the status.
func (m MergeFailed) Class() Class {
	switch m.Status {
	case 1:
		return ClassData
	case 2:
		return ClassUsage
	case 3:
		return ClassOpen
	case 4:
		return ClassLocked
	case 130:
		return ClassInterrupted
	}
	return ClassIO
}

// MergeIdle is a file of a program that began no shard. Status is its exit status, below 0 if it
// has none.
type MergeIdle struct {
	Name   string `json:"file" type:"path" doc:"of the program"`
	Status int    `json:"status" omit:"negative" doc:"its exit status, if it ended"`
	Why    string `json:"why,omitempty" doc:"its failure"`
}

// Kind of the event.
func (MergeIdle) Kind() Kind { return Kind{"merge_idle", "A program began no shard."} }

// NothingMerged says that no file has a shard.
type NothingMerged struct {
	Status int `json:"status" doc:"the gravest exit status of the programs"`
}

// Kind of the event.
func (NothingMerged) Kind() Kind { return Kind{"nothing_merged", "No file tells of a shard."} }

// Class of the failure: that of the status, and if all programs were content, the wrong files were
// given.
func (n NothingMerged) Class() Class {
	if n.Status <= 0 {
		return ClassUsage
	}
	return MergeFailed{Merged{Status: n.Status}}.Class()
}

// Words of the event.
func (NothingMerged) Words() string {
	return "no file tells of a shard: were they written with --json, by commands with --shard?"
}
