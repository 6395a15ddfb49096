package job

import (
	"context"
	"errors"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// Verify reads what the job wrote, in the order of writing, and checks that it
// is what the job wrote last. It never writes. A job that only reads, or that
// does not say what it verifies, tells nothing about the order: it is scanned.
func (j *Job) Verify(ctx context.Context, open Opener) (*Result, error) {
	if j.l.Verify == "" || !j.l.Direction.Writes() && !j.l.Headless && j.History == nil {
		return j.Scan(ctx, open)
	}
	if err := j.findOut(ctx, open); err != nil {
		return j.outcome(err)
	}
	j.state = Progress{Phase: "verify", Total: j.total()}
	p, err := j.newVerification(ctx)
	if err != nil {
		return j.outcome(err)
	}
	if j.l.Overlaps() || j.History != nil && j.l.Rewrites() {
		j.rewritten = newRewritten(j.l)
	}
	err = j.read(ctx, open, j.slotSize(), p.next, releaseAtOnce, j.unreadable)
	if err == nil && j.stops() {
		err = errStop
	}
	if err == nil && j.From == 0 && j.rewritten != nil {
		j.leftOver(j.rewritten.left())
	}
	j.result.Position = p.count
	j.result.Done = err == nil
	return j.outcome(err)
}

// leftOver takes blocks whose headers have the number of a write that the job did not make there.
func (j *Job) leftOver(list []int64) {
	for _, off := range list {
		n := min(int64(j.l.BlockLen), j.l.Offset+j.l.Extent-off)
		j.count(&Result{Blocks: 1, Checked: n})
		j.bad(&Bad{Off: off, Len: n, Cause: verify.Cause{Class: verify.Stale}, Type: j.l.Verify})
	}
}

// findOut finds out what the job does not know of the run that wrote.
func (j *Job) findOut(ctx context.Context, open Opener) error {
	if err := j.recognise(ctx, open); err != nil {
		return err
	}
	for _, r := range j.rivals {
		r.SetRelease(j.l.Fio)
	}
	l := j.l
	own := j.History != nil && j.History.own
	if !own && l.Backlog > 0 && l.DoVerify {
		l.HeaderSeed = false // fio draws seeds to verify as well, more or fewer as writes end
	}
	switch {
	case !own && !l.RandRepeat && !l.RandSeedGiven && !l.AllRandRepeat &&
		(l.Direction.Random() || l.Direction.Mixed() || l.Ranged()):
		return errors.New(
			"randrepeat=0: only the run that wrote knew the order of its blocks; a scan (verify_read) checks them one by one")
	case !own && l.ZoneSize > 0 && l.Direction.Random():
		return errors.New(
			"zonemode=strided: in which order a random job goes through its zones only the run itself knows")
	case j.History != nil:
	case l.TimeBased:
		return errors.New(
			"what a time_based job wrote is only known with its journal or state file")
	case l.Runtime > 0 && l.Rewrites():
		return errors.New(
			"how much of its blocks a job with a runtime wrote more than once is only known with its journal or state file")
	case l.Runtime > 0:
		return j.findEnd(ctx, open)
	}
	return nil
}

// A verification is a replay that knows what became of each request.
type verification struct {
	*replay
	history *History
	// pass is how many writes one pass has, if each pass replaces the one before it; issued how
	// many were made, and first the number of the first that may still be there.
	pass, issued, first uint64
	// coming counts the writes that are not sure, if passes are not alike.
	coming *tally
	// trims is how many of the marked requests were trimmed.
	trims   int64
	checked int64 // bytes
}

func (j *Job) newVerification(ctx context.Context) (*verification, error) {
	p, err := j.replayFrom(ctx, j.From)
	if err != nil {
		return nil, err
	}
	v := &verification{replay: p, history: j.History}
	if h := j.History; h != nil {
		v.until = h.Issued // a job without an end has no more requests to look at
		if j.l.Overlaps() && h.allSure() < h.Issued {
			if v.coming, err = newTally(ctx, j.l, h, j.From); err != nil {
				return nil, err
			}
		}
	}
	if j.l.TrimPercent > 0 {
		if v.trims, err = j.trimsOf(ctx); err != nil {
			return nil, err
		}
	}
	return v, v.skipReplaced(ctx)
}

// skipReplaced finds out where the last write to each block is: in the last pass, if all are alike.
// Otherwise each write is looked at, and one that a later one replaced shows by its number.
func (v *verification) skipReplaced(ctx context.Context) error {
	l := v.j.l
	if !l.Passes() || l.Overlaps() {
		return nil
	}
	pass, err := v.j.passLength(ctx)
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
	if h := v.history; h != nil {
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
	case v.history == nil:
		return r.Number+v.pass < v.issued, false
	}
	return v.history.repeated(r, v.pass)
}

// trimsOf replays how many marked requests were trimmed.
func (j *Job) trimsOf(ctx context.Context) (trims int64, err error) {
	o, err := fio.NewOrder(ctx, j.l)
	if err != nil {
		return 0, err
	}
	var r fio.Request
	for o.Next(&r) {
		if !r.Read && j.History.of(&r) == never {
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
	if v.j.stops() || !v.fill(s, v.kind) {
		return false
	}
	v.checked += int64(s.n)
	v.j.reached(v.checked)
	return true
}

// kind says how to verify a request, and marks those that may not be there.
func (v *verification) kind(r *fio.Request) (slotKind, bool) {
	if r.Read || r.File != v.j.l.File {
		return 0, false
	}
	if v.j.isReplaced(r) {
		v.j.others(int64(r.N))
		return 0, false
	}
	standing := v.history.of(r)
	r.Unsure = standing == unsure
	replaced, covered := v.over(r)
	if replaced {
		return 0, false
	}
	r.Covered = covered
	if r.Mark > 0 && r.Mark <= v.trims {
		return slotZero, standing == sure && v.j.l.TrimZero
	}
	return slotRead, standing != never
}
