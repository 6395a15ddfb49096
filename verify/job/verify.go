package job

import (
	"context"
	"errors"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// VerifyOptions say what is known about the blocks that are verified. The zero value is all that a
// job wrote which was completed.
type VerifyOptions struct {
	// From is where a run goes on that ended early: the Position of its Result.
	From int64
	// History says what is known about a writing run that ended early, so that only what it wrote
	// is verified; nil is a run that was completed.
	History *History
	// Others are jobs of the same job file that wrote to the file as well: those that fio runs at
	// the same time, of which any may have been the last to write a block, and those that it runs
	// later. A block of such a job is left to that job's own verification. It is an error if
	// nothing tells their blocks apart. A job that only verifies takes the blocks of all others.
	Others []fio.Options
}

// Verify reads what the job wrote, in the order of writing, and checks that it is what the job
// wrote last. It never writes. A job that only reads, or that does not say what it verifies, tells
// nothing about the order: it is scanned.
func (j *Job) Verify(ctx context.Context, open Opener, o VerifyOptions) (*Result, error) {
	t := j.newTask("verify", j.total(), o.From)
	t.history = o.History
	if err := t.against(j, o.Others); err != nil {
		return t.outcome(err)
	}
	if t.l.Verify == "" || !t.l.Direction.Writes() && !t.l.Headerless && o.History == nil {
		return t.scan(ctx, open)
	}
	return t.verify(ctx, open)
}

func (t *task) verify(ctx context.Context, open Opener) (*Result, error) {
	if err := t.findOut(ctx, open); err != nil {
		return t.outcome(err)
	}
	p, err := t.newVerification(ctx)
	if err != nil {
		return t.outcome(err)
	}
	if t.l.Overlaps() || t.history != nil && t.l.Rewrites() {
		t.rewritten = newRewritten(t.l)
	}
	err = t.read(ctx, open, t.slotSize(), p.next, releaseAtOnce, t.unreadable)
	if err == nil && t.stops() {
		err = errStop
	}
	if err == nil && t.from == 0 && t.rewritten != nil {
		t.leftOver(t.rewritten.left())
	}
	t.result.Position = p.count
	t.result.Done = err == nil
	return t.outcome(err)
}

// leftOver takes blocks whose headers have the number of a write that the job did not make there.
func (t *task) leftOver(list []int64) {
	for _, off := range list {
		n := min(int64(t.l.BlockLen), t.l.Offset+t.l.Extent-off)
		t.count(&Result{Blocks: 1, Checked: n})
		t.bad(&Bad{Off: off, Len: n, Cause: verify.Cause{Class: verify.Stale}, Type: t.l.Verify})
	}
}

// findOut finds out what the job does not know of the run that wrote.
func (t *task) findOut(ctx context.Context, open Opener) error {
	if err := t.recognise(ctx, open); err != nil {
		return err
	}
	for _, r := range t.others {
		r.l.SetRelease(t.l.Fio)
	}
	l := t.l
	own := t.history != nil && t.history.own
	if !own && l.Backlog > 0 && l.DoVerify {
		t.run.HeaderSeed = false // fio draws seeds to verify as well, more or fewer as writes end
	}
	if !own && t.run.Serialize && l.Async && l.Rewrites() {
		t.run.HeaderSeed = false // fio draws another seed each time that a write waits for another
	}
	switch {
	case !own && !l.RandRepeat && !l.RandSeedGiven && !l.AllRandRepeat &&
		(l.Direction.Random() || l.Direction.Mixed() || l.Ranged()):
		return errors.New(
			"randrepeat=0: only the run that wrote knew the order of its blocks; a scan (verify_read) checks them one by one")
	case !own && l.ZoneSize > 0 && l.Direction.Random():
		return errors.New(
			"zonemode=strided: in which order a random job goes through its zones only the run itself knows")
	case t.history != nil:
	case l.TimeBased:
		return errors.New(
			"what a time_based job wrote is only known with its journal or state file")
	case t.run.Runtime > 0 && l.Rewrites():
		return errors.New(
			"how much of its blocks a job with a runtime wrote more than once is only known with its journal or state file")
	case t.run.Runtime > 0:
		return t.findEnd(ctx, open)
	}
	return nil
}

// A verification is a replay that knows what became of each request.
type verification struct {
	*replay
	// pass is how many writes one pass has, if each pass replaces the one before it; issued how
	// many were made, and first the number of the first that may still be there.
	pass, issued, first uint64
	// coming counts the writes that are not sure, if passes are not alike.
	coming *tally
	// trims is how many of the marked requests were trimmed.
	trims   int64
	checked int64 // bytes
	// holes need not be read; leaps says that long ones are judged as one.
	holes holes
	leaps bool
}

func (t *task) newVerification(ctx context.Context) (*verification, error) {
	p, err := t.replayFrom(ctx, t.from)
	if err != nil {
		return nil, err
	}
	v := &verification{replay: p}
	if h := t.history; h != nil {
		v.until = h.Issued // a job without an end has no more requests to look at
		if t.l.Overlaps() && h.allSure() < h.Issued {
			if v.coming, err = newTally(ctx, t.l, h, t.from); err != nil {
				return nil, err
			}
		}
	}
	if v.holes, err = t.findHoles(ctx); err != nil {
		return nil, err
	}
	v.leaps = len(v.holes) > 0 && t.ascends() && t.alike()
	if t.l.TrimPercent > 0 {
		if v.trims, err = t.trimsOf(ctx); err != nil {
			return nil, err
		}
	}
	return v, v.skipReplaced(ctx)
}

// skipReplaced finds out where the last write to each block is: in the last pass, if all are alike.
// Otherwise each write is looked at, and one that a later one replaced shows by its number.
func (v *verification) skipReplaced(ctx context.Context) error {
	l := v.task.l
	if !l.Passes() || l.Overlaps() {
		return nil
	}
	pass, err := v.task.passLength(ctx)
	if err != nil {
		return err
	}
	v.pass, v.issued = pass, pass*uint64(l.Loops)
	if l.NumberIOs > 0 && !l.TimeBased {
		if v.issued, err = l.CountWrites(ctx); err != nil {
			return err
		}
	}
	last := v.issued // everything before it that another pass replaced is gone
	if h := v.task.history; h != nil {
		v.issued = h.Issued
		last = h.allSure()
	}
	if last > pass {
		v.first = last - pass
	}
	return nil
}

// over says what is known about later writes over r: whether one replaced it for
// sure, and whether one that is not sure may have changed it.
func (v *verification) over(r *fio.Request) (replaced, covered bool) {
	switch {
	case v.coming != nil:
		if r.Unsure {
			v.coming.pass(r)
		}
		return false, v.coming.covers(r)
	case v.pass == 0 || r.Number < v.first:
		return r.Number < v.first, false
	case v.task.history == nil:
		return r.Number+v.pass < v.issued, false
	}
	return v.task.history.repeated(r, v.pass)
}

// trimsOf replays how many marked requests were trimmed.
func (t *task) trimsOf(ctx context.Context) (trims int64, err error) {
	o, err := fio.NewOrder(ctx, t.l)
	if err != nil {
		return 0, err
	}
	var r fio.Request
	for o.Next(&r) {
		if !r.Read && t.history.of(&r) == never {
			break
		}
		if !r.Read {
			trims = o.Trim.Due(r.Number+1, trims)
		}
	}
	return trims, o.Err
}

// next fills a slot with requests to verify.
func (v *verification) next(s *slot) bool {
	if v.task.stops() || v.leaps && v.passOver() != nil || !v.fill(s, v.op) {
		return false
	}
	s.zero = v.holes.at(s.off) >= int64(s.n)
	v.checked += int64(s.n)
	v.task.reached(v.checked)
	return true
}

// op says how to verify a request, and marks those that may not be there.
func (v *verification) op(r *fio.Request) (slotOp, bool) {
	if r.Read || !v.task.l.Owns(r) {
		return 0, false
	}
	if v.task.isReplaced(r) {
		v.task.count(&Result{Others: int64(r.N)})
		return 0, false
	}
	standing := v.task.history.of(r)
	r.Unsure = standing == unsure
	replaced, covered := v.over(r)
	if replaced {
		return 0, false
	}
	r.Covered = covered
	if r.Mark > 0 && r.Mark <= v.trims {
		return opCheckZeroes, standing == sure && v.task.run.TrimZero
	}
	return opCheck, standing != never
}
