package blockdev

import (
	"context"
	"fmt"
	"sync"
	"syscall"

	"github.com/blksh/blksh/blockdev/internal/arena"
	"github.com/blksh/blksh/blockdev/wait"
)

// poolQueue is the queue of what has none of its own: goroutines that make the requests as a caller
// would. Memory, slots and goroutines are made once; what is handed over is a whole batch at a
// time.
type poolQueue struct {
	ctx   context.Context
	dev   *Device
	mem   *arena.Arena
	meter *wait.Meter
	slots []poolSlot
	// staged is the owner's: what Submit will start.
	staged  []int
	workers sync.WaitGroup

	mu       sync.Mutex
	todo     fifo
	finished fifo
	running  int // submitted and not yet finished
	wanted   int // the owner waits for so many to be finished; 0 if it does not wait
	closed   bool
	work     sync.Cond // something in todo, or closed
	reap     sync.Cond // wanted are finished
}

type poolSlot struct {
	op    Op
	flags Flags
	buf   []byte
	vec   Vec // of one piece
	off   int64
	n     int64
	err   error
}

// fifo is a queue of slot numbers in memory that is made once.
type fifo struct {
	ring       []int
	head, size int
}

func (f *fifo) push(i int) {
	f.ring[(f.head+f.size)%len(f.ring)] = i
	f.size++
}

func (f *fifo) pop() int {
	i := f.ring[f.head]
	f.head = (f.head + 1) % len(f.ring)
	f.size--
	return i
}

// maxPoolWorkers limits the goroutines of one queue. More requests than that wait for their turn.
const maxPoolWorkers = 128

func newPoolQueue(ctx context.Context, d *Device, depth, size int) (*poolQueue, error) {
	mem, err := arena.New(depth, size)
	if err != nil {
		return nil, err
	}
	q := &poolQueue{
		ctx: ctx, dev: d, mem: mem, meter: wait.MeterOf(ctx), slots: make([]poolSlot, depth),
		staged: make([]int, 0, depth),
		todo:   fifo{ring: make([]int, depth)}, finished: fifo{ring: make([]int, depth)},
	}
	q.work.L, q.reap.L = &q.mu, &q.mu
	for i := range q.slots {
		q.slots[i] = poolSlot{buf: mem.Slot(i), vec: make(Vec, 1)}
	}
	for i := 0; depth > 1 && i < min(depth, maxPoolWorkers); i++ {
		q.workers.Go(q.serve)
	}
	return q, nil
}

// serve makes requests until the queue is closed.
func (q *poolQueue) serve() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for q.todo.size == 0 {
			if q.closed {
				return
			}
			q.work.Wait()
		}
		i := q.todo.pop()
		q.mu.Unlock()
		q.make(&q.slots[i])
		q.mu.Lock()
		q.finish(i)
	}
}

// finish is called with the lock held. An owner that it wakes counts as running before the worker
// stops counting.
func (q *poolQueue) finish(i int) {
	q.finished.push(i)
	q.running--
	if q.wanted > 0 && q.finished.size >= q.wanted {
		q.wanted = 0
		q.meter.Add(1)
		q.reap.Signal()
	}
	q.meter.Add(-1)
}

// Depth is the number of slots.
func (q *poolQueue) Depth() int { return len(q.slots) }

// Buffer is the slot's memory.
func (q *poolQueue) Buffer(slot int) []byte { return q.slots[slot].buf }

// Stage prepares the request. The Device checks it when it is made.
func (q *poolQueue) Stage(slot int, op Op, off, n int64, flags uint32) {
	s := &q.slots[slot]
	s.op, s.off, s.n, s.flags = op, off, n, Flags(flags)
	if s.err = stageable(q, slot, op, n); s.err == nil && op <= OpWrite {
		s.vec[0] = s.buf[:n:n]
	}
	q.staged = append(q.staged, slot)
}

// make makes the request of a slot, unless it was refused when it was staged.
func (q *poolQueue) make(s *poolSlot) {
	if s.err != nil {
		return
	}
	switch s.op {
	case OpRead:
		s.err = q.dev.Read(q.ctx, s.vec, s.off, s.flags)
	case OpWrite:
		s.err = q.dev.Write(q.ctx, s.vec, s.off, s.flags)
	case OpZero:
		s.err = q.dev.Zero(q.ctx, s.off, s.n, s.flags)
	case OpDiscard:
		s.err = q.dev.Discard(q.ctx, s.off, s.n)
	default:
		s.err = q.dev.Flush(q.ctx)
	}
}

// Submit hands everything staged to the goroutines, if there are any.
func (q *poolQueue) Submit() error {
	if len(q.staged) == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return fmt.Errorf("submit to a queue that is closed: %w", syscall.EBADF)
	}
	if len(q.slots) == 1 {
		q.makeAlone()
		q.staged = q.staged[:0]
		return nil
	}
	for _, i := range q.staged {
		q.todo.push(i)
	}
	q.running += len(q.staged)
	q.meter.Add(len(q.staged))
	if len(q.staged) == 1 {
		q.work.Signal()
	} else {
		q.work.Broadcast()
	}
	q.staged = q.staged[:0]
	return nil
}

// makeAlone makes the request of a queue that has only one: its owner could do nothing but wait for
// it. It is called with the lock held.
func (q *poolQueue) makeAlone() {
	q.mu.Unlock()
	q.make(&q.slots[0])
	q.mu.Lock()
	q.finished.push(0)
}

// Reap collects what is finished. It never waits for more than is under way, nor for more than done
// can take.
func (q *poolQueue) Reap(least int, done []int) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	least = min(least, len(done), q.running+q.finished.size)
	if q.finished.size < least {
		q.wanted = least
		q.meter.Add(-1)
		for q.wanted > 0 {
			q.reap.Wait()
		}
	}
	n := 0
	for n < len(done) && q.finished.size > 0 {
		done[n] = q.finished.pop()
		n++
	}
	return n, nil
}

// SubmitAndReap is both in turn.
func (q *poolQueue) SubmitAndReap(least int, done []int) (int, error) {
	if err := q.Submit(); err != nil {
		return 0, err
	}
	return q.Reap(least, done)
}

// Err is the outcome of the slot's last request.
func (q *poolQueue) Err(slot int) error { return q.slots[slot].err }

// Close waits for what was submitted, ends the goroutines and frees the memory.
func (q *poolQueue) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	q.work.Broadcast()
	q.mu.Unlock()
	q.workers.Wait() // they leave when nothing is left to do
	q.mem.Free()
	return nil
}
