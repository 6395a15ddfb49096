package job

import (
	"context"

	"github.com/blksh/blksh/verify/fio"
)

// maxSamples is how many writes of a job are looked at to find out about where it ended.
const maxSamples = 4096

// findEnd finds out where a job with a runtime ended of which nothing else is known: behind the
// last of its writes that is there. A write that was lost at the very end does not show.
func (t *task) findEnd(ctx context.Context, open Opener) error {
	total, err := t.l.CountWrites(ctx)
	if err != nil || total == 0 {
		return err
	}
	step := max(total/maxSamples, 1)
	last, err := t.lastPresent(ctx, open, 0, total, step)
	if err != nil {
		return err
	}
	if step > 1 {
		from := max(last, 0)
		fine, err := t.lastPresent(ctx, open, uint64(from), min(uint64(from)+2*step, total), 1)
		if err != nil {
			return err
		}
		last = max(last, fine)
	}
	if uint64(last+1) < total {
		t.history = &History{Issued: uint64(last + 1)}
	}
	return nil
}

// lastPresent is the number of the last write that is there, of each step'th from
// one number to another and the last; -1 if none is.
func (t *task) lastPresent(ctx context.Context, open Opener, from, to,
	step uint64,
) (last int64, err error) {
	o, err := fio.NewOrder(ctx, t.l)
	if err != nil {
		return 0, err
	}
	q, err := open(ctx, 1, t.slotSize())
	if err != nil {
		return 0, err
	}
	defer q.Close()
	c := t.newChecker(func(*Bad) {})
	last = -1
	var r fio.Request
	for o.Next(&r) && r.Number < to {
		sampled := r.Number >= from && ((r.Number-from)%step == 0 || r.Number == to-1)
		if r.Read || !sampled || !t.l.Owns(&r) {
			continue
		}
		if err := once(q, OpRead, r.Off, int64(r.N)); err != nil {
			continue // it will be reported when it is its turn
		}
		if c.present(q.Buffer(0)[:r.N], &r) {
			last = int64(r.Number)
		}
	}
	return last, o.Err
}

// present reports whether the blocks of a request are all as they should be.
func (c *checker) present(p []byte, r *fio.Request) bool {
	x := expectation{Request: *r, known: true}
	if c.l.Headerless {
		return c.plainly(p, &x)
	}
	every := c.l.Every(len(p))
	for at := 0; at < len(p); at += every {
		if !c.intact(p[at:min(at+every, len(p))], r.Off+int64(at), &x) {
			return false
		}
	}
	return true
}
