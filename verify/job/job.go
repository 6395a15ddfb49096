package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// Hooks are what a job tells while it runs, and what it keeps. All may be nil.
type Hooks struct {
	// Bad gets each bad block when it is found, and each unfaithful one, one at a
	// time, on any goroutine.
	Bad func(*Bad)
	// Progress gets the bytes that are done and all of them, now and then, on
	// the goroutine that runs the job.
	Progress func(Progress)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Journal gets the journal of a job that writes; see [ReadJournal].
	Journal io.Writer
	// Before is the journal that Journal goes on with, of a run that ended early;
	// nil for a new one. What [Job.From] leaves out must be flushed in it.
	Before *Journal
	// Dump gets the bytes of bad blocks. kind is received, expected or diff; see [Dump].
	Dump func(kind string, off int64, data []byte) error
}

// Progress is how far a job is.
type Progress struct {
	Phase string `json:"phase"` // write, verify or trim
	Done  int64  `json:"done"`  // bytes
	Total int64  `json:"total"` // bytes; 0 if not known
	Bad   int64  `json:"bad"`   // blocks
}

// A Job writes blocks that tell whether they are intact, and verifies them.
type Job struct {
	// From is where a run goes on that ended early: the Position of its Result.
	From int64
	// History says what is known about a writing run that ended early, so that
	// only what it wrote is verified; nil is a run that was completed.
	History *History

	l     *fio.Layout
	known *knowledge
	hooks Hooks
	tick  ticker
	began time.Time

	mu     sync.Mutex // guards result.bad and the hooks Bad and Dump
	result Result
	state  Progress
	failed error // the first error of reading or dumping

	// flushed is the number of the first write that no flush covered, blocks the
	// generator of offsets behind the last write; for the state file.
	flushed uint64
	blocks  fio.Generator

	// rewritten is about a verification of blocks that are written more than once.
	rewritten *rewritten

	// rivals are jobs whose blocks may be there as well, replaced what later ones
	// wrote over; see [Job.Against].
	rivals   []*fio.Layout
	replaced []fio.Span
}

// NewJob checks options. The error names the option that is wrong.
func NewJob(o fio.Options, h Hooks) (*Job, error) {
	l, err := fio.NewLayout(o)
	if err != nil {
		return nil, err
	}
	j := &Job{l: l, known: new(knowledge), hooks: h}
	now := h.Now
	if now == nil {
		now = time.Now
	}
	j.began = now()
	j.tick = ticker{now: now, last: j.began, call: j.report}
	return j, nil
}

// Options are the options of the job with all defaults filled in.
func (j *Job) Options() fio.Options { return j.l.Options }

// Run does what the options say: it writes, verifies what it wrote, or both.
func (j *Job) Run(ctx context.Context, open Opener) (*Result, error) {
	if j.writes() {
		r, err := j.Write(ctx, open)
		if err != nil || !j.l.DoVerify {
			return r, err
		}
		j.From, j.History = 0, j.Written()
	}
	return j.Verify(ctx, open)
}

// Written says what a job that has written wrote, for the job that verifies it.
func (j *Job) Written() *History {
	return &History{Issued: j.result.Writes, own: true}
}

// others counts bytes that are left to other jobs.
func (j *Job) others(n int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.result.Others += n
}

func (j *Job) writes() bool {
	return !j.l.VerifyOnly && j.l.Direction.Writes()
}

// errStop ends a run at the first bad block.
var errStop = errors.New("stopped at the first bad block")

func (j *Job) progress() {
	if j.hooks.Progress != nil {
		j.tick.tick()
	}
}

func (j *Job) report() {
	j.mu.Lock()
	p := j.state
	p.Bad = j.result.Bad
	j.mu.Unlock()
	j.hooks.Progress(p)
}

// bad takes a bad block from a checker.
func (j *Job) bad(b *Bad) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.result.bad(b)
	if j.hooks.Bad != nil {
		j.hooks.Bad(b)
	}
	if j.hooks.Dump != nil && b.Cause.Class != verify.Unfaithful {
		j.fail(dump(b, j.hooks.Dump))
	}
}

