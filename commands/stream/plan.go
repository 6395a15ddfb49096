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
	whole   bool            // read zeroes as well
	run     blockdev.Extent // the last answer of the device
}

// step is one piece of a plan. A run of zeroes is as long as it is known to be, data is at most a piece.
type step struct {
	off, n int64
	zero   bool
}

// next is the next step. Its length is 0 at the end of the range.
func (p *plan) next(ctx context.Context) (step, error) {
	s := step{off: p.at}
	limit := boundary(p.at, PieceSize, p.end)
	for p.at < limit {
		if p.whole {
			p.at = limit
			break
		}
		zero, err := p.zeroHere(ctx)
		if err != nil {
			return step{}, err
		}
		if p.at == s.off {
			s.zero = zero
			if zero {
				limit = p.end
			}
		} else if zero != s.zero {
			break
		}
		p.at = min(limit, p.run.End())
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
	left := p.run.End() - p.at
	return p.run.Zero && (left >= smallHole || p.run.End() >= p.end), nil
}
