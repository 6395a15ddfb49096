package blockdev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// Queue makes a batch queue on the device: depth slots of size bytes each, owned by the goroutine
// that calls. Requests fail when ctx ends. The queue is the node's own if the whole stack lets
// requests through as they are, and one of goroutines otherwise.
func (d *Device) Queue(ctx context.Context, depth, size int) (Queue, error) {
	if g, ok := d.top.(*guard); ok {
		q, err := g.newQueue(ctx, d, depth, size)
		if !errors.Is(err, ErrNotSupported) {
			return q, err
		}
	}
	return newPoolQueue(ctx, d, depth, size)
}

// directQueue is a guard's part in the batch queue of its node. What that queue can carry passes
// through, tracked like any other request. The rest is set aside and made by the guard itself when
// it is submitted, alone.
//
// Where writes are to be durable and the node cannot see to that, they pass through all the same.
// When one has come back, all that is under way is waited for and flushed together, and only then
// are they done.
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
	drained []int // room for await

	info    Info // of the node, as long as current
	current bool // since the batch was begun
}

type directSlot struct {
	op      Op
	flags   Flags
	off, n  int64
	tracked *tracked // while the request is with the node's queue
	flushes int64    // the generation that a flush covers
	aside   bool
	durable bool  // when it is done, which takes a flush
	err     error // of what was set aside, or of that flush
}

var (
	_ Queue          = (*directQueue)(nil)
	_ driver.Carrier = (*directQueue)(nil)
	_ driver.Queuer  = (*guard)(nil)
)

// NewQueue is the guard as the child of a node that maps its queue.
func (g *guard) NewQueue(ctx context.Context, depth, size int) (Queue, error) {
	return g.newQueue(ctx, nil, depth, size)
}

// newQueue refuses with ErrNotSupported where requests have to be looked at one by one: to trace
// them, to fire events, to find zeroes. Slots that do not fit the alignment would all be set aside,
// which goroutines do better.
func (g *guard) newQueue(ctx context.Context, d *Device, depth, size int) (Queue, error) {
	own, ok := g.node.(driver.Queuer)
	if !ok || g.trace != nil || g.sink != nil || g.detectZeroes.Load() != detectOff ||
		!fits(g.node.Info().Limits, 0, int64(size)) {
		return nil, ErrNotSupported
	}
	q, err := own.NewQueue(ctx, depth, size)
	if err != nil {
		return nil, err
	}
	return &directQueue{
		Queue: q, ctx: ctx, g: g, dev: d, slots: make([]directSlot, depth),
		staged: make([]int, 0, depth), aside: make([]int, 0, depth), ready: make([]int, 0, depth),
		drained: make([]int, depth),
	}, nil
}

// fits says whether a node takes n bytes at off as they are, from memory that starts at a page.
func fits(l driver.Limits, off, n int64) bool {
	align := requestAlign(l)
	return (off|n)&(align-1)|n&(max(1, l.MemAlign)-1) == 0 && n <= longest(l)
}

// Stage passes the gate of the Device, at the top. What the node's queue takes as it is goes there.
// The rest is set aside: only the guard knows how to make it.
func (q *directQueue) Stage(slot int, op Op, off, n int64, flags uint32) {
	if !q.current {
		q.info, q.current = q.g.node.Info(), true
	}
	s := &q.slots[slot]
	*s = directSlot{op: op, off: off, n: n, flags: Flags(flags)}
	if s.err = stageable(q.Queue, slot, op, n); s.err == nil && q.dev != nil {
		s.err = q.dev.enterAs(q.info, op, off, n)
		s.flags = q.dev.promised(op, s.flags)
	}
	if f, ok := q.carried(s); ok && s.err == nil {
		s.durable = s.flags&FUA&^f != 0
		s.flags = f
		q.staged = append(q.staged, slot)
		return
	}
	q.setAside(slot)
}

