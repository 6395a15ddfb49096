package format

import (
	"context"

	"github.com/blksh/blksh/blockdev"
)

// mapQueue is an image's part in the batch queue of its data file. A request whose place is known goes there,
// pinned. The others, which need tables, a backing file or unpacking, are made together when they are
// submitted, each on a goroutine, while those in the file's queue go on.
type mapQueue struct {
	blockdev.Queue // of the data file
	ctx            context.Context
	image          *Image
	slots          []mapSlot
	aside          []int // staged, and not for the file's queue
	ready          []int // complete, and not yet reaped
}

type mapSlot struct {
	op     blockdev.Op
	off, n int64
	passed bool // to the file's queue
	held   bool // pin is in force
	pin    int
	err    error // of what is not with the file's queue
}

var (
	_ blockdev.Queue  = (*mapQueue)(nil)
	_ blockdev.Queuer = (*Image)(nil)
)

// NewQueue makes a queue on that of the data file.
func (i *Image) NewQueue(ctx context.Context, depth, size int) (blockdev.Queue, error) {
	file, ok := i.Data.(blockdev.Queuer)
	if !ok {
		return nil, blockdev.ErrNotSupported
	}
	q, err := file.NewQueue(ctx, depth, size)
	if err != nil {
		return nil, err
	}
	return &mapQueue{
		Queue: q, ctx: ctx, image: i, slots: make([]mapSlot, depth), aside: make([]int, 0, depth), ready: make([]int, 0, depth),
	}, nil
}

// Stage finds the place of a read or a write.
func (q *mapQueue) Stage(slot int, op blockdev.Op, off, n int64, flags uint32) {
	s := &q.slots[slot]
	*s = mapSlot{op: op, off: off, n: n}
	var m Mapping
	switch {
	case flags != 0 || op > blockdev.OpWrite:
		s.err = blockdev.ErrNotSupported
	default:
		m, s.err = q.image.placeWhole(q.ctx, op, off, n)
	}
	switch {
	case s.err != nil:
		q.ready = append(q.ready, slot)
	case m.Kind == Data:
		s.passed, s.held, s.pin = true, true, q.image.Pins.Add(m.Host, n)
		q.Queue.Stage(slot, op, m.Host, n, 0)
	case m.Kind == Zero:
		clear(q.Buffer(slot)[:n])
		q.ready = append(q.ready, slot)
	default:
		q.aside = append(q.aside, slot)
	}
}

// placeWhole maps a request to one place of the data file (Data) or to zeroes; Absent says that it takes more.
func (i *Image) placeWhole(ctx context.Context, op blockdev.Op, off, n int64) (Mapping, error) {
	if err := i.Lock(ctx); err != nil {
		return Mapping{}, err
	}
	defer i.Unlock()
	if op == blockdev.OpWrite {
		return i.placeWrite(ctx, off, n)
	}
	m, err := i.Lookup(ctx, off, n)
	switch {
	case err != nil || m.Len < n || m.Kind == Packed:
		m.Kind = Absent
	case m.Kind == Absent && (i.Backing == nil || off >= i.Size()):
		m.Kind = Zero
	}
	return m, err
}

func (i *Image) placeWrite(ctx context.Context, off, n int64) (Mapping, error) {
	if err := i.BeginChange(Uncancelled(ctx), off, n); err != nil {
		return Mapping{}, err
	}
	if free, _ := i.untilBusy(off, n); free < n {
		return Mapping{}, nil
	}
	host, ok, err := i.InPlace(ctx, off, n)
	if err != nil || !ok {
		return Mapping{}, err
	}
	return Mapping{Kind: Data, Host: host}, i.Guard(ctx, host, n)
}

// Submit starts what is staged, and makes the rest.
func (q *mapQueue) Submit() error {
	if err := q.Queue.Submit(); err != nil {
		return err
	}
	if len(q.aside) == 0 {
		return nil
	}
	_ = blockdev.Fan(q.ctx, len(q.aside), func(ctx context.Context, k int) error {
		slot := q.aside[k]
		s := &q.slots[slot]
		v := blockdev.Vec{q.Buffer(slot)[:s.n]}
		if s.op == blockdev.OpWrite {
			s.err = q.image.WriteVec(ctx, v, s.off, 0)
		} else {
			s.err = q.image.ReadVec(ctx, v, s.off, 0)
		}
		return nil
	})
	q.ready = append(q.ready, q.aside...)
	q.aside = q.aside[:0]
	return nil
}

// Reap collects what is complete.
func (q *mapQueue) Reap(least int, done []int) (int, error) {
	n := copy(done, q.ready)
	q.ready = q.ready[:copy(q.ready, q.ready[n:])]
	if n == len(done) {
		return n, nil
	}
	m, err := q.Queue.Reap(max(0, least-n), done[n:])
	q.unpin(done[n : n+m])
	return n + m, err
}

// SubmitAndReap leaves both to the file's queue where nothing else is to be done.
func (q *mapQueue) SubmitAndReap(least int, done []int) (int, error) {
	if len(q.aside) > 0 || len(q.ready) > 0 {
		if err := q.Submit(); err != nil {
			return 0, err
		}
		return q.Reap(least, done)
	}
	n, err := q.Queue.SubmitAndReap(least, done)
	q.unpin(done[:n])
	return n, err
}

func (q *mapQueue) unpin(slots []int) {
	for _, slot := range slots {
		if s := &q.slots[slot]; s.held {
			s.held = false
			q.image.Pins.Remove(s.pin)
		}
	}
}

// Err is the outcome of the slot's last request.
func (q *mapQueue) Err(slot int) error {
	if s := &q.slots[slot]; !s.passed {
		return s.err
	}
	return q.Queue.Err(slot)
}

// Close closes the file's queue, which waits for what is under way, and leaves no pin behind.
func (q *mapQueue) Close() error {
	err := q.Queue.Close()
	for slot := range q.slots {
		q.unpin([]int{slot})
	}
	return err
}
