package stream

import (
	"context"

	"github.com/blksh/blksh/blockdev"
)

// smallHole is a run of zeroes that is read along with what lies around it: a request more would cost more. In bytes.
const smallHole = 64 << 10

// plan cuts a range into pieces to read and runs that are known to be zero.
type plan struct {
	dev     *blockdev.Device
	at, end int64
	unit    int64           // data is cut at its multiples
	whole   bool            // read zeroes as well
	coarse  bool            // whoever gets a unit looks for zeroes in it: only those that are longer count
	run     blockdev.Extent // the last answer of the device
}

// step is one part of a plan. A run of zeroes is as long as it is known to be, data is at most a unit.
type step struct {
	off, n int64
	zero   bool
}

// next is the next step. Its length is 0 at the end of the range.
func (p *plan) next(ctx context.Context) (step, error) {
	s := step{off: p.at}
	limit := boundary(p.at, p.unit, p.end)
	for p.at < limit {
		if p.whole {
			p.at = limit
			break
		}
		zero, err := p.zeroHere(ctx)
		if err != nil {
			return step{}, err
		}
		switch {
		case p.at > s.off && zero != s.zero:
			s.n = p.at - s.off
			return s, nil
		case zero:
			s.zero, limit = true, p.end
		case p.coarse:
			p.at = limit
		}
		p.at = max(p.at, min(limit, p.run.End()))
	}
	s.n = p.at - s.off
	return s, nil
}

// zeroHere says whether a run of zeroes that is worth leaving out begins at p.at, and sees to it that p.run reaches beyond.
func (p *plan) zeroHere(ctx context.Context) (bool, error) {
	if p.run.End() <= p.at {
		run, err := p.dev.Status(ctx, p.at, p.end-p.at)
		if err != nil {
			return false, err
		}
		if run.Len <= 0 { // a device that shrank: the read will tell
			run = blockdev.Extent{Off: p.at, Len: p.end - p.at}
		}
		p.run = run
	}
	least := int64(smallHole)
	if p.coarse {
		least = p.unit
	}
	return p.run.Zero && (p.run.End()-p.at >= least || p.run.End() >= p.end), nil
}