// stageable refuses what a slot cannot carry.
func stageable(q Queue, slot int, op Op, n int64) error {
	switch {
	case op > OpFlush:
		return fmt.Errorf("operation %d in a queue: %w", op, ErrNotSupported)
	case op <= OpWrite && (n < 0 || n > int64(len(q.Buffer(slot)))):
		return fmt.Errorf("%d bytes in a slot of %d: %w", n, len(q.Buffer(slot)), syscall.EINVAL)
	}
	return nil
}

// carried says whether the node's queue takes a request as it is, and with which flags. FUA that is
// not among them is left to a flush, where others may share it: a lone request is made sooner by
// the guard.
func (q *directQueue) carried(s *directSlot) (f Flags, ok bool) {
	f = s.flags
	later := FUA
	if q.Depth() == 1 {
		later = 0
	}
	switch s.op {
	case OpRead, OpWrite:
		f &^= later &^ q.info.WriteTakes
		ok = q.passes(s.off, s.n) && f&^q.info.WriteTakes == 0
	case OpZero:
		if !q.g.unmap.Load() {
			f &^= MayUnmap
		}
		f &^= later &^ q.info.ZeroTakes
		ok = inUnits(q.info.Limits, s.off, s.n, q.info.ZeroAlign, q.info.MaxZero) &&
			f&^(q.info.ZeroTakes|MayUnmap) == 0
		f &= q.info.ZeroTakes
	case OpDiscard:
		ok = q.g.unmap.Load() &&
			inUnits(q.info.Limits, s.off, s.n, q.info.DiscardAlign, q.info.MaxDiscard)
	case OpFlush:
		ok = q.g.node.Primary() == nil && !q.g.noFlush.Load()
	}
	return f, ok && driver.Carries(q.Queue, s.op, s.off, f)
}

// Carries is for the guard of the node above.
func (q *directQueue) Carries(op Op, off int64, f Flags) bool {
	return driver.Carries(q.Queue, op, off, f)
}

// passes says whether the node takes a range of data as it is.
func (q *directQueue) passes(off, n int64) bool {
	return inside(q.info.Limits, off, n) && fits(q.info.Limits, off, n)
}

// inUnits says whether a range without data is made of whole units of align and at most limit bytes
// long.
func inUnits(l driver.Limits, off, n, align, limit int64) bool {
	align = max(align, requestAlign(l))
	return inside(l, off, n) && off%align == 0 && n%align == 0 && (limit == 0 || n <= limit)
}

// inside says whether a range is within the node, no part of which is lost.
func inside(l driver.Limits, off, n int64) bool {
	return off >= 0 && n > 0 && off <= l.Size-n && l.LostEnd == 0
}

// start tracks what was staged for the node's queue, and stages it there. What cannot be tracked
// because the context has ended is set aside with that error.
func (q *directQueue) start() {
	t := &q.g.tracker
	t.mu.Lock()
	for _, slot := range q.staged {
		q.track(&q.slots[slot])
	}
	t.mu.Unlock()
	for _, slot := range q.staged {
		s := &q.slots[slot]
		if s.err != nil {
			q.setAside(slot)
			continue
		}
		q.Queue.Stage(slot, s.op, s.off, s.n, uint32(s.flags))
		q.passed++
	}
	q.staged, q.current = q.staged[:0], false
}

// track is called with the lock of the tracker held.
func (q *directQueue) track(s *directSlot) {
	t := &q.g.tracker
	off, n := s.off, s.n
	if s.op == OpFlush {
		off, n = controlOff, controlEnd-controlOff
		s.flushes = q.g.written.Load()
	}
	if s.tracked, s.err = t.enterLocked(q.ctx, off, n); s.err != nil {
		return
	}
	s.tracked.Of.queued = true
	if !opRules[s.op].changes {
		return
	}
	if s.err = q.g.checkWritable(); s.err != nil {
		t.remove(s.tracked)
	}
}

func (q *directQueue) setAside(slot int) {
	q.slots[slot].aside = true
	q.aside = append(q.aside, slot)
}

