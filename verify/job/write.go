package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/blksh/blksh/verify/fio"
)

// A writing is the state of a job that writes.
type writing struct {
	task     *task
	pl       *pipeline
	requests *replay
	log      *journal
	// written is the number of the next write: all before it have ended. at is how
	// far the job is with that.
	written uint64
	at      milestone
	// verified replays what a backlog has verified, trims what was trimmed.
	verified, trims *replay
	trimmed         int64
	trimmedAt       uint64 // written when the last batch was trimmed
	err             error
}

// WriteOptions say where writing begins and what it notes. The zero value is a new run.
type WriteOptions struct {
	// From is where a run goes on that ended early: the Position of its Result.
	From int64
	// Journal gets the journal of the run; see [ReadJournal].
	Journal io.Writer
	// Before is the journal that Journal goes on with, of a run that ended early; nil for a new
	// one. What From leaves out must be flushed in it.
	Before *Journal
}

// Write writes the blocks of the job. If it is cancelled, Result.Position is where another run may
// go on.
func (j *Job) Write(ctx context.Context, open Opener, o WriteOptions) (*Result, error) {
	t := j.newTask("write", j.total(), o.From)
	if j.l.Fio == fio.FioAny {
		return t.outcome(errors.New("writing needs to know which fio's blocks are meant"))
	}
	if j.l.AnyType {
		return t.outcome(errors.New(
			"verify=any is for reading: what is written has one type, such as crc32c"))
	}
	if t.l.Backlog > 0 && t.l.Rewrites() {
		t.rewritten = newRewritten(t.l)
	}
	err := t.withPipeline(ctx, open, t.slotSize(), func(pl *pipeline) error {
		w, err := t.newWriting(ctx, pl, o)
		if err != nil {
			return err
		}
		err = w.run(ctx)
		t.result.Position = w.at.count
		t.result.Done = err == nil
		t.result.Writes = w.written
		t.result.offsets = w.at.blocks
		return err
	})
	return t.outcome(err)
}

func (t *task) newWriting(ctx context.Context, pl *pipeline,
	o WriteOptions,
) (w *writing, err error) {
	w = &writing{task: t, pl: pl}
	if w.requests, err = t.replayFrom(ctx, o.From); err != nil {
		return nil, err
	}
	w.requests.reached(&w.at)
	w.written = w.at.number
	if t.run.Runtime > 0 {
		w.requests.ends = t.now().Add(t.run.Runtime)
	}
	if t.l.Backlog > 0 {
		if w.verified, err = t.replayFrom(ctx, o.From); err != nil {
			return nil, err
		}
	}
	if t.l.TrimPercent > 0 {
		if w.trims, err = t.newReplay(ctx); err != nil {
			return nil, err
		}
	}
	if t.l.Rewrites() {
		w.requests.conflict = pl.conflicts
	}
	if w.log, err = newJournal(o.Journal, &t.l.Workload, o.Before); err == nil && o.Before != nil {
		err = w.follows(ctx, o.Before)
	}
	return w, err
}

// follows makes sure that a journal tells of all writes that a job which goes on
// leaves out. One that was not flushed may be gone, so it has to be made again.
func (w *writing) follows(ctx context.Context, before *Journal) error {
	missing := before.missing()
	if missing >= w.written {
		return nil
	}
	p, err := w.task.newReplay(ctx)
	if err != nil {
		return err
	}
	for p.more && p.number() < w.written &&
		(p.number() < missing || !w.task.l.Owns(&p.ahead)) {
		if err := p.skip(1); err != nil {
			return err
		}
	}
	if p.number() >= w.written {
		return nil
	}
	return fmt.Errorf("the journal does not say that write %d was flushed; the job can go on at %d",
		missing, p.count)
}

// run writes up to each point at which something else is due, and does that.
func (w *writing) run(ctx context.Context) error {
	l, run := w.task.l, &w.task.run
	for {
		w.requests.until = nextMultiple(w.written, run.Fsync, l.Backlog, l.TrimBacklog)
		err := w.send(ctx)
		if err == nil && w.err == nil { // all that was made was written
			w.requests.reached(&w.at)
		}
		w.written = w.at.number
		err = errors.Join(err, w.err)
		if err == nil && w.requests.blocked {
			w.requests.blocked = false
			continue
		}
		more := err == nil && w.requests.more && w.written == w.requests.until
		if err == nil {
			err = w.pause(ctx, !more)
		}
		if err != nil && ctx.Err() != nil && w.log != nil {
			err = errors.Join(err, w.flush()) // so that the job can go on from here
		}
		if err != nil || !more {
			return errors.Join(err, w.log.flush())
		}
	}
}

// nextMultiple is the least multiple above n of any of the counts, of which 0 are none.
func nextMultiple(n uint64, counts ...int64) uint64 {
	next := ^uint64(0)
	for _, c := range counts {
		if c > 0 {
			next = min(next, (n/uint64(c)+1)*uint64(c))
		}
	}
	return next
}

// next fills a slot with requests to write, and those that a mixed job reads.
func (w *writing) next(s *slot) bool {
	filled := w.requests.fill(s, func(r *fio.Request) (slotOp, bool) {
		if r.Read {
			return opLoad, true
		}
		return opWrite, true
	})
	w.requests.reached(&s.behind)
	return filled
}

