package job

import (
	"context"
	"sort"

	"github.com/blksh/blksh/verify/fio"
)

// leastHole is from how many bytes on zeroes are judged as one: less is judged block by block
// sooner than a pass is ended for it.
const leastHole = 4 << 20

const (
	// leastKept is from how many bytes on a hole is remembered: of less, few requests are read.
	leastKept = 64 << 10
	// maxHoles bounds how many are. What lies behind them is read.
	maxHoles = 1 << 18
)

// A told is what [Hooks.Extent] told of the bytes from from to end.
type told struct {
	from, end int64
	zero      bool
}

// ask asks what is told of the bytes at pos, of which those up to end matter.
func (t *task) ask(pos, end int64) told {
	n, zero := t.hooks.Extent(pos, end-pos)
	return told{pos, pos + min(max(n, 1), end-pos), zero}
}

// holes are ranges that are known to be zero, in ascending order and apart from each other.
type holes []told

// findHoles lists the holes in the range of the job.
func (t *task) findHoles(ctx context.Context) (list holes, err error) {
	if t.hooks.Extent == nil {
		return nil, nil
	}
	end := t.l.Offset + t.l.Extent
	for pos := t.l.Offset; pos < end; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e := t.ask(pos, end)
		if pos = e.end; !e.zero {
			continue
		}
		last := len(list) - 1
		switch {
		case last >= 0 && list[last].end == e.from:
			list[last].end = e.end
		case last >= 0 && list[last].end-list[last].from < leastKept:
			list[last] = e
		case len(list) == maxHoles:
			return list, nil
		default:
			list = append(list, e)
		}
	}
	return list, nil
}

// at is how many bytes from off on are in a hole.
func (h holes) at(off int64) int64 {
	i := sort.Search(len(h), func(i int) bool { return h[i].end > off })
	if i == len(h) || h[i].from > off {
		return 0
	}
	return h[i].end - off
}

// alike reports whether the verdict on a block of zeroes is the same wherever it is, and whether
// nobody wants each by itself. Zeroes may be the right content.
func (t *task) alike() bool {
	if t.hooks.Dump != nil || t.run.StopAtFirst {
		return false
	}
	pattern := t.l.Payload.Pattern
	return !t.l.Headerless || t.l.Verify == fio.TypeNull && t.run.Content != fio.ContentOn ||
		pattern != nil && len(pattern.Stamps) == 0
}

// judgeAlike counts what judge finds in zeroes so many times, as in all that are alike.
func (t *task) judgeAlike(times int64, judge func(c *checker)) {
	var first Bad
	bad := int64(0)
	c := t.newChecker(func(b *Bad) {
		if bad++; bad == 1 {
			first = *b
			first.got, first.want = nil, nil
		}
	})
	judge(c)
	t.count(&Result{
		Blocks: c.seen.Blocks * times, Checked: c.seen.Checked * times,
		HeadersOnly: c.seen.HeadersOnly * times, Unchecked: c.seen.Unchecked * times,
	})
	if bad > 0 {
		t.badRun(&first, bad*times)
	}
}

// zeroes is how many bytes from pos on are known to be zero.
func (s *scanning) zeroes(pos int64) int64 {
	if s.hooks.Extent == nil {
		return 0
	}
	if pos < s.told.from || pos >= s.told.end {
		s.told = s.ask(pos, s.end)
	}
	if !s.told.zero {
		return 0
	}
	return s.told.end - pos
}

// hole is how many bytes from pos on a scan judges as one: whole blocks that are known to be zero.
func (s *scanning) hole(pos int64) int64 {
	if !s.alike() {
		return 0
	}
	n := s.zeroes(pos)
	if n -= n % int64(s.l.BlockLen); n < leastHole {
		return 0
	}
	return n
}

// passOver judges a hole of n bytes as its blocks would be judged that were read.
func (s *scanning) passOver(n int64) {
	t := s.task
	t.judgeAlike(n/int64(t.l.BlockLen), func(c *checker) {
		c.found(make([]byte, t.l.BlockLen), s.pos)
	})
	s.pos += n
	t.reached(s.pos - t.l.Offset)
}

// ascends reports whether a job writes each block once and one behind the other, so that the next
// request says all about those in the hole where it is.
func (t *task) ascends() bool {
	l := t.l
	return l.Direction == fio.Write && l.Covers() && !l.Passes() && !l.Ranged() &&
		l.TrimPercent == 0 && l.NrFiles == 1 && l.Only == (fio.Slice{}) && t.history == nil &&
		len(t.others) == 0 && len(t.replaced) == 0 && l.MinBlock%l.Every(l.MinBlock) == 0
}

// passOver judges a long hole that is ahead, as its blocks would be judged that were read.
func (v *verification) passOver() error {
	t := v.task
	size := int64(t.l.MinBlock)
	n := v.holes.at(v.ahead.Off)
	if n -= n % size; n < leastHole || !v.due() {
		return nil
	}
	t.judgeAlike(n/size, func(c *checker) { c.checkRequest(make([]byte, size), &v.ahead) })
	v.checked += n
	t.reached(v.checked)
	if v.ahead.Off+n == t.l.Offset+t.l.Extent { // nothing of the order is wanted any more
		v.count += n / size
		v.more = false
		return nil
	}
	return v.skip(n / size)
}