// Submit starts what the node takes, and makes the rest. That waits for everything under way first:
// it may overlap it, and would wait for requests that only this goroutine can reap.
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
	if s.n == 0 && s.op != OpFlush {
		return nil
	}
	switch s.op {
	case OpRead:
		return q.g.ReadVec(q.ctx, Vec{q.Buffer(slot)[:s.n]}, s.off, s.flags)
	case OpWrite:
		return q.g.WriteVec(q.ctx, Vec{q.Buffer(slot)[:s.n]}, s.off, s.flags)
	case OpZero:
		return q.g.Zero(q.ctx, s.off, s.n, s.flags)
	case OpDiscard:
		return q.g.Discard(q.ctx, s.off, s.n, s.flags)
	default:
		return q.g.Flush(q.ctx)
	}
}

// drain completes everything that is with the node's queue.
func (q *directQueue) drain() error {
	before := len(q.ready)
	if err := q.await(0); err != nil {
		return err
	}
	return q.finish(q.ready[before:])
}

// await makes ready what is with the node's queue, but for so many requests that came back before.
// They are not finished.
func (q *directQueue) await(back int) error {
	for under := q.passed - back; under > 0; {
		n, err := q.Queue.Reap(under, q.drained)
		if err != nil {
			return err
		}
		q.ready = append(q.ready, q.drained[:n]...)
		under -= n
	}
	return nil
}

// finish ends requests that have come back from the node's queue. What is to be durable is flushed
// once nothing is under way any more: a flush may wait for somebody who waits for that, and only
// this goroutine can reap it.
func (q *directQueue) finish(slots []int) error {
	if !slices.ContainsFunc(slots, q.owesFlush) {
		q.count(slots)
		q.leave(slots)
		return nil
	}
	before := len(q.ready)
	if err := q.await(len(slots)); err != nil {
		return err
	}
	rest := q.ready[before:]
	protocol := q.g.node.Primary() == nil // see wrote
	if protocol {
		q.count(slots)
		q.count(rest)
	}
	if err := q.g.flush(q.ctx); err != nil {
		q.undurable(slots, err)
		q.undurable(rest, err)
	}
	if !protocol {
		q.count(slots)
		q.count(rest)
	}
	q.leave(slots)
	q.leave(rest)
	return nil
}

// owesFlush says that a request was done but for the flush that it takes.
func (q *directQueue) owesFlush(slot int) bool {
	return q.slots[slot].durable && q.Queue.Err(slot) == nil
}

// undurable fails the requests whose flush failed.
func (q *directQueue) undurable(slots []int, err error) {
	for _, slot := range slots {
		if q.owesFlush(slot) {
			q.slots[slot].err = err
		}
	}
}

// count counts the changes that requests have made, and what their flushes covered.
func (q *directQueue) count(slots []int) {
	writes := int64(0)
	for _, slot := range slots {
		switch s := &q.slots[slot]; {
		case opRules[s.op].changes:
			writes++
		case s.op == OpFlush && q.Queue.Err(slot) == nil:
			q.g.flushedAt.Store(max(s.flushes, q.g.flushedAt.Load()))
		}
	}
	if writes > 0 {
		q.g.written.Add(writes)
	}
}

// leave ends the tracking of requests.
func (q *directQueue) leave(slots []int) {
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
	return n + m, q.finish(done[n : n+m])
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
	return n, errors.Join(err, q.finish(done[:n]))
}

// Err is the outcome of the slot's last request. At the top it says which request that was.
func (q *directQueue) Err(slot int) error {
	s := &q.slots[slot]
	err := s.err
	if err == nil && !s.aside {
		err = q.Queue.Err(slot)
	}
	if err == nil || q.dev == nil {
		return err
	}
	return q.dev.wrap(s.op, s.off, s.n, err)
}

// Close waits for what is under way, so that nobody goes on waiting for it, and closes the node's
// queue.
func (q *directQueue) Close() error { return errors.Join(q.drain(), q.Queue.Close()) }
