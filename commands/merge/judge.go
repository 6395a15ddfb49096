package merge

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/verify/merkle"
)

// mostRanges bounds the places that are kept of a run, and mostListed the parts that are named.
const (
	mostRanges = 4096
	mostListed = 1000
)

// Idle are the programs that began no part.
func (m *Merger) Idle() []event.MergeIdle { return m.idle }

// Verdicts are what became of all runs, in the order of the files. Of several runs of one command
// that are not of one kind, those that are not whole are foreign to the one with the most parts.
func (m *Merger) Verdicts() ([]event.Merged, error) {
	for _, r := range m.runs {
		r.left = r.undone()
	}
	var list []event.Merged
	for _, r := range m.runs {
		if m.host(r) != r {
			continue
		}
		v, err := m.verdict(r)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// done says whether nothing is left to do of a part.
func (r *run) done(k int64) bool {
	return r.part(k).Len == 0 || slices.ContainsFunc(r.parts[k], (*part).done)
}

// undone is how many parts are left to do. There may be many more than files have told of.
func (r *run) undone() int64 {
	left := min(r.n, max(r.whole.Len/r.block, min(r.whole.Len, 1))) // that have bytes
	for k := range r.parts {
		if r.part(k).Len > 0 && r.done(k) {
			left--
		}
	}
	return left
}

// host is the run that r is foreign to, or r itself.
func (m *Merger) host(r *run) *run {
	if r.left == 0 {
		return r
	}
	best := r
	for _, other := range m.runs {
		if other.what == r.what && (len(other.parts) > len(best.parts) ||
			len(other.parts) == len(best.parts) && other == m.first(r.what)) {
			best = other
		}
	}
	return best
}

// first is the first run that people call so.
func (m *Merger) first(w what) *run {
	i := slices.IndexFunc(m.runs, func(r *run) bool { return r.what == w })
	return m.runs[i]
}

// verdict adds up a run.
func (m *Merger) verdict(r *run) (event.Merged, error) {
	v := event.Merged{
		Range: r.whole, Op: r.op, Asked: r.asked, Job: r.job, File: r.file, N: r.n,
		Size: r.size, Block: r.block,
	}
	chosen := make([]*part, 0, len(r.parts))
	status := 0
	for _, k := range slices.Sorted(maps.Keys(r.parts)) {
		p, done := choose(r.parts[k])
		if len(done) > 1 && len(v.Overlaps) < mostListed {
			v.Overlaps = append(v.Overlaps, r.overlap(k, done))
		}
		status = max(status, p.status)
		if !p.done() {
			continue
		}
		chosen = append(chosen, p)
		if err := addTotals(&v.MergeTotals, &p.totals); err != nil {
			return v, fmt.Errorf("%s: %w", p.file, err)
		}
	}
	v.Done = int64(len(chosen))
	v.Missing, v.MissingCount = r.missing(), r.left
	m.foreign(r, &v)
	v.Complete = v.MissingCount == 0
	if v.Complete && !v.Disputed() {
		if err := m.root(chosen, &v); err != nil {
			return v, err
		}
	}
	if !v.Complete {
		status = max(status, m.worst)
	}
	if v.Failing() {
		status = max(status, 1)
	}
	v.Status = status
	sortRanges(&v.MergeTotals)
	return v, nil
}

// choose is the attempt at a part that counts: of those that were done the one with the gravest
// status, and else the last.
func choose(attempts []*part) (p *part, done []*part) {
	p = attempts[len(attempts)-1]
	done = slices.DeleteFunc(slices.Clone(attempts), func(p *part) bool { return !p.done() })
	if len(done) > 0 {
		p = slices.MaxFunc(done, func(a, b *part) int { return cmp.Compare(a.status, b.status) })
	}
	return p, done
}

// overlap tells of a part that was done more than once.
func (r *run) overlap(k int64, done []*part) event.MergeOverlap {
	o := event.MergeOverlap{K: k}
	for _, p := range done {
		o.Differ = o.Differ || !p.agrees(done[0])
	}
	for _, p := range done[:min(len(done), mostListed)] {
		o.Files = append(o.Files, p.file)
	}
	return o
}

// agrees says whether two attempts at a part have the same results, as those at the same data do.
// How much a copy has written depends on where it began.
func (p *part) agrees(with *part) bool {
	a, b := p.totals, with.totals
	a.Ranges, b.Ranges = nil, nil // not all of them may have been kept
	return p.run.op == "copy" ||
		reflect.DeepEqual(a, b) && reflect.DeepEqual(p.tree, with.tree) && p.digits == with.digits
}

// missing are the parts that nobody has done, the first of them.
func (r *run) missing() (list []event.MergeMissing) {
	for k := int64(1); k <= r.n && int64(len(list)) < min(r.left, mostListed); k++ {
		if r.done(k) {
			continue
		}
		gap := event.MergeMissing{K: k, Range: r.part(k)}
		if attempts := r.parts[k]; len(attempts) > 0 {
			last := attempts[len(attempts)-1]
			gap.Name, gap.Why = last.file, last.why()
		}
		list = append(list, gap)
	}
	return list
}

// foreign notes the files with parts of other runs, and how those differ.
func (m *Merger) foreign(r *run, v *event.Merged) {
	for _, other := range m.runs {
		if other == r || other.what != r.what || m.host(other) != r {
			continue
		}
		field, theirs, ours := differs(&other.identity, &r.identity)
		for _, name := range other.files {
			if len(v.Foreign) < mostListed {
				v.Foreign = append(v.Foreign,
					event.MergeForeign{Name: name, Field: field, Theirs: theirs, Ours: ours})
			}
		}
	}
}

// differs is the first thing that two runs do not have in common.
func differs(a, b *identity) (field, theirs, ours string) {
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"asked", a.asked, b.asked},
		{"image_size", a.size, b.size},
		{"shards", a.n, b.n},
		{"whole_offset", a.whole.Off, b.whole.Off},
		{"whole_length", a.whole.Len, b.whole.Len},
		{"block", a.block, b.block},
		{"digest", a.digest, b.digest},
	} {
		if f.a != f.b {
			return f.name, fmt.Sprint(f.a), fmt.Sprint(f.b)
		}
	}
	return "", "", ""
}

