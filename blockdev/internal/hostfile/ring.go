package hostfile

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/engine"
	"github.com/blksh/blksh/blockdev/internal/uring"
)

// ringQueue is a batch queue on an io_uring of its own. Reads and writes go through the ring; the
// rest is rare, and made by plain calls when it is submitted.
type ringQueue struct {
	*plainQueue
	ring *uring.Ring
	// fixedMem and fixedFile: the kernel knows the slots' memory, the descriptor.
	fixedMem, fixedFile bool
	portion             int // requests handed over at once

	staged []int // for the ring
	bytes  int64 // of what is staged for the ring
}

var _ driver.Queue = (*ringQueue)(nil)

// ringQueue makes a queue whose goroutine stays on one thread until it is closed: the fastest rings
// take requests from one thread only.
func (f *File) ringQueue(ctx context.Context, n Node, depth, size int) (driver.Queue, error) {
	runtime.LockOSThread()
	ring, err := uring.New(depth, uring.Owned)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("%w: %w", driver.ErrNotSupported, err)
	}
	plain, err := f.plainQueue(ctx, n, depth, size)
	if err != nil {
		err = errors.Join(err, ring.Close())
		runtime.UnlockOSThread()
		return nil, err
	}
	q := &ringQueue{
		plainQueue: plain, ring: ring, staged: make([]int, 0, depth),
		portion: portion(f.options.AIOMaxBatch, plain.d.direct),
	}
	q.register()
	return q, nil
}

// diskPortion is how many requests a disk is given at once. It has nothing to do until it gets the
// first of a batch, and the processor has nothing to do after the last. In fours, a disk did a
// fifth more reads of 4 KiB at depths of 32 and 64 than with all at once, and as many at 128, for
// the same processor time (measured on virtio, Linux 6.18).
const diskPortion = 4

// portion is how many requests to hand over at once: what the user says, else all that are meant
// for the page cache.
func portion(asked int64, direct bool) int {
	switch {
	case asked > 0:
		return int(min(asked, maxDepth))
	case direct:
		return diskPortion
	}
	return maxDepth
}

// register tells the kernel what it will be working with, which spares it work at each request. It
// may refuse: there is a limit to the memory that a user may lock.
func (q *ringQueue) register() {
	bufs := make([][]byte, len(q.slots))
	for i := range bufs {
		bufs[i] = q.mem.Slot(i)
	}
	q.fixedMem = q.ring.RegisterBuffers(bufs) == nil
	q.fixedFile = q.ring.RegisterFile(q.d.fd) == nil
}

// Stage prepares a request: for the ring what moves data, for a plain call the rest.
func (q *ringQueue) Stage(slot int, op driver.Op, off, n int64, flags uint32) {
	if op > driver.OpWrite {
		q.plainQueue.Stage(slot, op, off, n, flags)
		return
	}
	s := &q.slots[slot]
	s.op, s.off, s.n, s.err = op, off, n, nil
	q.staged = append(q.staged, slot)
	q.bytes += s.n
}

// Submit puts what was staged on the ring, and makes the plain calls. Once the context has ended,
// nothing more is started.
func (q *ringQueue) Submit() error {
	if q.ctx.Err() != nil {
		q.refuse(context.Cause(q.ctx))
	}
	q.fill()
	if err := q.ring.Submit(); err != nil {
		return err
	}
	q.staged, q.bytes = q.staged[:0], 0
	return q.plainQueue.Submit()
}

// refuse completes with err what was staged for the ring.
func (q *ringQueue) refuse(err error) {
	for _, slot := range q.staged {
		q.slots[slot].err = err
		q.ready = append(q.ready, slot)
	}
	q.staged, q.bytes = q.staged[:0], 0
}

// fill puts what was staged on the ring, and hands over each full portion.
func (q *ringQueue) fill() {
	for i, slot := range q.staged {
		if i > 0 && i%q.portion == 0 {
			q.ring.Push()
		}
		q.entry(q.ring.Next(), slot) // there is an entry for each slot
	}
}

