package job

import (
	"context"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// Scan reads the range of the job in ascending order and checks each block by what its header says;
// the job that wrote is not needed. It reads up to [fio.Options.MaxRequest] at once, or a block if
// that is 0, except where it has to find out where blocks begin. What the options say about blocks
// is believed as long as the headers do not say something else: the release, verify_offset and the
// length of blocks are found out from them, also where they change in the midst of the range.
func (j *Job) Scan(ctx context.Context, open Opener, from int64) (*Result, error) {
	return j.newTask("verify", 0, from).scan(ctx, open)
}

func (t *task) scan(ctx context.Context, open Opener) (*Result, error) {
	t.state.Total = t.l.Extent
	shape, err := t.probe(ctx, open)
	if err != nil {
		return t.outcome(err)
	}
	if len(shape.headers) > 0 && !shape.uneven && shape.length != t.l.BlockLen {
		t.result.BlockLen = shape.length
	}
	t.l.HeaderOffset, t.l.BlockLen = shape.headerOffset, shape.length
	if t.l.Fio == fio.FioAny {
		t.l.SetRelease(shape.release(ctx, t.l))
	}
	t.learn(&shape)
	s := &scanning{
		task: t, open: open, pos: t.l.Offset + min(t.from, t.l.Extent),
		end:     t.l.Offset + t.l.Extent,
		longest: max(shape.longest, shape.length), uneven: shape.uneven, patience: leastRun,
		nothing: -1,
	}
	err = s.pass(ctx)
	t.result.Position = s.pos - t.l.Offset
	t.result.Done = err == nil && s.pos >= s.end
	return t.outcome(err)
}

// A scanning is the state of a scan. As long as blocks of one length lie one
// behind the other, they are read in large pieces and checked by all workers.
// Where that ends it walks from header to header, until they are even again.
type scanning struct {
	*task
	open Opener
	// pos is how far the range up to end has been judged.
	pos, end int64
	told     told // by the image, of what comes next
	// uneven says that blocks have to be walked until patience of them in a row are alike. The
	// longest so far is longest bytes long, and the next may be need.
	uneven        bool
	longest, need int
	patience      int

	// judge checks what workers were not content with, in ascending order. It
	// knows that no header begins before quiet.
	judge *checker
	quiet int64
	// nothing is where a walk found that no block begins; doubts is how often
	// one went to look whether a block does that could not be seen whole.
	nothing int64
	doubts  int
	// broken says that blocks do not go on as they began.
	broken bool
	// wide says that one was not plainly good, and that from there on so much is
	// read at once that it can be told what is there.
	wide bool
}

// ScanRequest is a good [fio.Options.MaxRequest] for a scan that nobody asked to send
// requests of a certain size.
const ScanRequest = 256 << 10

// leastRun is how many blocks in a row have to be alike before they are taken
// to go on like that. It doubles each time they do not.
const (
	leastRun = 32
	mostRun  = 1 << 16
	// leastLook is how much is looked at together at least, in bytes: headers may
	// lie anywhere in their blocks.
	leastLook = 16 << 10
	// maxDoubts bounds how often headers may lead a scan astray.
	maxDoubts = 1 << 10
)

// pass goes over the range, in one of two ways or the other.
func (s *scanning) pass(ctx context.Context) error {
	for s.pos < s.end && !s.stops() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n := s.hole(s.pos); n > 0 && !s.uneven {
			s.passOver(n)
			continue
		}
		by := s.even
		if s.uneven {
			by = s.walk
		}
		if err := by(ctx); err != nil {
			return err
		}
	}
	if s.stops() {
		return errStop
	}
	return nil
}

// even scans blocks of one length, until they are not.
func (s *scanning) even(ctx context.Context) error {
	step := int64(s.l.BlockLen)
	size := max(int64(s.requestSize())/step, 1) * step
	s.judge, s.broken = s.newChecker(s.bad), false
	next := s.pos
	return s.read(ctx, s.open, int(size), func(sl *slot) bool {
		if s.broken || next >= s.end || s.stops() || s.hole(next) > 0 {
			return false
		}
		sl.op, sl.off, sl.n, sl.requests = opCheck, next, int(min(size, s.end-next)),
			sl.requests[:0]
		sl.zero = s.zeroes(next) >= int64(sl.n)
		next += int64(sl.n)
		return true
	}, s.settle, s.unreadable)
}

// requestSize is how much is read at once where blocks are even, if that is not less than a block.
func (s *scanning) requestSize() int {
	if s.wide || s.run.MaxRequest > 0 {
		return max(s.run.MaxRequest, leastLook)
	}
	return 0
}

// unreadable takes a slot that could not be read.
func (s *scanning) unreadable(sl *slot, err error) {
	sl.trouble, sl.seen = -1, Result{}
	s.task.unreadable(sl, err)
}