// root is the sum of all parts, if they have hashed in a tree.
func (m *Merger) root(parts []*part, v *event.Merged) error {
	var tree *merkle.Tree
	all := &merkle.Part{}
	for _, p := range parts {
		switch {
		case p.tree == nil && p.Len == 0:
			continue
		case p.tree == nil:
			return nil // other sums have no sum
		case tree == nil:
			tree, v.Algorithm = merkle.New(m.Hash(p.sum)), p.sum
		case p.sum != v.Algorithm:
			return fmt.Errorf("%s: a sum by %s among those by %s", p.file, p.sum, v.Algorithm)
		}
		if err := tree.Join(all, p.tree); err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
	}
	if tree == nil {
		return nil
	}
	root, err := tree.Root(all)
	v.Sum = root
	return err
}

// addTotals adds the figures of a part.
func addTotals(to, from *event.MergeTotals) error {
	to.Verified, to.More = to.Verified || from.Verified, to.More || from.More
	if to.Classes == nil && from.Classes != nil {
		to.Classes = map[string]int64{}
	}
	for name, n := range from.Classes {
		sum := to.Classes[name]
		if err := add(&sum, n); err != nil {
			return err
		}
		to.Classes[name] = sum
	}
	for _, r := range from.Ranges {
		addRange(to, r)
	}
	return errors.Join(add(&to.Blocks, from.Blocks), add(&to.Checked, from.Checked),
		add(&to.Unreadable, from.Unreadable), add(&to.Others, from.Others),
		add(&to.Bad, from.Bad), add(&to.BadBytes, from.BadBytes),
		add(&to.Written, from.Written), add(&to.Matches, from.Matches),
		add(&to.Wrong, from.Wrong), add(&to.RangeCount, from.RangeCount))
}

// addRange keeps a place, as long as there is room.
func addRange(t *event.MergeTotals, r event.MergeRange) {
	if len(t.Ranges) < mostRanges {
		t.Ranges = append(t.Ranges, r)
	}
}

// part is where a part lies.
func (r *run) part(k int64) event.Range {
	from, to := args.Shard{K: k, N: r.n}.Part(r.whole.Len, r.block)
	return event.Range{Off: r.whole.Off + from, Len: to - from}
}

// sortRanges puts places in order and joins those that a border of shards cuts.
func sortRanges(t *event.MergeTotals) {
	slices.SortFunc(t.Ranges, func(a, b event.MergeRange) int { return cmp.Compare(a.Off, b.Off) })
	joined := t.Ranges[:0]
	for _, r := range t.Ranges {
		if n := len(joined); n > 0 && joined[n-1].Off+joined[n-1].Len == r.Off &&
			joined[n-1].Class == r.Class {
			joined[n-1].Len += r.Len
			t.RangeCount--
			continue
		}
		joined = append(joined, r)
	}
	t.Ranges, t.RangeCount = joined, max(t.RangeCount, int64(len(joined)))
}