// send builds what is to be written and writes it, in that order, up to where something else is
// due. When ctx ends or a write failed, what is in flight ends, and what was not started is left.
func (w *writing) send(ctx context.Context) error {
	pl := w.pl
	var line, fresh []int // slots that are to be written, and those of them that are to be built
	ready := func(i int) { pl.slots[i].built = true }
	for ended := false; ; {
		halted := ctx.Err() != nil || w.err != nil
		fresh = fresh[:0]
		for lacking := pl.lacking(len(line)); !ended && !halted && len(fresh) < lacking; {
			i, ok := pl.acquire(w.next)
			if ended = !ok; ended {
				break
			}
			pl.slots[i].built = false
			fresh = append(fresh, i)
		}
		line = append(line, fresh...)
		pl.dispatch(fresh, ready)
		pl.collect(pl.inFlight == 0 && (halted || pl.built(line) == 0), ready)
		if halted && pl.working == 0 {
			line = pl.drop(line)
		}
		n := 0
		if !halted {
			n = min(pl.built(line), max(0, pl.window-pl.inFlight))
		}
		if n == 0 && pl.inFlight == 0 && len(line) == 0 && (ended || halted) {
			return ctx.Err()
		}
		if err := w.stage(line[:n]); err != nil {
			return err
		}
		list, err := pl.turn(line[:n], w.failed)
		line = line[:copy(line, line[n:])]
		if err != nil {
			return fmt.Errorf("send writes: %w", err)
		}
		for _, i := range list {
			w.done(&pl.slots[i])
			pl.release(i)
		}
		pl.progress()
	}
}

// stage logs and stages built writes, and the reads of a mixed job.
func (w *writing) stage(list []int) error {
	if len(list) == 0 {
		return nil
	}
	if err := w.issue(list); err != nil {
		return err
	}
	for _, i := range list {
		s, op := &w.pl.slots[i], OpRead
		if s.op == opWrite {
			op = OpWrite
		}
		w.pl.q.Stage(i, op, s.off, int64(s.n), 0)
	}
	return nil
}

// issue logs what is about to be written.
func (w *writing) issue(list []int) error {
	for _, i := range list {
		if s := &w.pl.slots[i]; s.op == opWrite {
			w.log.issue(s.requests)
		}
	}
	last := &w.pl.slots[list[len(list)-1]].behind
	w.at.count, w.at.number, w.at.blocks = last.count, last.number, last.blocks.CopyTo(w.at.blocks)
	return w.log.flush()
}

// done takes a slot that was written.
func (w *writing) done(s *slot) {
	if s.op != opWrite {
		return
	}
	w.log.writes(journalAck, s.requests)
	w.task.result.Written += int64(s.n)
	w.task.result.Made += int64(len(s.requests))
	w.task.state.Done += int64(s.n)
}

func (w *writing) failed(s *slot, err error) {
	if s.op == opWrite && w.err == nil {
		w.err = fmt.Errorf("write %d bytes at %d: %w", s.n, s.off, err)
	}
	if s.op == opLoad {
		w.task.unreadable(s, err)
	}
}

// pause does what is due between writes; last says that none follow.
func (w *writing) pause(ctx context.Context, last bool) error {
	l, run := w.task.l, &w.task.run
	at := func(every int64) bool { return every > 0 && w.written%uint64(every) == 0 && !last }
	if at(run.Fsync) || last && run.EndFsync {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if l.TrimPercent > 0 && w.written != w.trimmedAt && w.written%uint64(l.TrimBacklog) == 0 {
		w.trimmedAt = w.written
		if err := w.trim(); err != nil {
			return err
		}
	}
	if at(l.Backlog) {
		return w.verifyBacklog(ctx)
	}
	return nil
}

func (w *writing) flush() error {
	w.log.add(journalFlushBegins, 0, 0)
	if err := w.log.flush(); err != nil {
		return err
	}
	if err := once(w.pl.q, OpFlush, 0, 0); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	w.log.add(journalFlushed, 0, 0)
	w.task.result.flushed = w.written
	return w.log.flush()
}

// trim discards the marked requests that are due.
func (w *writing) trim() error {
	due := w.requests.order.Trim
	if w.requests.more && w.requests.ahead.Mark > 0 {
		due.Marked-- // the request ahead is not written yet
	}
	until := due.Due(w.written, w.trimmed)
	for w.trimmed < until && w.trims.more {
		r := w.trims.ahead
		if err := w.trims.skip(1); err != nil {
			return err
		}
		if r.Read || r.Mark == 0 {
			continue
		}
		w.trimmed++
		if !w.task.l.Owns(&r) {
			continue
		}
		if err := once(w.pl.q, OpDiscard, r.Off, int64(r.N)); err != nil {
			return fmt.Errorf("discard %d bytes at %d: %w", r.N, r.Off, err)
		}
		w.task.result.Trimmed += int64(r.N)
	}
	return nil
}

// verifyBacklog verifies what was written since the last time. A block that was written twice since
// then is judged by the second write.
func (w *writing) verifyBacklog(ctx context.Context) error {
	w.verified.until = w.written
	err := w.pl.read(ctx, func(s *slot) bool {
		return !w.task.stops() && w.verified.fill(s, w.checkOp)
	}, w.task.unreadable)
	if err == nil && w.task.stops() {
		err = errStop
	}
	err = cmp.Or(err, ctx.Err())
	if r := w.task.rewritten; err == nil && r != nil {
		w.task.leftOver(r.left())
		r.reset()
	}
	return err
}

// checkOp says how to verify a request of the job while it runs.
func (w *writing) checkOp(r *fio.Request) (slotOp, bool) {
	switch {
	case r.Read:
		return 0, false
	case r.Mark > 0 && r.Mark <= w.trimmed:
		return opCheckZeroes, w.task.run.TrimZero
	}
	return opCheck, true
}
