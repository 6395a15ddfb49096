package hostfile

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/internal/arena"
	"github.com/blksh/blksh/blockdev/internal/engine"
	"github.com/blksh/blksh/blockdev/internal/uring"
)

// Node is the driver on top of a File. A queue leaves to it what a ring is no better at.
type Node interface {
	blockdev.Node
	// Wrote is told of each write that was done past the node's own methods.
	Wrote(end int64)
}

// ringQueue is a batch queue on an io_uring of its own. Reads and writes go through the ring; the rest is rare, and made by plain calls
// when it is submitted.
type ringQueue struct {
	ctx  context.Context
	node Node
	file *File
	d    *descriptor
	ring *uring.Ring
	mem  *arena.Arena
	// fixedMem and fixedFile: the kernel knows the slots' memory, the descriptor.
	fixedMem, fixedFile bool
	maxBatch            int

	slots    []queued
	staged   []int // for the ring
	plain    []int // for plain calls
	ready    []int // complete, not yet reaped
	underWay int   // on the ring
}

// queued is the request of a slot.
type queued struct {
	op  uint8 // of the ring
	do  func(q *ringQueue, s *queued) error
	off int64
	n   int64
	err error
}

var _ blockdev.Queue = (*ringQueue)(nil)

// maxDepth is the most slots that a ring is made for.
const maxDepth = 4096

// RingQueue makes a batch queue for n, which embeds f. Its goroutine stays on one thread until the queue is closed: the fastest rings take
// requests from one thread only.
func (f *File) RingQueue(ctx context.Context, n Node, depth, size int) (blockdev.Queue, error) {
	if depth > maxDepth || f.values.String("aio") == "threads" {
		return nil, blockdev.ErrNotSupported
	}
	runtime.LockOSThread()
	ring, err := uring.New(depth, uring.Owned)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("%w: %w", blockdev.ErrNotSupported, err)
	}
	mem, err := arena.New(depth, size)
	if err != nil {
		err = errors.Join(err, ring.Close())
		runtime.UnlockOSThread()
		return nil, err
	}
	q := &ringQueue{
		ctx: ctx, node: n, file: f, d: f.acquire(), ring: ring, mem: mem, slots: make([]queued, depth),
		staged: make([]int, 0, depth), plain: make([]int, 0, depth), ready: make([]int, 0, depth),
		maxBatch: int(min(max(0, f.values.Int("aio-max-batch")), maxDepth)),
	}
	q.register()
	return q, nil
}

// register tells the kernel what it will be working with, which spares it work at each request. It may refuse: there is a limit to the
// memory that a user may lock.
func (q *ringQueue) register() {
	bufs := make([][]byte, len(q.slots))
	for i := range bufs {
		bufs[i] = q.mem.Slot(i)
	}
	q.fixedMem = q.ring.RegisterBuffers(bufs) == nil
	q.fixedFile = q.ring.RegisterFile(q.d.fd) == nil
}

// Depth is the number of slots.
func (q *ringQueue) Depth() int { return len(q.slots) }

// Buffer is the slot's memory.
func (q *ringQueue) Buffer(slot int) []byte { return q.mem.Slot(slot) }

// Read stages a read.
func (q *ringQueue) Read(slot int, off int64, n int) { q.stage(slot, uring.OpRead, off, n) }

// Write stages a write.
func (q *ringQueue) Write(slot int, off int64, n int) { q.stage(slot, uring.OpWrite, off, n) }

func (q *ringQueue) stage(slot int, op uint8, off int64, n int) {
	q.slots[slot] = queued{op: op, off: off, n: int64(n)}
	q.staged = append(q.staged, slot)
}

func (q *ringQueue) stagePlain(slot int, off, n int64, do func(*ringQueue, *queued) error) {
	q.slots[slot] = queued{off: off, n: n, do: do}
	q.plain = append(q.plain, slot)
}

// Zero stages a zero request.
func (q *ringQueue) Zero(slot int, off, n int64) {
	q.stagePlain(slot, off, n, func(q *ringQueue, s *queued) error { return q.node.Zero(q.ctx, s.off, s.n, 0) })
}

// Discard stages a discard.
func (q *ringQueue) Discard(slot int, off, n int64) {
	q.stagePlain(slot, off, n, func(q *ringQueue, s *queued) error { return q.node.Discard(q.ctx, s.off, s.n, 0) })
}

