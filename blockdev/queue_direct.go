package blockdev

import (
	"context"
	"errors"
)

// Queue makes a batch queue on the device: depth slots of size bytes each, owned by the goroutine that calls. Requests fail when ctx
// ends. The queue is the node's own if the whole stack lets requests through as they are, and one of goroutines otherwise.
func (d *Device) Queue(ctx context.Context, depth, size int) (Queue, error) {
	if g, ok := d.top.(*guard); ok {
		q, err := g.newQueue(ctx, d, depth, size)
		if !errors.Is(err, ErrNotSupported) {
			return q, err
		}
	}
	return newPoolQueue(ctx, d, depth, size)
}

// directQueue is a guard's part in the batch queue of its node. What the node can take as it is passes through, tracked like any other
// request. The rest is set aside and made by the guard itself when it is submitted, alone.
type directQueue struct {
	Queue // the node's
	ctx   context.Context
	g     *guard
	dev   *Device // at the top: it checks bounds and permission; below nil
	slots []directSlot

	aside   []int // staged, and not for the node's queue
	ready   []int // complete, and not yet reaped
	passed  int   // with the node's queue
	drained []int // room for drain
}

type directSlot struct {
	op      directOp
	off, n  int64
	tracked *tracked // while the request is with the node's queue
	aside   bool
	err     error // of what was set aside
}

type directOp uint8

const (
	directRead directOp = iota
	directWrite
	directZero
	directDiscard
	directFlush
)

var directNames = [...]string{"read", "write", "zero", "discard", "flush"}

var (
	_ Queue  = (*directQueue)(nil)
	_ Queuer = (*guard)(nil)
)

// NewQueue is the guard as the child of a node that maps its queue.
func (g *guard) NewQueue(ctx context.Context, depth, size int) (Queue, error) {
	return g.newQueue(ctx, nil, depth, size)
}

// newQueue refuses with ErrNotSupported where requests have to be looked at one by one: to trace them, to fire events, to find
// zeroes. Slots that do not fit the alignment would all be set aside, which goroutines do better.
func (g *guard) newQueue(ctx context.Context, d *Device, depth, size int) (Queue, error) {
	own, ok := g.node.(Queuer)
	if !ok || g.trace != nil || g.sink != nil || g.detectZeroes.Load() != detectOff || !g.node.Info().fits(0, int64(size)) {
		return nil, ErrNotSupported
	}
	q, err := own.NewQueue(ctx, depth, size)
	if err != nil {
		return nil, err
	}
	return &directQueue{
		Queue: q, ctx: ctx, g: g, dev: d, slots: make([]directSlot, depth),
		aside: make([]int, 0, depth), ready: make([]int, 0, depth), drained: make([]int, depth),
	}, nil
}

// fits says whether a node takes n bytes at off as they are, from memory that starts at a page.
func (l Limits) fits(off, n int64) bool {
	return off%l.requestAlign() == 0 && n%l.requestAlign() == 0 && n%max(1, l.MemAlign) == 0 && n <= l.maxTransfer()
}

// stage begins a request that goes the long way. At the top it is checked first, as the Device checks all others.
func (q *directQueue) stage(slot int, op directOp, off, n int64) {
	q.slots[slot] = directSlot{op: op, off: off, n: n, err: q.check(op, off, n)}
}

func (q *directQueue) check(op directOp, off, n int64) error {
	if q.dev == nil {
		return nil
	}
	check := q.dev.checkWrite
	if op == directRead || op == directFlush {
		check = q.dev.checkRange
	}
	return check(directNames[op], off, n)
}

// pass says whether a data request goes to the node's queue; otherwise it is set aside. A read that lies within the node needs no other
// check.
func (q *directQueue) pass(slot int, op directOp, off, n int64) bool {
	s := &q.slots[slot]
	*s = directSlot{op: op, off: off, n: n}
	lim := q.g.node.Info().Limits
	inside := off >= 0 && n > 0 && off <= lim.Size-n
	if !inside || op == directWrite {
		s.err = q.check(op, off, n)
	}
	if s.err == nil && inside && lim.fits(off, n) && (op != directWrite || q.flags(op) == 0) {
		if s.tracked, s.err = q.g.tracker.enter(q.ctx, off, n); s.err == nil {
			q.passed++
			return true
		}
	}
	q.setAside(slot)
	return false
}