// fail remembers the first error; mu is held or nothing runs.
func (j *Job) fail(err error) {
	if j.failed == nil {
		j.failed = err
	}
}

// dump passes on both sides of a bad block, and their difference.
func dump(b *Bad, put func(kind string, off int64, data []byte) error) error {
	if err := put("received", b.Off, b.got); err != nil || b.want == nil {
		return err
	}
	if err := put("expected", b.Off, b.want); err != nil {
		return err
	}
	diff := make([]byte, len(b.got))
	for i := range diff {
		diff[i] = b.got[i] ^ b.want[i]
	}
	return put("diff", b.Off, diff)
}

func (j *Job) newWorker() *worker {
	c := newChecker(j.l, j.known, j.bad)
	c.history, c.rewritten, c.rivals = j.History, j.rewritten, j.newRivals()
	return &worker{builder: fio.NewBuilder(j.l, j.l.JobClock(j.elapsed)), checker: c}
}

// elapsed is the time since the job began, for the clock of headers.
func (j *Job) elapsed() (sec, nsec uint32) {
	d := j.tick.now().Sub(j.began)
	return uint32(d / time.Second), uint32(d % time.Second)
}

// slotSize is how much memory a slot needs for the requests of the job: fio 2.2
// rounds their lengths up to the interval.
func (j *Job) slotSize() int {
	longest := max(j.l.MaxBlock, j.l.Reads.Max)
	if j.l.Fio == fio.Fio22 && j.l.Ranged() {
		longest += j.l.BlockLen
	}
	return max(j.l.MaxRequest, longest)
}

// maxWorkers bounds the goroutines that build and check blocks: each engine of
// theirs has a queue of its own.
const maxWorkers = 64

// workers is how many goroutines build and check blocks. Each may have to make a block again.
func (j *Job) workers() int {
	n := j.l.Workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return max(1, min(n, maxWorkers, maxMemory/j.l.MaxBlock))
}

// with runs do with an engine and adds up what its workers saw.
func (j *Job) with(ctx context.Context, open Opener, size int, do func(*engine) error) error {
	return j.equipped(ctx, open, size, means{max(j.l.IODepth, 1), j.workers(), maxMemory}, do)
}

// equipped is with, for an engine that has m.
func (j *Job) equipped(ctx context.Context, open Opener, size int, m means,
	do func(*engine) error,
) error {
	e, err := newEngine(ctx, j, open, size, m)
	if err != nil {
		return err
	}
	err = do(e)
	err = errors.Join(err, e.close())
	j.count(&Result{Requests: e.sent})
	for _, w := range e.workers {
		j.count(w.checker.seen)
	}
	return err
}

// count adds what a worker saw to the result.
func (j *Job) count(seen *Result) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.result.merge(seen)
}

// reached notes how far the job is.
func (j *Job) reached(done int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state.Done = done
}

// outcome is the result of a run that ended with err.
func (j *Job) outcome(err error) (*Result, error) {
	j.result.Fio = j.l.Fio
	if errors.Is(err, errStop) {
		err = nil
	}
	if err == nil {
		err = j.failed
	}
	j.result.Done = err == nil && j.result.Done
	if j.hooks.Progress != nil {
		j.report()
	}
	return &j.result, err
}

// stops reports whether the run ends because of what was found.
func (j *Job) stops() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.l.StopAtFirst && j.result.Bad > 0
}

// unreadable takes a slot that could not be read.
func (j *Job) unreadable(s *slot, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.result.Unreadable += int64(s.n)
	if j.failed == nil {
		j.fail(fmt.Errorf("read %d bytes at %d: %w", s.n, s.off, err))
	}
}

// State is the state file of a job that has written, wholly or in part.
func (j *Job) State() *fio.State {
	s := &fio.State{
		Version: fio.StateWritten, Name: j.l.Name, Index: uint64(j.l.Thread - 1),
		Depth:  uint64(max(j.l.IODepth, 1)),
		Writes: j.result.Writes,
	}
	if j.l.Flushed {
		s.Writes = j.flushed
	}
	if j.l.Direction.Random() {
		s.SetGenerator(j.blocks)
	}
	return s
}