// Flush stages a flush.
func (q *ringQueue) Flush(slot int) {
	q.stagePlain(slot, 0, 0, func(q *ringQueue, _ *queued) error { return q.node.Flush(q.ctx) })
}

// Submit puts what was staged on the ring, and makes the plain calls. Once the context has ended, nothing more is started.
func (q *ringQueue) Submit() error {
	if q.ctx.Err() != nil {
		q.refuse(context.Cause(q.ctx))
		return nil
	}
	for i, slot := range q.staged {
		q.fill(q.ring.Next(), slot) // there is an entry for each slot
		if q.maxBatch > 0 && (i+1)%q.maxBatch == 0 {
			if err := q.ring.Submit(); err != nil {
				return err
			}
		}
	}
	if err := q.ring.Submit(); err != nil {
		return err
	}
	q.underWay += len(q.staged)
	q.staged = q.staged[:0]
	for _, slot := range q.plain {
		s := &q.slots[slot]
		s.err = s.do(q, s)
		q.ready = append(q.ready, slot)
	}
	q.plain = q.plain[:0]
	return nil
}

// refuse completes everything staged with err.
func (q *ringQueue) refuse(err error) {
	for _, list := range []*[]int{&q.staged, &q.plain} {
		for _, slot := range *list {
			q.slots[slot].err = err
			q.ready = append(q.ready, slot)
		}
		*list = (*list)[:0]
	}
}

func (q *ringQueue) fill(e *uring.SQE, slot int) {
	s := &q.slots[slot]
	e.Op, e.FD, e.Off, e.Len, e.UserData = s.op, int32(q.d.fd), uint64(s.off), uint32(s.n), uint64(slot)
	e.Addr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(q.mem.Slot(slot)))))
	if q.fixedFile {
		e.FD, e.Flags = 0, uring.FixedFile
	}
	if q.fixedMem {
		e.Op, e.BufIndex = fixedOp[s.op], uint16(slot)
	}
}

var fixedOp = [...]uint8{uring.OpRead: uring.OpReadFixed, uring.OpWrite: uring.OpWriteFixed}

// Reap collects completions, first those that are there without a system call.
func (q *ringQueue) Reap(least int, done []int) (int, error) {
	least = min(least, len(done), q.underWay+len(q.ready))
	q.collect()
	if len(q.ready) < least {
		if err := q.ring.Wait(uint32(least - len(q.ready))); err != nil {
			return 0, err
		}
		q.collect()
	} else if least == 0 && q.underWay > 0 && len(q.ready) == 0 {
		if err := q.ring.Poll(); err != nil {
			return 0, err
		}
		q.collect()
	}
	n := copy(done, q.ready)
	q.ready = q.ready[:copy(q.ready, q.ready[n:])]
	return n, nil
}

func (q *ringQueue) collect() {
	for {
		c, ok := q.ring.Completion()
		if !ok {
			return
		}
		slot := int(c.UserData)
		s := &q.slots[slot]
		s.err = q.finish(s, q.mem.Slot(slot), c.Res)
		q.underWay--
		q.ready = append(q.ready, slot)
	}
}

// finish turns the result of a transfer into the outcome of its request. One that was cut short is brought to its end by plain calls,
// which know how.
func (q *ringQueue) finish(s *queued, buf []byte, res int32) error {
	moved := max(0, int64(res))
	if no := unix.Errno(-res); res < 0 && no != unix.EINTR && no != unix.EAGAIN {
		return no
	}
	if moved < s.n {
		moved -= moved % q.d.align
		rest := blockdev.Vec{buf[moved:s.n]}
		transfer := engine.Read
		if s.op == uring.OpWrite {
			transfer = engine.Write
		}
		if err := transfer(q.ctx, engine.Sync{}, q.d.fd, rest, s.off+moved, q.d.align); err != nil {
			return err
		}
	}
	if s.op == uring.OpWrite {
		q.node.Wrote(s.off + s.n)
	}
	return nil
}

// Err is the outcome of the slot's last request.
func (q *ringQueue) Err(slot int) error { return q.slots[slot].err }

// Close waits for what is on the ring, since the kernel works on memory that is freed here.
func (q *ringQueue) Close() error {
	var err error
	for q.underWay > 0 && err == nil {
		err = q.ring.Wait(1)
		q.collect()
	}
	if err != nil {
		return err // the memory is left alone: the kernel may still use it
	}
	err = q.ring.Close()
	q.mem.Free()
	q.file.release(q.d)
	runtime.UnlockOSThread()
	return err
}
