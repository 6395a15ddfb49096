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

	staged  []int // for the node's queue
	aside   []int // staged, and not for the node's queue
	ready   []int // complete, and not yet reaped
	passed  int   // with the node's queue
	drained []int // room for drain

	limits  Limits // of the node, as long as current
	current bool   // since the batch was begun
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
		staged: make([]int, 0, depth), aside: make([]int, 0, depth), ready: make([]int, 0, depth), drained: make([]int, depth),
	}, nil
}

// fits says whether a node takes n bytes at off as they are, from memory that starts at a page.
func (l Limits) fits(off, n int64) bool {
	align := l.requestAlign()
	return (off|n)&(align-1)|n&(max(1, l.MemAlign)-1) == 0 && n <= l.longest()
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

// stageData begins a read or a write. It goes to the node's queue if the node takes it as it is, and is set aside otherwise.
func (q *directQueue) stageData(slot int, op directOp, off, n int64) {
	s := &q.slots[slot]
	s.op, s.off, s.n, s.aside, s.err = op, off, n, false, nil
	if !q.current {
		q.limits, q.current = q.g.node.Info().Limits, true
	}
	inside := off >= 0 && n > 0 && off <= q.limits.Size-n
	if !inside || op == directWrite {
		s.err = q.check(op, off, n)
	}
	if s.err == nil && inside && q.limits.fits(off, n) && q.flags(op) == 0 {
		q.staged = append(q.staged, slot)
		return
	}
	q.setAside(slot)
}

// start tracks what was staged for the node's queue, and stages it there. What cannot be tracked because the context has ended is set aside
// with that error.
func (q *directQueue) start() {
	t := &q.g.tracker
	t.mu.Lock()
	for _, slot := range q.staged {
		s := &q.slots[slot]
		s.tracked, s.err = t.enterLocked(q.ctx, s.off, s.n)
	}
	t.mu.Unlock()
	for _, slot := range q.staged {
		s := &q.slots[slot]
		switch {
		case s.err != nil:
			q.setAside(slot)
			continue
		case s.op == directWrite:
			q.Queue.Write(slot, s.off, int(s.n))
		default:
			q.Queue.Read(slot, s.off, int(s.n))
		}
		q.passed++
	}
	q.staged, q.current = q.staged[:0], false
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
func (q *directQueue) Read(slot int, off int64, n int) { q.stageData(slot, directRead, off, int64(n)) }

// Write stages a write.
func (q *directQueue) Write(slot int, off int64, n int) {
	q.stageData(slot, directWrite, off, int64(n))
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
	q.start()
	if err := q.Queue.Submit(); err != nil {
		return err
	}
	return q.makeAside()
}

// makeAside makes what was set aside.
func (q *directQueue) makeAside() error {
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
		q.finish(q.drained[:n])
		q.ready = append(q.ready, q.drained[:n]...)
	}
	return nil
}

// finish ends the tracking of requests that have come back from the node's queue.
func (q *directQueue) finish(slots []int) {
	writes := int64(0)
	for _, slot := range slots {
		if q.slots[slot].op == directWrite {
			writes++
		}
	}
	if writes > 0 {
		q.g.written.Add(writes)
	}
	t := &q.g.tracker
	t.mu.Lock()
	for _, slot := range slots {
		t.remove(q.slots[slot].tracked)
	}
	t.mu.Unlock()
	q.passed -= len(slots)
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
	q.finish(done[n : n+m])
	return n + m, nil
}

// SubmitAndReap leaves both to the node's queue where nothing else is to be done.
func (q *directQueue) SubmitAndReap(least int, done []int) (int, error) {
	q.start()
	if len(q.aside) > 0 || len(q.ready) > 0 {
		if err := q.Submit(); err != nil {
			return 0, err
		}
		return q.Reap(least, done)
	}
	n, err := q.Queue.SubmitAndReap(least, done)
	q.finish(done[:n])
	return n, err
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
