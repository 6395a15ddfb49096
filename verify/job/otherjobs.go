package job

import (
	"fmt"
	"slices"

	"github.com/blksh/blksh/verify/fio"
)

// A otherJob is a job whose blocks may be where those of another are expected.
type otherJob struct {
	l   *fio.Layout
	run *fio.Run
}

// against takes note of the jobs that wrote to the file of job j as well; see
// [VerifyOptions.Others].
func (t *task) against(j *Job, others []fio.Options) error {
	for i := range others {
		o := &others[i]
		l, err := fio.NewLayout(o)
		if err != nil {
			return fmt.Errorf("job %s: %w", o.Name, err)
		}
		switch {
		case o.VerifyOnly || !l.Direction.Writes() || !t.l.Touches(l.Offset, l.Extent):
		case o.Group < j.options.Group && !(t.run.VerifyOnly && t.l.Distinguishes(l)):
		case o.Group > j.options.Group && l.Covers() && o.Runtime == 0 && !o.FillDevice:
			t.replaced = append(t.replaced, l)
		case !t.l.Distinguishes(l):
			return fmt.Errorf(
				"jobs %s and %s write to the same blocks, and nothing says which of them was the last", j.options.Name, o.Name)
		case !t.l.Headerless:
			t.others = append(t.others, otherJob{l, &o.Run})
		}
	}
	return nil
}

// newOthers makes checkers of the blocks of other jobs.
func (t *task) newOthers() (list []*checker) {
	for _, r := range t.others {
		list = append(list, newChecker(r.l, r.run, new(knowledge), func(*Bad) {}))
	}
	return list
}

// isOthers reports whether a block is that of another job: intact, and with its thread.
func (c *checker) isOthers(p []byte, pos int64) bool {
	for _, r := range c.others {
		h, ok := r.header(p)
		inside := pos >= r.l.Offset && pos-r.l.Offset <= r.l.Extent-int64(len(p))
		if ok && inside && int(h.Thread) == r.l.Thread && r.intact(p, pos, &expectation{}) {
			return true
		}
	}
	return false
}

// isReplaced reports whether a later job wrote over a request, or over a part.
func (t *task) isReplaced(r *fio.Request) bool {
	return slices.ContainsFunc(t.replaced,
		func(l *fio.Layout) bool { return l.Touches(r.Off, int64(r.N)) })
}