// settle takes a slot that workers have looked at, and judges it when all before it have been.
func (s *scanning) settle(pl *pipeline, i int) {
	rs := pl.readers
	pl.slots[i].looked = true
	for pl, i = s.due(rs); pl != nil; pl, i = s.due(rs) {
		sl := &pl.slots[i]
		sl.looked = false
		s.judgeSlot(sl, pl.q.Buffer(i)[:sl.n])
		pl.release(i)
	}
}

// due finds a slot whose turn it is, in any pipeline; nil if there is none.
func (s *scanning) due(rs *readers) (*pipeline, int) {
	for _, pl := range rs.list {
		for i := range pl.slots {
			if sl := &pl.slots[i]; sl.looked && (s.broken || sl.off == s.pos) {
				return pl, i
			}
		}
	}
	return nil, 0
}

// judgeSlot judges a slot, unless blocks before it were found to have ended.
func (s *scanning) judgeSlot(sl *slot, p []byte) {
	if s.broken {
		return
	}
	s.count(&sl.seen)
	end := sl.off + int64(sl.n)
	switch {
	case sl.trouble >= 0 && s.requestSize() < leastLook && sl.n < leastLook && end < s.end:
		s.wide, s.broken = true, true
		end = sl.off + int64(sl.trouble)
	case sl.trouble >= 0:
		s.judge.around = view{p, sl.off}
		end = s.troubled(p[sl.trouble:], sl.off+int64(sl.trouble))
	}
	s.pos = end
	s.reached(s.pos - s.l.Offset)
}

// troubled judges the blocks of p, of which the first is not plainly good. It
// returns how far it came: where other blocks begin, if not to the end.
func (s *scanning) troubled(p []byte, off int64) int64 {
	c := s.judge
	defer func() {
		s.count(c.seen)
		*c.seen, c.around = Result{}, view{}
	}()
	for at := 0; at < len(p); at += c.l.BlockLen {
		n := min(c.l.BlockLen, len(p)-at)
		pos := off + int64(at)
		switch {
		case c.fine(p[at:at+n], pos):
		case s.strange(p[at:], n, pos):
			s.uneven, s.broken = true, true
			return pos
		default:
			c.found(p[at:at+n], pos)
		}
	}
	return off + int64(len(p))
}

// strange reports whether a block that is not the one of n bytes at the
// beginning of p begins in there.
func (s *scanning) strange(p []byte, n int, pos int64) bool {
	c := s.judge
	if c.l.Headerless || pos == s.nothing || verify.IsZero(p[:n]) {
		return false
	}
	if h, ok := c.header(p[:n]); ok && h.Offset == uint64(pos) && h.Possible() {
		return int(h.Len) != n
	}
	b, ok := c.locate(p, n, pos, &s.quiet)
	if b.length > 0 && !ok && s.doubts < maxDoubts {
		s.doubts++
		return true
	}
	return ok
}

// look checks the blocks of one length in p, the memory of slot s, up to the
// first that is not plainly good.
func (c *checker) look(s *slot, p []byte) {
	total := c.seen
	clear(s.seen.Generations)
	s.seen = Result{Generations: s.seen.Generations}
	c.seen, s.trouble = &s.seen, -1
	c.around = view{p, s.off}
	defer func() { c.seen, c.around = total, view{} }()
	for at := 0; at < len(p); at += c.l.BlockLen {
		if !c.fine(p[at:min(at+c.l.BlockLen, len(p))], s.off+int64(at)) {
			s.trouble = at
			return
		}
	}
}

// fine reports whether nothing is wrong with a block of which only the offset is
// known, and counts it if so.
func (c *checker) fine(p []byte, pos int64) bool {
	x := c.expect(p, pos)
	switch {
	case c.blank(p):
		c.seen.Unchecked += int64(len(p))
	case c.l.Headerless:
		return c.plainly(p, &x)
	default:
		return c.intact(p, pos, &x)
	}
	return true
}

// blank reports whether p was never written: fio leaves the rest of a range
// alone that is shorter than a block.
func (c *checker) blank(p []byte) bool {
	if len(p) < c.l.BlockLen && (c.l.Headerless || verify.IsZero(p)) {
		return true
	}
	return c.run.Holes && !c.l.Headerless && verify.IsZero(p)
}

// expect is what is known about a block before it is read: which request it belongs to, if those of
// the job seem to be of one size.
func (c *checker) expect(p []byte, pos int64) (x expectation) {
	switch g := c.known.grid; {
	case c.l.Headerless:
		x.Off, x.N = pos, len(p)
	case g.size > 0:
		if r := g.request(pos); r.covers(pos, len(p)) {
			x.Off, x.N = r.off, r.n
		}
	}
	return x
}

// found checks a block of which only the offset is known.
func (c *checker) found(p []byte, pos int64) {
	x := c.expect(p, pos)
	switch {
	case c.l.Headerless:
		c.checkPlain(p, &x)
	case c.run.Holes && verify.IsZero(p):
		c.seen.Unchecked += int64(len(p))
	default:
		c.checkBlock(p, pos, &x)
	}
}
