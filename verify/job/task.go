package job

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// A task is one pass over the blocks of a job, which writes or verifies them.
type task struct {
	l     *fio.Layout // a scan changes it, as it finds out
	run   fio.Run
	known *knowledge
	hooks Hooks
	now   func() time.Time
	began time.Time
	shown time.Time // when progress was reported last

	// from is where the pass begins, and history what is known of the run that wrote.
	from    int64
	history *History

	mu     sync.Mutex // guards result.bad and the hooks Bad and Dump
	result Result
	state  Progress
	failed error // the first error of reading or dumping

	// rewritten is about a verification of blocks that are written more than once: of the whole
	// job, or of what was written since the last backlog.
	rewritten *rewritten
	// others are jobs whose blocks may be there as well, replaced those that wrote over them later;
	// see [VerifyOptions.Others].
	others   []otherJob
	replaced []*fio.Layout
}

// newTask begins a pass.
func (j *Job) newTask(phase string, total, from int64) *task {
	l := *j.l
	t := &task{
		l: &l, run: j.options.Run, known: new(knowledge), hooks: j.hooks, from: from,
		state: Progress{Phase: phase, Total: total},
	}
	if !l.RandRepeat && !l.RandSeedGiven { // its numbers are those of its run alone
		t.run.HeaderSeed = false
		t.run.Sequence = t.run.Sequence && !l.Direction.Random()
	}
	if t.now = t.hooks.Now; t.now == nil {
		t.now = time.Now
	}
	t.began = t.now()
	t.shown = t.began
	return t
}

// errStop ends a run at the first bad block.
var errStop = errors.New("stopped at the first bad block")

// progressInterval is how often progress is reported at most.
const progressInterval = 100 * time.Millisecond

func (t *task) progress() {
	if t.hooks.Progress == nil {
		return
	}
	if now := t.now(); now.Sub(t.shown) >= progressInterval {
		t.shown = now
		t.report()
	}
}

func (t *task) report() {
	t.mu.Lock()
	p := t.state
	p.Bad = t.result.Bad
	t.mu.Unlock()
	t.hooks.Progress(p)
}

// bad takes a bad block from a checker.
func (t *task) bad(b *Bad) { t.badRun(b, 1) }

// badRun takes as many bad blocks as blocks says, that are alike and of which b is the first.
func (t *task) badRun(b *Bad, blocks int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.bad(b, blocks)
	if t.hooks.Bad != nil {
		whole := *b
		whole.Len *= blocks
		t.hooks.Bad(&whole)
	}
	if t.hooks.Dump != nil && b.Cause.Class != verify.ContentMismatch {
		t.fail(dump(b, t.hooks.Dump))
	}
}

// fail remembers the first error; mu is held or nothing runs.
func (t *task) fail(err error) {
	if t.failed == nil {
		t.failed = err
	}
}

// dump passes on both sides of a bad block, and their difference.
func dump(b *Bad, put func(side string, off int64, data []byte) error) error {
	if err := put("received", b.Off, b.got); err != nil || b.want == nil {
		return err
	}
	if err := put("expected", b.Off, b.want); err != nil {
		return err
	}
	diff := make([]byte, len(b.got))
	subtle.XORBytes(diff, b.got, b.want)
	return put("diff", b.Off, diff)
}

func (t *task) newWorker() *worker {
	c := t.newChecker(t.bad)
	c.history, c.rewritten, c.others = t.history, t.rewritten, t.newOthers()
	return &worker{builder: fio.NewBuilder(t.l, t.l.JobClock(t.elapsed)), checker: c}
}

// elapsed is the time since the job began, for the clock of headers.
func (t *task) elapsed() (sec, nsec uint32) {
	d := t.now().Sub(t.began)
	return uint32(d / time.Second), uint32(d % time.Second)
}

// slotSize is how much memory a slot needs for the requests of the job: fio 2.2
// rounds their lengths up to the interval.
func (t *task) slotSize() int {
	longest := max(t.l.MaxBlock, t.l.Reads.Max)
	if t.l.Fio == fio.Fio22 && t.l.Ranged() {
		longest += t.l.BlockLen
	}
	return max(t.run.MaxRequest, longest)
}

// maxWorkers bounds the goroutines that build and check blocks: each pipeline of
// theirs has a queue of its own.
const maxWorkers = 64

// workers is how many goroutines build and check blocks. Each may have to make a block again.
func (t *task) workers() int {
	n := t.run.Workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return max(1, min(n, maxWorkers, maxMemory/t.l.MaxBlock))
}

// withPipeline runs do with a pipeline and adds up what its workers saw.
func (t *task) withPipeline(ctx context.Context, open Opener, size int,
	do func(*pipeline) error,
) error {
	return t.withResources(ctx, open, size,
		resources{max(t.run.IODepth, 1), t.workers(), maxMemory}, do)
}

// withResources is withPipeline, for one that has m.
func (t *task) withResources(ctx context.Context, open Opener, size int, m resources,
	do func(*pipeline) error,
) error {
	pl, err := newPipeline(ctx, t, open, size, m)
	if err != nil {
		return err
	}
	err = do(pl)
	err = errors.Join(err, pl.close())
	t.count(&Result{Requests: pl.sent})
	t.measured(pl.meter)
	for _, w := range pl.workers {
		t.count(w.checker.seen)
	}
	return err
}

// count adds what a worker saw to the result.
func (t *task) count(seen *Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.merge(seen)
}

// reached notes how far the job is.
func (t *task) reached(done int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Done = done
}

// outcome is the result of a run that ended with err.
func (t *task) outcome(err error) (*Result, error) {
	t.result.Fio = t.l.Fio
	if errors.Is(err, errStop) {
		err = nil
	}
	err = cmp.Or(err, t.failed)
	t.result.Done = err == nil && t.result.Done
	if t.hooks.Progress != nil {
		t.report()
	}
	return &t.result, err
}

// stops reports whether the run ends because of what was found.
func (t *task) stops() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.run.StopAtFirst && t.result.Bad > 0
}

// unreadable takes a slot that could not be read.
func (t *task) unreadable(s *slot, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Unreadable += int64(s.n)
	t.fail(fmt.Errorf("read %d bytes at %d: %w", s.n, s.off, err))
}
