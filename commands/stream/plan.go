package stream

import (
	"context"

	"github.com/blksh/blksh/blockdev"
)

// smallHole is a run of zeroes that is read along with what lies around it: a request more would
// cost more. In bytes.
const smallHole = 64 << 10

// Plan cuts a range into pieces to read and runs that are known to be zero.
type Plan struct {
	dev     *blockdev.Device
	at, end int64
	base    int64           // from where unit and align count
	unit    int64           // data is cut at its multiples
	align   int64           // runs of zeroes begin and end at its multiples; 0 for anywhere
	whole   bool            // read zeroes as well
	coarse  bool            // who gets a unit looks for zeroes in it: only longer runs count
	run     blockdev.Extent // the last answer of the device
	pick    Pick
	picked  bool  // the last answer of pick,
	until   int64 // which holds so far
}

// Pick says whether what begins at off is wanted, and up to where that holds, at most n bytes
// behind.
type Pick func(ctx context.Context, off, n int64) (end int64, wanted bool, err error)

// NewPlan begins with n bytes at off, which must lie within the device. Data is cut at multiples of
// unit bytes, and runs of zeroes begin and end at those of align, which divides unit, or with the
// range.
func NewPlan(d *blockdev.Device, off, n, unit, align int64) (*Plan, error) {
	if err := inside(d, "read", off, n); err != nil {
		return nil, err
	}
	return &Plan{dev: d, at: off, end: off + n, unit: unit, align: align}, nil
}

// Only has the plan leave out what is not picked.
func (p *Plan) Only(pick Pick) { p.pick = pick }

// Step is one part of a plan. A run of zeroes is as long as it is known to be, and so is what is
// left out; data is at most a unit.
type Step struct {
	Off, Len int64
	Zero     bool
	Out      bool // it is not wanted
}

// Next is the next step. Its length is 0 at the end of the range.
func (p *Plan) Next(ctx context.Context) (Step, error) {
	s := Step{Off: p.at}
	end, err := p.wanted(ctx)
	if err != nil {
		return Step{}, err
	}
	if s.Out = !p.picked && p.pick != nil; s.Out {
		p.at = end
		s.Len = p.at - s.Off
		return s, nil
	}
	limit := p.base + boundary(p.at-p.base, p.unit, end-p.base)
	for p.at < limit {
		if p.whole {
			p.at = limit
			break
		}
		zero, next, err := p.judge(ctx)
		if err != nil {
			return Step{}, err
		}
		switch {
		case p.at > s.Off && zero != s.Zero:
			s.Len = p.at - s.Off
			return s, nil
		case zero:
			s.Zero, limit = true, end
		case p.coarse:
			next = limit
		}
		p.at = max(p.at, min(limit, next))
	}
	s.Len = p.at - s.Off
	return s, nil
}

// wanted is up to where all is wanted from p.at on, or nothing is.
func (p *Plan) wanted(ctx context.Context) (end int64, err error) {
	if p.pick == nil || p.at == p.end {
		return p.end, nil
	}
	if p.until <= p.at {
		if p.until, p.picked, err = p.pick(ctx, p.at, p.end-p.at); err != nil {
			return 0, err
		}
		p.until = min(max(p.until, p.at+1), p.end)
	}
	return p.until, nil
}

// judge says whether a run of zeroes that is worth leaving out begins at p.at, and how far that
// holds.
func (p *Plan) judge(ctx context.Context) (zero bool, next int64, err error) {
	if p.run.End() <= p.at {
		run, err := p.dev.Status(ctx, p.at, p.end-p.at)
		if err != nil {
			return false, 0, err
		}
		if run.Len <= 0 { // a device that shrank: the read will tell
			run = blockdev.Extent{Off: p.at, Len: p.end - p.at}
		}
		p.run = run
	}
	from, end := p.at, p.run.End()
	if p.align > 1 {
		from += min((p.align-(from-p.base)%p.align)%p.align, p.end-from)
		if end < p.end {
			end -= (end - p.base) % p.align
		}
	}
	least := int64(smallHole)
	if p.coarse {
		least = p.unit
	}
	switch {
	case !p.run.Zero || end <= from || end-from < least && end < p.end:
		return false, p.run.End(), nil
	case from > p.at:
		return false, from, nil
	}
	return true, end, nil
}
