package hostfile

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/arena"
	"github.com/blksh/blksh/blockdev/internal/engine"
)

// Node is the driver on top of a File. A queue leaves to it what is not plain reading and writing.
type Node interface {
	driver.Node
	// Wrote is told of each write that was done past the node's own methods.
	Wrote(end int64)
}

// BatchQueue makes a batch queue for n, which embeds f: a ring, but plain calls for a file in
// memory. There a call never waits, while the kernel gives each request of a ring to a thread of
// its own, for such files cannot promise that they will not wait: at a depth of 1 that is half as
// many reads of 4 KiB a second, and at any depth twice the processor time (measured on tmpfs, Linux
// 6.18). Who asks for a ring by name gets it even so. ENOTSUP leaves the requests to goroutines:
// there is no ring to be had, or threads were asked for.
func (f *File) BatchQueue(ctx context.Context, n Node, depth, size int) (driver.Queue, error) {
	switch {
	case depth > maxDepth || f.options.aio() == "threads":
		return nil, driver.ErrNotSupported
	case f.options.AIO == nil && f.inMemory():
		return f.plainQueue(ctx, n, depth, size)
	}
	return f.ringQueue(ctx, n, depth, size)
}

// maxDepth is the most slots that a ring is made for.
const maxDepth = 4096

// inMemory says whether the file has no other storage than memory.
func (f *File) inMemory() bool {
	var st unix.Statfs_t
	err := f.With(func(fd int) error { return unix.Fstatfs(fd, &st) })
	return err == nil && (int64(st.Type) == unix.TMPFS_MAGIC || int64(st.Type) == unix.RAMFS_MAGIC)
}

// plainQueue is a batch queue that makes requests one after the other, by plain calls, as they are
// submitted.
type plainQueue struct {
	ctx   context.Context
	node  Node
	file  *File
	d     *descriptor
	mem   *arena.Arena
	slots []queued
	plain []int // staged for plain calls
	ready []int // complete, not yet reaped
}

// queued is the request of a slot.
type queued struct {
	op    driver.Op
	flags driver.Flags
	vec   driver.Vec // of data, in one piece
	off   int64
	n     int64
	err   error
}

var _ driver.Queue = (*plainQueue)(nil)

func (f *File) plainQueue(ctx context.Context, n Node, depth, size int) (*plainQueue, error) {
	d, err := f.acquire()
	if err != nil {
		return nil, err
	}
	mem, err := arena.New(depth, size)
	if err != nil {
		_ = f.release(d) // nothing was written by it
		return nil, err
	}
	q := &plainQueue{
		ctx: ctx, node: n, file: f, d: d, mem: mem, slots: make([]queued, depth),
		plain: make([]int, 0, depth), ready: make([]int, 0, depth),
	}
	for i := range q.slots {
		q.slots[i].vec = make(driver.Vec, 1)
	}
	return q, nil
}

// Depth is the number of slots.
func (q *plainQueue) Depth() int { return len(q.slots) }

// Buffer is the slot's memory.
func (q *plainQueue) Buffer(slot int) []byte { return q.mem.Slot(slot) }

// Stage prepares a request.
func (q *plainQueue) Stage(slot int, op driver.Op, off, n int64, flags uint32) {
	s := &q.slots[slot]
	s.op, s.off, s.n, s.flags, s.err = op, off, n, driver.Flags(flags), nil
	q.plain = append(q.plain, slot)
}

// make makes a request by a plain call.
func (q *plainQueue) make(slot int, s *queued) error {
	switch s.op {
	case driver.OpRead:
		s.vec[0] = q.mem.Slot(slot)[:s.n]
		return q.file.read(q.ctx, q.file.port, q.d, s.vec, s.off)
	case driver.OpWrite:
		s.vec[0] = q.mem.Slot(slot)[:s.n]
		err := engine.Write(q.ctx, q.file.port, q.d.fd, s.vec, s.off, q.d.align)
		if err == nil {
			q.node.Wrote(s.off + s.n)
		}
		return err
	case driver.OpZero:
		return q.node.Zero(q.ctx, s.off, s.n, s.flags)
	case driver.OpDiscard:
		return q.node.Discard(q.ctx, s.off, s.n, s.flags)
	default:
		return q.node.Flush(q.ctx)
	}
}

// Submit makes what was staged. Once the context has ended, nothing more is started.
func (q *plainQueue) Submit() error {
	for _, slot := range q.plain {
		s := &q.slots[slot]
		if q.ctx.Err() != nil {
			s.err = context.Cause(q.ctx)
		} else {
			s.err = q.make(slot, s)
		}
		q.ready = append(q.ready, slot)
	}
	q.plain = q.plain[:0]
	return nil
}

// Reap collects what was submitted: all of it is complete.
func (q *plainQueue) Reap(_ int, done []int) (int, error) {
	n := copy(done, q.ready)
	q.ready = q.ready[:copy(q.ready, q.ready[n:])]
	return n, nil
}

// SubmitAndReap is both in turn.
func (q *plainQueue) SubmitAndReap(least int, done []int) (int, error) {
	if err := q.Submit(); err != nil {
		return 0, err
	}
	return q.Reap(least, done)
}

// Err is the outcome of the slot's last request.
func (q *plainQueue) Err(slot int) error { return q.slots[slot].err }

// Close gives the memory back.
func (q *plainQueue) Close() error {
	q.mem.Free()
	return q.file.release(q.d)
}
