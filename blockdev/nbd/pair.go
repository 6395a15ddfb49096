package nbd

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev/driver"
)

// pairDepth is from how many slots on a queue has two connections. With fewer it would too often
// wait for one while the other has nothing to do.
const pairDepth = 16

// pair is a queue over two, each with every second slot and a connection of its own. It reads one
// of them at a time, in turn where both have something: what the other is answered meanwhile comes
// with one read. The server has more to do before it is looked at again, and so a request takes
// about half the processor time here that it takes on one connection.
type pair struct {
	halves [2]*queue
	busy   [2]int // staged and not reaped
	turn   int    // the half that is reaped next
}

// newPair makes the queues. What they do in any order they do so together: connections are added
// only where a server says that what one of them has completed is there for all.
func (d *device) newPair(ctx context.Context, depth, size int) (driver.Queue, error) {
	first, err := d.newQueue(ctx, (depth+1)/2, size)
	if err != nil {
		return nil, err
	}
	second, err := d.newQueue(ctx, depth/2, size)
	if err != nil {
		return nil, errors.Join(err, first.Close())
	}
	return &pair{halves: [2]*queue{first, second}}, nil
}

func (p *pair) Depth() int { return p.halves[0].Depth() + p.halves[1].Depth() }

// half is where a slot is, and which slot it is there.
func (p *pair) half(slot int) (q *queue, there int) { return p.halves[slot%2], slot / 2 }

func (p *pair) Buffer(slot int) []byte {
	q, there := p.half(slot)
	return q.Buffer(there)
}

func (p *pair) Err(slot int) error {
	q, there := p.half(slot)
	return q.Err(there)
}

func (p *pair) Stage(slot int, op uint8, off, n int64, flags uint32) {
	q, there := p.half(slot)
	q.Stage(there, op, off, n, flags)
	p.busy[slot%2]++
}

func (p *pair) Carries(op driver.Op, off int64, f driver.Flags) bool {
	return p.halves[0].Carries(op, off, f)
}

func (p *pair) Submit() error {
	return errors.Join(p.halves[0].Submit(), p.halves[1].Submit())
}

// Reap waits for either half.
func (p *pair) Reap(least int, done []int) (n int, err error) {
	for first := true; err == nil && p.busy[0]+p.busy[1] > 0 && (first || n < least); {
		first = false
		half, beside := p.next()
		p.turn = 1 - half
		q := p.halves[half]
		q.waiter.watches(beside)
		var m int
		m, err = q.Reap(min(1, least-n), done[n:])
		q.waiter.watches(nil) // who closes the half waits for it alone
		for i, there := range done[n : n+m] {
			done[n+i] = 2*there + half
		}
		p.busy[half] -= m
		n += m
	}
	return n, err
}

// next is the half to reap, and the stream on which the other may be answered before.
func (p *pair) next() (half int, beside stream) {
	half = p.turn
	other := 1 - half
	switch {
	case p.busy[half] == 0:
		return other, nil
	case p.busy[other] > 0:
		if beside = p.halves[other].waitsFor(); beside == nil {
			return other, nil
		}
	}
	return half, beside
}

// SubmitAndReap is both in turn.
func (p *pair) SubmitAndReap(least int, done []int) (int, error) {
	if err := p.Submit(); err != nil {
		return 0, err
	}
	return p.Reap(least, done)
}

func (p *pair) Close() error {
	return errors.Join(p.halves[0].Close(), p.halves[1].Close())
}
