package merge

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/merkle"
)

// head is what objects of all kinds have.
type head struct {
	Kind    string `json:"kind"`
	Line    int64  `json:"line"`
	Error   bool   `json:"error"`
	Message string `json:"message"`
}

// object is the fields of those that matter here.
type object struct {
	head
	Off int64 `json:"offset"`
	Len int64 `json:"length"`

	// exit
	Status *int `json:"status"`
	Schema int  `json:"schema"`

	// shard
	Op       string `json:"op"`
	K        int64  `json:"shard"`
	N        int64  `json:"shards"`
	Block    int64  `json:"block"`
	Size     int64  `json:"image_size"`
	Asked    string `json:"asked"`
	Job      string `json:"job"`
	File     string `json:"file"`
	Digest   string `json:"digest"`
	WholeOff int64  `json:"whole_offset"`
	WholeLen int64  `json:"whole_length"`

	// results
	Done              *bool           `json:"done"`
	event.MergeTotals                 // Wrong is "bytes", whatever the kind counts
	Ranges            json.RawMessage `json:"ranges"` // or how many there are
	Class             string          `json:"class"`
	Algorithm         string          `json:"algorithm"`
	Sum               string          `json:"sum"`
	Leaf              int64           `json:"leaf"`
	First             json.RawMessage `json:"first"` // of other objects it is another thing
	More              json.RawMessage `json:"more"`  // so is this
	Leaves            int64           `json:"leaves"`
	Nodes             []merkle.Node   `json:"nodes"`
}

// source is a file that is read.
type source struct {
	*Merger
	name  string
	begun []*part // of the program whose lines these are
	// first is what its first failure says, and lost that one of them is no search in vain: another
	// shard may have found something.
	first      string
	vain, lost bool
	any        bool // the program said something
	programs   int  // that have ended
}

// Read adds up a file of that name.
func (m *Merger) Read(ctx context.Context, name string, r io.Reader) error {
	s := &source{Merger: m, name: name}
	b := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	for number := 1; ; number++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var err error
		if line, err = readLine(b, line[:0]); err != nil && err != io.EOF {
			return err
		}
		if len(line) == 0 && err == io.EOF {
			break
		}
		problem := s.take(line)
		if errors.As(problem, new(*notJSON)) && err == io.EOF && line[0] == '{' {
			break // the program was killed while it wrote this line
		}
		if problem != nil {
			return fmt.Errorf("line %d: %w", number, problem)
		}
	}
	if s.any || s.programs == 0 {
		s.end(cut)
	}
	return nil
}

