package job

import (
	"fmt"

	"github.com/blksh/blksh/verify/fio"
)

// Against makes it known to a job that verifies which other jobs of its job file wrote to its file
// as well: those that fio runs at the same time, of which any may have been the last to write a
// block, and those that it runs later. A block of such a job is left to that job's own
// verification. It is an error if nothing tells their blocks apart. A job that only verifies takes
// the blocks of all others.
func (j *Job) Against(others []fio.Options) error {
	for _, o := range others {
		l, err := fio.NewLayout(o)
		if err != nil {
			return fmt.Errorf("job %s: %w", o.Name, err)
		}
		switch {
		case o.VerifyOnly || !l.Direction.Writes() || !j.l.Span().Overlaps(l.Span()):
		case o.Group < j.l.Group && !(j.l.VerifyOnly && j.l.Tells(l)):
		case o.Group > j.l.Group && l.Covers():
			j.replaced = append(j.replaced, l.Span())
		case !j.l.Tells(l):
			return fmt.Errorf(
				"jobs %s and %s write to the same blocks, and nothing says which of them was the last", j.l.Name, l.Name)
		case !j.l.Headless:
			j.rivals = append(j.rivals, l)
		}
	}
	return nil
}

// A rival checks blocks for being those of another job.
type rival struct {
	l       *fio.Layout
	checker *checker
}

func (j *Job) newRivals() (list []rival) {
	for _, l := range j.rivals {
		list = append(list, rival{l, newChecker(l, new(knowledge), func(*Bad) {})})
	}
	return list
}

// others reports whether a block is that of another job: intact, and with its thread.
func (c *checker) others(p []byte, pos int64) bool {
	for _, r := range c.rivals {
		h, ok := r.checker.header(p)
		inside := pos >= r.l.Offset && pos-r.l.Offset <= r.l.Extent-int64(len(p))
		if ok && inside && int(h.Thread) == r.l.Thread && r.checker.intact(p, pos, &expectation{}) {
			return true
		}
	}
	return false
}

// isReplaced reports whether a later job wrote over a request, or over a part.
func (j *Job) isReplaced(r *fio.Request) bool {
	for _, s := range j.replaced {
		if s.Overlaps(fio.Span{From: r.Off, To: r.Off + int64(r.N)}) {
			return true
		}
	}
	return false
}