// flags are those that the Device adds.
func (q *directQueue) flags(op directOp) Flags {
	if q.dev == nil || op != directWrite && op != directZero {
		return 0
	}
	return q.dev.durable(0)
}

func (q *directQueue) setAside(slot int) {
	q.slots[slot].aside = true
	q.aside = append(q.aside, slot)
}

// Read stages a read.
func (q *directQueue) Read(slot int, off int64, n int) {
	if q.pass(slot, directRead, off, int64(n)) {
		q.Queue.Read(slot, off, n)
	}
}

// Write stages a write.
func (q *directQueue) Write(slot int, off int64, n int) {
	if q.pass(slot, directWrite, off, int64(n)) {
		q.Queue.Write(slot, off, n)
	}
}

// Zero stages a zero request, which the guard makes: only it knows how where the node does not.
func (q *directQueue) Zero(slot int, off, n int64) {
	q.stage(slot, directZero, off, n)
	q.setAside(slot)
}

// Discard stages a discard, see Zero.
func (q *directQueue) Discard(slot int, off, n int64) {
	q.stage(slot, directDiscard, off, n)
	q.setAside(slot)
}

// Flush stages a flush, see Zero.
func (q *directQueue) Flush(slot int) {
	q.stage(slot, directFlush, 0, 0)
	q.setAside(slot)
}

// Submit starts what the node takes, and makes the rest. That waits for everything under way first: it may overlap it, and would wait
// for requests that only this goroutine can reap.
func (q *directQueue) Submit() error {
	if err := q.Queue.Submit(); err != nil || len(q.aside) == 0 {
		return err
	}
	for _, slot := range q.aside {
		s := &q.slots[slot]
		if s.err == nil {
			if err := q.drain(); err != nil {
				return err
			}
			s.err = q.make(slot, s)
		}
		q.ready = append(q.ready, slot)
	}
	q.aside = q.aside[:0]
	return nil
}

// make makes a request the long way.
func (q *directQueue) make(slot int, s *directSlot) error {
	if s.n == 0 && s.op != directFlush {
		return nil
	}
	f := q.flags(s.op)
	switch s.op {
	case directRead:
		return q.g.ReadVec(q.ctx, Vec{q.Buffer(slot)[:s.n]}, s.off, f)
	case directWrite:
		return q.g.WriteVec(q.ctx, Vec{q.Buffer(slot)[:s.n]}, s.off, f)
	case directZero:
		return q.g.Zero(q.ctx, s.off, s.n, f)
	case directDiscard:
		return q.g.Discard(q.ctx, s.off, s.n, f)
	default:
		return q.g.Flush(q.ctx)
	}
}

// drain completes everything that is with the node's queue.
func (q *directQueue) drain() error {
	for q.passed > 0 {
		n, err := q.Queue.Reap(q.passed, q.drained)
		if err != nil {
			return err
		}
		for _, slot := range q.drained[:n] {
			q.finish(slot)
			q.ready = append(q.ready, slot)
		}
	}
	return nil
}

// finish ends the tracking of a request that has come back from the node's queue.
func (q *directQueue) finish(slot int) {
	s := &q.slots[slot]
	q.passed--
	if s.op == directWrite {
		q.g.written.Add(1)
	}
	q.g.tracker.end(s.tracked)
}

// Reap collects what is complete.
func (q *directQueue) Reap(least int, done []int) (int, error) {
	n := copy(done, q.ready)
	q.ready = q.ready[:copy(q.ready, q.ready[n:])]
	if n == len(done) {
		return n, nil
	}
	m, err := q.Queue.Reap(max(0, least-n), done[n:])
	if err != nil {
		return n, err
	}
	for _, slot := range done[n : n+m] {
		q.finish(slot)
	}
	return n + m, nil
}

// Err is the outcome of the slot's last request. At the top it says which request that was.
func (q *directQueue) Err(slot int) error {
	s := &q.slots[slot]
	err := s.err
	if !s.aside {
		err = q.Queue.Err(slot)
	}
	if err == nil || q.dev == nil {
		return err
	}
	return q.dev.wrap(directNames[s.op], s.off, s.n, err)
}

// Close waits for what is under way, so that nobody goes on waiting for it, and closes the node's queue.
func (q *directQueue) Close() error { return errors.Join(q.drain(), q.Queue.Close()) }