// readLine appends the next line to line.
func readLine(b *bufio.Reader, line []byte) ([]byte, error) {
	for {
		some, err := b.ReadSlice('\n')
		if len(line)+len(some) > longestLine {
			return nil, fmt.Errorf("a line is longer than %s", units.Size(longestLine))
		}
		line = append(line, some...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// notJSON is what is wrong with a line that is no object.
type notJSON struct{ err error }

func (n *notJSON) Error() string { return "no object as --json writes them: " + n.err.Error() }

func (n *notJSON) Unwrap() error { return n.err }

// unreadable says what is wrong with a line, in the words of who reads it and not of a decoder.
func unreadable(line []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("it is a JSON %s", kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("its %s is a %s", kind.Field, kind.Value)
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(line)):
		return errors.New("it ends too early")
	case errors.As(err, &syntax):
		return fmt.Errorf("what stands at byte %d of it is no JSON", syntax.Offset)
	}
	return err
}

// take takes a line.
func (s *source) take(line []byte) error {
	var o object
	if err := json.Unmarshal(line, &o.head); err != nil {
		return &notJSON{unreadable(line, err)}
	}
	if o.Kind == "" {
		return &notJSON{errors.New("it has no kind")}
	}
	s.any = true
	if matters(o.Kind) {
		if err := json.Unmarshal(line, &o); err != nil {
			return fmt.Errorf("the object %q: %w", o.Kind, unreadable(line, err))
		}
	}
	switch {
	case o.Kind == "shard":
		return s.begin(&o)
	case o.Kind == "exit" && (o.Status == nil || *o.Status < 0 || *o.Status > 255):
		return errors.New("an exit without a status")
	case o.Kind == "exit" && o.Schema != event.SchemaVersion:
		return fmt.Errorf("version %d of the objects is not known here", o.Schema)
	case o.Kind == "exit":
		s.end(*o.Status)
		return nil
	}
	if o.Error {
		s.note(&o.head)
	}
	if n := len(s.begun); n > 0 && s.begun[n-1].line == o.Line { // else it is of another command
		return s.begun[n-1].take(&o, s.Merger)
	}
	return nil
}

// note takes note of a failure.
func (s *source) note(o *head) {
	s.vain = s.vain || o.Kind == "not_found"
	s.lost = s.lost || o.Kind != "not_found"
	if s.first == "" {
		s.first = o.why()
	}
}

// why is what a failure says.
func (o *head) why() string {
	why := cmp.Or(o.Message, o.Kind)
	return strings.ToValidUTF8(why[:min(len(why), longestWhy)], "")
}

// matters says whether there is more in an object of that kind than that it is there.
func matters(kind string) bool {
	switch kind {
	case "shard", "exit", "bad_range":
		return true
	}
	return isResult(kind)
}

// begin begins a part.
func (s *source) begin(o *object) error {
	if s.parts++; s.parts > mostParts {
		return fmt.Errorf("more than %d parts", mostParts)
	}
	if _, known := resultsOf(o.Op); !known {
		return fmt.Errorf("a shard of %q, which has none", o.Op)
	}
	if len(o.Asked)+len(o.Job)+len(o.File)+len(o.Digest) > longestText {
		return fmt.Errorf("a call is longer than %s", units.Size(longestText))
	}
	if o.N < 1 || o.N > mostParts || o.K < 1 || o.K > o.N || o.Block < 1 || o.WholeOff < 0 ||
		o.WholeLen < 0 || o.WholeOff > math.MaxInt64-o.WholeLen {
		return fmt.Errorf("shard %d of %d is none", o.K, o.N)
	}
	from, to := args.Shard{K: o.K, N: o.N}.Part(o.WholeLen, o.Block)
	if o.Off != o.WholeOff+from || o.Len != to-from {
		return fmt.Errorf("shard %d of %d has %s at %d, and not %d at %d", o.K, o.N,
			units.Bytes(to-from),
			o.WholeOff+from, o.Len, o.Off)
	}
	id := identity{
		what{o.Op, o.Job, o.File},
		o.Asked, o.Digest, o.Size, o.Block,
		event.Range{Off: o.WholeOff, Len: o.WholeLen},
		o.N,
	}
	r, err := s.run(id)
	if err != nil {
		return err
	}
	if len(r.files) == 0 || r.files[len(r.files)-1] != s.name {
		r.files = append(r.files, s.name)
	}
	p := &part{
		Range: event.Range{Off: o.Off, Len: o.Len}, run: r, k: o.K, file: s.name, line: o.Line,
		said: map[string]bool{}, status: cut,
	}
	r.parts[o.K] = append(r.parts[o.K], p)
	s.begun = append(s.begun, p)
	return nil
}

// run is that of an identity.
func (m *Merger) run(id identity) (*run, error) {
	if r := m.known[id]; r != nil {
		return r, nil
	}
	if len(m.runs) == mostRuns {
		return nil, fmt.Errorf("parts of more than %d runs", mostRuns)
	}
	if m.known == nil {
		m.known = map[identity]*run{}
	}
	r := &run{identity: id, parts: map[int64][]*part{}}
	m.known[id] = r
	m.runs = append(m.runs, r)
	return r, nil
}

// end ends the program whose lines were read. That data are not as expected is the fault of those
// parts that say so, if any does.
func (s *source) end(status int) {
	if status == 1 && s.vain && !s.lost {
		status = 0
	}
	told := slices.ContainsFunc(s.begun, func(p *part) bool { return p.blamed })
	for _, p := range s.begun {
		if p.status = status; status == 1 && told && !p.blamed {
			p.status = 0
		}
	}
	if len(s.begun) == 0 {
		idle := event.MergeIdle{Name: s.name, Status: status, Why: s.first}
		if status == cut && idle.Why == "" {
			idle.Why = "it ends before a shard begins"
		}
		s.idle = append(s.idle, idle)
		s.worst = max(s.worst, status)
	}
	*s = source{Merger: s.Merger, name: s.name, programs: s.programs + 1}
}

// take takes an event of the command that does the part.
func (p *part) take(o *object, m *Merger) error {
	p.blamed = p.blamed || o.Error && o.Kind != "not_found"
	switch {
	case o.Kind == "bad_range":
		if !p.has(o.Off, o.Len) || !isClass(o.Class) {
			return fmt.Errorf("%d bad bytes at %d, of which the shard has not all", o.Len, o.Off)
		}
		m.keep(&p.totals, event.MergeRange{Off: o.Off, Len: o.Len, Class: o.Class})
		return nil
	case !isResult(o.Kind):
		if o.Error && p.failed == "" {
			p.failed = o.why()
		}
		return nil
	}
	if p.said[o.Kind] {
		return fmt.Errorf("the result %q is told twice", o.Kind)
	}
	p.said[o.Kind] = true
	if o.Kind != "other_length" && (o.Off != p.Off || o.Len != p.Len) {
		return fmt.Errorf("the result is that of %s at %d, and the shard has %d at %d",
			units.Bytes(o.Len),
			o.Off, p.Len, p.Off)
	}
	if o.Done != nil && !*o.Done && p.failed == "" {
		p.failed = "the verification did not come to its end"
	}
	return p.count(o, m)
}

// keep keeps a place of a part.
func (m *Merger) keep(t *event.MergeTotals, r event.MergeRange) {
	if m.kept < mostKept {
		m.kept++
		addRange(t, r)
	}
}

// has says whether a range begins in the part, and is one.
func (p *part) has(off, n int64) bool {
	return off >= p.Off && off < p.End() && n >= 0 && off <= math.MaxInt64-n
}

func isClass(name string) bool {
	return slices.ContainsFunc(verify.Classes(),
		func(c verify.Class) bool { return c.String() == name })
}

// count adds the figures of a result.
func (p *part) count(o *object, m *Merger) error {
	figures := []int64{
		o.Blocks, o.Checked, o.Unreadable, o.Others, o.Bad, o.BadBytes, o.Wrong, o.Written,
		o.Matches, o.RangeCount,
	}
	if slices.Min(figures) < 0 || o.Bad > o.Blocks {
		return errors.New("a figure is negative, or more blocks are bad than there are")
	}
	t := &p.totals
	switch o.Kind {
	case "blocks_written":
		return add(&t.Written, o.Wrong)
	case "copied":
		return add(&t.Written, o.Written)
	case "searched":
		t.More = string(o.More) == "true"
		return add(&t.Matches, o.Matches)
	case "different", "not_zero":
		return p.places(o, m)
	case "sum":
		if len(o.Sum) > longestSum {
			return fmt.Errorf("a sum of %d digits", len(o.Sum))
		}
		p.digits = o.Sum
	case "sum_part":
		return p.subtrees(o, m)
	case "verdict", "damaged", "nothing_verified":
		return p.verdict(o)
	}
	return nil
}

// places takes those that differ, or are not zero.
func (p *part) places(o *object, m *Merger) error {
	var list []verify.DiffRange
	if err := json.Unmarshal(o.Ranges, &list); err != nil {
		return fmt.Errorf("ranges: %w", err)
	}
	for _, r := range list {
		if !p.has(r.Off, r.Len) || r.Off+r.Len > p.End() {
			return fmt.Errorf("%d bytes at %d are not the shard's", r.Len, r.Off)
		}
		m.keep(&p.totals, event.MergeRange{Off: r.Off, Len: r.Len})
	}
	p.totals.RangeCount = max(p.totals.RangeCount, o.RangeCount)
	return add(&p.totals.Wrong, o.Wrong)
}

// subtrees takes a part of a tree.
func (p *part) subtrees(o *object, m *Merger) error {
	h := m.Hash(o.Algorithm)
	if h == nil {
		return fmt.Errorf("a sum by %q is not known", o.Algorithm)
	}
	tree := &merkle.Part{Leaves: o.Leaves, Nodes: o.Nodes}
	if err := json.Unmarshal(o.First, &tree.First); err != nil {
		return fmt.Errorf("first: %w", err)
	}
	if err := tree.Check(h().Size()); err != nil {
		return err
	}
	if o.Leaf != merkle.Leaf || tree.First*merkle.Leaf != p.Off-p.run.whole.Off ||
		o.Leaves != merkle.Leaves(p.Len) {
		return errors.New("the leaves of the tree are not those of the shard")
	}
	p.tree, p.sum = tree, o.Algorithm
	return nil
}

// verdict takes the figures of a verification.
func (p *part) verdict(o *object) error {
	t := &p.totals
	for name, n := range o.Classes {
		if n < 0 || !isClass(name) {
			return fmt.Errorf("%d blocks of %q", n, name)
		}
	}
	if o.Kind == "damaged" {
		var kept int64
		if json.Unmarshal(o.Ranges, &kept) != nil || kept < 0 {
			return errors.New("no number of ranges")
		}
		t.RangeCount = max(t.RangeCount, kept)
	}
	return addTotals(t, &event.MergeTotals{
		Verified: true, Blocks: o.Blocks, Checked: o.Checked, Unreadable: o.Unreadable,
		Others: o.Others, Bad: o.Bad, BadBytes: o.BadBytes, Classes: o.Classes,
	})
}

// add adds to a count.
func add(to *int64, n int64) error {
	if n > math.MaxInt64-*to {
		return errors.New("counts that no image has")
	}
	*to += n
	return nil
}
