// Package merge adds up what shards said: the parts of one run that --shard cuts, each told of as
// JSON by a program of its own.
//
//	lines of a file ─▶ read.go: a part, what became of it ─▶ judge.go: runs, whole or not
//
// A file holds what one program wrote, or several behind each other, each of which ends with its
// exit status. Parts that were asked for the same thing are of one run. A part counts if its
// program came to its end and said what became of it; an attempt that did not is nothing, if
// another one did.
//
// Files come from other machines, so nothing in them is believed that can be worked out: where a
// part lies follows from the whole, K and N, and results have to be about that. Lines are bounded
// in length, parts in number, and lists of places are kept up to a limit, with the rest counted.
package merge

import (
	"fmt"
	"hash"
	"slices"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/verify/merkle"
)

// Merger adds up files.
type Merger struct {
	// Hash is what a tree of that name is made with, nil if nobody knows.
	Hash func(algorithm string) func() hash.Hash

	runs  []*run
	known map[identity]*run
	parts int // how many were begun
	kept  int // places of them
	idle  []event.MergeIdle
	worst int // the gravest exit status of programs that began no part
}

// What bounds the memory that files take, whatever is in them.
const (
	mostParts = 1 << 20
	mostRuns  = 256
	mostKept  = 1 << 16 // places
	// longestLine and longestText are in bytes. A text is what runs are told apart by.
	longestLine = 16 << 20
	longestText = 64 << 10
	// longestWhy is how much is kept of the reason of a failure, in bytes.
	longestWhy = 1 << 10
	// longestSum is how many digits a sum may have.
	longestSum = 1 << 10
)

// identity is what the parts of a run have in common.
type identity struct {
	what
	asked, digest string
	size, block   int64
	whole         event.Range
	n             int64
}

// what is what people call a run by.
type what struct{ op, job, file string }

// run is the parts of an identity.
type run struct {
	identity
	parts map[int64][]*part
	files []string // with parts of it, each once
	left  int64    // how many of them nobody has done
}

// part is what a program did of a run.
type part struct {
	event.Range
	run  *run
	k    int64
	file string
	line int64 // of the program's input

	said   map[string]bool // kinds of results
	failed string          // why it did not come to its end, if it said so
	status int             // of the program, cut if it did not end
	blamed bool            // it said that something is not as expected
	totals event.MergeTotals
	tree   *merkle.Part
	sum    string // the algorithm
	digits string // of a sum that cannot be joined
}

// cut stands for the exit status of a program that wrote none.
const cut = -1

// results are, of each command, the events that say what became of a part; of several of them one
// is enough. A job of verify_job may have nothing to do, and say nothing.
var results = [...]struct {
	op    string
	kinds []string
}{
	{"verify_write", []string{"blocks_written"}},
	{"verify_read", []string{"verdict", "damaged", "nothing_verified"}},
	{"verify_job", nil},
	{"sum", []string{"sum", "sum_part"}},
	{"compare", []string{"same", "different", "other_length"}},
	{"iszero", []string{"zero", "not_zero"}},
	{"find", []string{"searched", "not_found"}},
	{"copy", []string{"copied"}},
}

// resultsOf are those of a command.
func resultsOf(op string) (kinds []string, known bool) {
	for _, of := range results {
		if of.op == op {
			return of.kinds, true
		}
	}
	return nil, false
}

// isResult says whether objects of that kind say what became of a part.
func isResult(kind string) bool {
	for _, of := range results {
		if slices.Contains(of.kinds, kind) {
			return true
		}
	}
	return false
}

// done says whether the part came to its end.
func (p *part) done() bool {
	if p.status == cut || p.failed != "" {
		return false
	}
	kinds, _ := resultsOf(p.run.op)
	return kinds == nil || p.Len == 0 ||
		slices.ContainsFunc(kinds, func(kind string) bool { return p.said[kind] })
}

// why is what keeps a part from being done.
func (p *part) why() string {
	switch {
	case p.failed != "":
		return p.failed
	case p.status == cut:
		return "it ends without an exit status: its program was killed, or still runs"
	}
	return fmt.Sprintf("it says nothing of a result, and ended with status %d", p.status)
}
