package verify

import "fmt"

// Against makes it known to a job that verifies which other jobs of its job file
// wrote to its file as well: those that fio runs at the same time, of which any
// may have been the last to write a block, and those that it runs later. A block
// of such a job is left to that job's own verification. It is an error if nothing
// tells their blocks apart. A job that only verifies takes the blocks of all
// others.
func (j *Job) Against(others []Options) error {
	for _, o := range others {
		l, err := newLayout(o)
		if err != nil {
			return fmt.Errorf("job %s: %w", o.Name, err)
		}
		switch {
		case o.VerifyOnly || !l.Direction.Writes() || !j.l.span().overlaps(l.span()):
		case o.Group < j.l.Group && !(j.l.VerifyOnly && j.l.tells(l)):
		case o.Group > j.l.Group && l.covers():
			j.replaced = append(j.replaced, l.span())
		case !j.l.tells(l):
			return fmt.Errorf("jobs %s and %s write to the same blocks, and nothing says which of them was the last", j.l.Name, l.Name)
		case !j.l.headless:
			j.rivals = append(j.rivals, l)
		}
	}
	return nil
}

// A rival checks blocks for being those of another job.
type rival struct {
	l       *layout
	checker *checker
}

func (j *Job) newRivals() (list []rival) {
	for _, l := range j.rivals {
		list = append(list, rival{l, newChecker(l, new(knowledge), func(*Bad) {})})
	}
	return list
}

// others reports whether a block is that of another job: intact, and with its
// thread.
func (c *checker) others(p []byte, pos int64) bool {
	for _, r := range c.rivals {
		h, ok := r.checker.header(p)
		inside := pos >= r.l.Offset && pos-r.l.Offset <= r.l.part-int64(len(p))
		if ok && inside && int(h.Thread) == r.l.Thread && r.checker.intact(p, pos, &expectation{}) {
			return true
		}
	}
	return false
}

// isReplaced reports whether a later job wrote over a request, or over a part.
func (j *Job) isReplaced(r *request) bool {
	for _, s := range j.replaced {
		if s.overlaps(span{r.off, r.off + int64(r.n)}) {
			return true
		}
	}
	return false
}