func (q *ringQueue) entry(e *uring.SQE, slot int) {
	s := &q.slots[slot]
	e.Op, e.FD, e.Off, e.Len, e.UserData = ringOp[s.op], int32(q.d.fd), uint64(s.off), uint32(s.n),
		uint64(slot)
	e.Addr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(q.mem.Slot(slot)))))
	if q.fixedFile {
		e.FD, e.Flags = 0, uring.FixedFile
	}
	if q.fixedMem {
		e.Op, e.BufIndex = fixedOp[s.op], uint16(slot)
	}
}

var (
	ringOp  = [...]uint8{driver.OpRead: uring.OpRead, driver.OpWrite: uring.OpWrite}
	fixedOp = [...]uint8{driver.OpRead: uring.OpReadFixed, driver.OpWrite: uring.OpWriteFixed}
)

// Reap collects completions, first those that are there without a system call.
func (q *ringQueue) Reap(least int, done []int) (int, error) {
	least = min(least, len(done), q.ring.UnderWay()+len(q.ready))
	q.collect()
	if len(q.ready) < least {
		if err := q.ring.Wait(uint32(least - len(q.ready))); err != nil {
			return 0, err
		}
		q.collect()
	} else if least == 0 && q.ring.UnderWay() > 0 && len(q.ready) == 0 {
		if err := q.ring.Poll(); err != nil {
			return 0, err
		}
		q.collect()
	}
	return q.plainQueue.Reap(least, done)
}

// briefBytes is the most data in a batch that SubmitAndReap takes for quickly done, should all of
// it come out of the page cache.
const briefBytes = 1 << 20

// SubmitAndReap turns the ring round, unless there is more to be done than that.
func (q *ringQueue) SubmitAndReap(least int, done []int) (int, error) {
	if len(q.plain)+len(q.ready) > 0 || q.bytes > briefBytes || q.ctx.Err() != nil {
		if err := q.Submit(); err != nil {
			return 0, err
		}
		return q.Reap(least, done)
	}
	least = min(least, len(done), q.ring.UnderWay()+len(q.staged))
	q.fill()
	if err := q.ring.Turn(uint32(least), !q.d.direct); err != nil {
		return 0, err
	}
	q.staged, q.bytes = q.staged[:0], 0
	q.collect()
	return q.plainQueue.Reap(least, done)
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
		q.ready = append(q.ready, slot)
	}
}

// finish turns the result of a transfer into the outcome of its request. One that was cut short is
// brought to its end by plain calls, which know how.
func (q *ringQueue) finish(s *queued, buf []byte, res int32) error {
	moved := max(0, int64(res))
	if no := unix.Errno(-res); res < 0 && no != unix.EINTR && no != unix.EAGAIN {
		return no
	}
	if moved < s.n {
		moved -= moved % q.d.align
		rest := driver.Vec{buf[moved:s.n]}
		if err := q.finishShort(s, rest, s.off+moved); err != nil {
			return err
		}
	}
	if s.op == driver.OpWrite {
		q.node.Wrote(s.off + s.n)
	}
	return nil
}

// finishShort transfers what is left of a request by plain calls.
func (q *ringQueue) finishShort(s *queued, rest driver.Vec, off int64) error {
	if s.op == driver.OpWrite {
		return engine.Write(q.ctx, engine.Sync{}, q.d.fd, rest, off, q.d.align)
	}
	return q.file.read(q.ctx, engine.Sync{}, q.d, rest, off)
}

// Close waits for what is on the ring, since the kernel works on memory that is freed here.
func (q *ringQueue) Close() error {
	var err error
	for q.ring.UnderWay() > 0 && err == nil {
		err = q.ring.Wait(1)
		q.collect()
	}
	if err != nil {
		return err // the memory is left alone: the kernel may still use it
	}
	err = errors.Join(q.ring.Close(), q.plainQueue.Close())
	runtime.UnlockOSThread()
	return err
}
