package verify

import "fmt"

// A span is a part of a file, in bytes.
type span struct{ from, to int64 }

func (s span) overlaps(other span) bool { return s.from < other.to && other.from < s.to }

// span is what the job is about of each file.
func (l *layout) span() span { return span{l.Offset, l.Offset + l.part} }

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

// covers reports whether the job writes all of its range for sure.
func (l *layout) covers() bool {
	limited := l.Runtime > 0 || l.NumberIOs > 0 || l.limit() < l.part*int64(l.files) || l.FillDevice
	return !l.Direction.Mixed() && !l.collides() && !limited
}

// tells reports whether it shows by each block which of two jobs wrote it: their
// blocks lie in the same places and have headers. If all blocks of both are the
// same, it does not matter.
func (l *layout) tells(other *layout) bool {
	if l.headless && other.headless {
		return l.content.pattern != nil && l.Pattern == other.Pattern && l.MinBlock == other.MinBlock && l.MaxBlock == other.MaxBlock
	}
	every := int64(l.interval)
	return l.sum != nil && other.sum != nil && every > 0 && other.interval == l.interval && l.HeaderOffset == other.HeaderOffset &&
		l.Thread != other.Thread && (l.Offset-other.Offset)%every == 0
}

// A rival checks blocks for being those of another job.
type rival struct {
	l       *layout
	checker *checker
}

func (j *Job) newRivals() (list []rival) {
	for _, l := range j.rivals {
		list = append(list, rival{l, newChecker(l, func(*Bad) {})})
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
