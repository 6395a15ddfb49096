package job

import (
	"context"
	"time"

	"github.com/blksh/blksh/verify/fio"
)

// A replay makes the requests of a job and merges neighbours into slots.
type replay struct {
	task  *task
	order *fio.Order
	ahead fio.Request // made and not yet used, if more
	more  bool
	count int64 // requests used
	// before is the generator of offsets as it was before ahead was made.
	before fio.Generator
	// conflict reports whether a request must wait until others have ended, and
	// blocked that one does.
	conflict func(*fio.Request) bool
	blocked  bool
	until    uint64 // write numbers from here on are for later
	ends     time.Time
}

// A milestone is how far a job is: behind some of its requests.
type milestone struct {
	count  int64         // of them
	number uint64        // of the next write
	blocks fio.Generator // of offsets
}

// reached makes m how far the replay is.
func (p *replay) reached(m *milestone) {
	m.count, m.number, m.blocks = p.count, p.number(), p.before.CopyTo(m.blocks)
}

func (t *task) newReplay(ctx context.Context) (*replay, error) {
	o, err := fio.NewOrder(ctx, t.l)
	if err != nil {
		return nil, err
	}
	p := &replay{task: t, order: o, until: ^uint64(0)}
	p.advance()
	return p, nil
}

// replayFrom is a replay behind the first n requests.
func (t *task) replayFrom(ctx context.Context, n int64) (*replay, error) {
	p, err := t.newReplay(ctx)
	if err == nil {
		err = p.skip(n)
	}
	return p, err
}

func (p *replay) advance() {
	p.before = p.order.Offsets.CopyTo(p.before)
	p.more = p.order.Next(&p.ahead)
}

// use uses up the request ahead.
func (p *replay) use() {
	p.advance()
	p.count++
}

// number is the number of the next write.
func (p *replay) number() uint64 {
	if p.more {
		return p.ahead.Number
	}
	return p.order.Number
}

// skip uses up requests without doing anything.
func (p *replay) skip(n int64) error {
	for ; n > 0 && p.more; n-- {
		p.use()
	}
	return p.order.Err
}

// due reports whether the next request is for now.
func (p *replay) due() bool {
	if !p.more || p.ahead.Number >= p.until {
		return false
	}
	return p.ends.IsZero() || p.task.now().Before(p.ends)
}

// fill takes requests that lie one behind the other into a slot, as long as
// want agrees on what is to be done with them.
func (p *replay) fill(s *slot, want func(*fio.Request) (slotOp, bool)) bool {
	s.requests, s.n = s.requests[:0], 0
	for p.due() {
		if p.conflict != nil && p.conflict(&p.ahead) {
			p.blocked = true
			return s.n > 0
		}
		op, wanted := want(&p.ahead)
		if !wanted || !p.task.l.Owns(&p.ahead) {
			if s.n > 0 {
				return true
			}
			p.use()
			continue
		}
		switch {
		case s.n == 0:
			s.op, s.off = op, p.ahead.Off
		case op != s.op || p.ahead.Off != s.off+int64(s.n) ||
			s.n+p.ahead.N > p.task.run.MaxRequest || len(s.requests) == cap(s.requests):
			return true
		}
		s.requests = append(s.requests, p.ahead)
		s.n += p.ahead.N
		p.use()
	}
	return s.n > 0
}

// passLength is how many writes one loop of the job makes.
func (t *task) passLength(ctx context.Context) (uint64, error) {
	l := *t.l
	l.Loops, l.TimeBased, l.NumberIOs = 1, false, 0
	return l.CountWrites(ctx)
}
