//go:build rbd

package rbd

// #include "batch.h"
import "C"

import (
	"context"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/arena"
)

// queue carries a batch of requests. Their memory, and what describes it to librbd, stays where it
// is.
type queue struct {
	ctx      context.Context
	image    *image
	batch    *C.struct_batch
	requests []C.struct_request // those of the batch
	memory   *arena.Arena
	pieces   []C.struct_iovec // one for each request
	pins     runtime.Pinner

	staged  []C.int
	numbers []C.int // room for those that are answered
	refused []error // by request, nil for what librbd was asked for
	ready   []int   // refused and not reaped
}

// NewQueue makes a batch with the memory for it.
func (d *image) NewQueue(ctx context.Context, depth, size int) (driver.Queue, error) {
	memory, err := arena.New(depth, size)
	if err != nil {
		return nil, err
	}
	b := C.new_batch(C.int(depth))
	if b == nil {
		memory.Free()
		return nil, syscall.ENOMEM
	}
	q := &queue{
		ctx: ctx, image: d, batch: b, memory: memory,
		requests: unsafe.Slice(C.batch_request(b, 0), depth), pieces: make([]C.struct_iovec, depth),
		staged: make([]C.int, 0, depth), numbers: make([]C.int, depth),
		refused: make([]error, depth), ready: make([]int, 0, depth),
	}
	q.pins.Pin(&q.pieces[0])
	for i := range q.requests {
		p := memory.Slot(i)
		q.pins.Pin(&p[0])
		q.pieces[i] = piece(p)
		q.requests[i].pieces, q.requests[i].count = &q.pieces[i], 1
	}
	return q, nil
}

func (q *queue) Depth() int { return len(q.requests) }

func (q *queue) Buffer(slot int) []byte { return q.memory.Slot(slot) }

func (q *queue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	f := driver.Flags(flags)
	q.refused[slot] = q.image.admit(op, f, off, n)
	fill(&q.requests[slot], op, f, off, n)
	q.pieces[slot].iov_len = C.size_t(n)
	q.staged = append(q.staged, C.int(slot))
}

// Carries says that librbd takes everything, in any order.
func (q *queue) Carries(driver.Op, int64, driver.Flags) bool { return true }

// Submit starts what was staged, but nothing once the context has ended.
func (q *queue) Submit() error {
	starting := q.staged[:0]
	for _, slot := range q.staged {
		if q.ctx.Err() != nil {
			q.refused[slot] = context.Cause(q.ctx)
		}
		if q.refused[slot] != nil {
			q.ready = append(q.ready, int(slot))
		} else {
			starting = append(starting, slot)
		}
	}
	if len(starting) > 0 {
		C.batch_start(q.batch, q.image.handle, &starting[0], C.int(len(starting)))
	}
	q.staged = q.staged[:0]
	return nil
}

// Reap waits for librbd.
func (q *queue) Reap(least int, done []int) (int, error) {
	n := copy(done, q.ready)
	q.ready = q.ready[:copy(q.ready, q.ready[n:])]
	most := min(len(done)-n, len(q.numbers))
	if most == 0 {
		return n, nil
	}
	m := int(C.batch_collect(q.batch, C.int(max(least-n, 0)), &q.numbers[0], C.int(most)))
	for i, number := range q.numbers[:m] {
		done[n+i] = int(number)
	}
	return n + m, nil
}

// SubmitAndReap is both in turn.
func (q *queue) SubmitAndReap(least int, done []int) (int, error) {
	if err := q.Submit(); err != nil {
		return 0, err
	}
	return q.Reap(least, done)
}

func (q *queue) Err(slot int) error {
	if q.refused[slot] != nil {
		return q.refused[slot]
	}
	return outcome(&q.requests[slot])
}

// Close waits for what is in flight.
func (q *queue) Close() error {
	all := C.int(len(q.requests))
	C.batch_collect(q.batch, all+1, &q.numbers[0], all)
	C.free_batch(q.batch)
	q.pins.Unpin()
	q.memory.Free()
	return nil
}
