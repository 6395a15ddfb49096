package format

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// maxQueuedBytes is the longest request that a queue by mapping is made for. What a longer one
// costs is copying, for which goroutines have all processors; a queue has its owner's.
const maxQueuedBytes = 32 << 10

// mapQueue is an image's part in the batch queue of its data file. A request whose place is known
// goes there, pinned. The others, which need tables, a backing file or unpacking, are made together
// when they are submitted, each on a goroutine, while those in the file's queue go on.
type mapQueue struct {
	driver.Queue // of the data file
	ctx          context.Context
	image        *Image
	slots        []mapSlot
	aside        []int // staged, and not for the file's queue
	ready        []int // complete, and not yet reaped
	batch        []int // room for makeAside
}

type mapSlot struct {
	op     driver.Op
	off, n int64
	passed bool // to the file's queue
	held   bool // pin is in force
	pin    int
	err    error // of what is not with the file's queue
}

var (
	_ driver.Queue  = (*mapQueue)(nil)
	_ driver.Queuer = (*Image)(nil)
)

// NewQueue makes a queue on that of the data file. There is none of a single slot, whose owner
// makes its requests by plain calls, none for long requests, and none where data passes a
// Transform, whose work is for all processors.
func (i *Image) NewQueue(ctx context.Context, depth, size int) (driver.Queue, error) {
	file, ok := i.Data.(driver.Queuer)
	if !ok || depth == 1 || size > maxQueuedBytes || i.Transform != nil {
		return nil, driver.ErrNotSupported
	}
	q, err := file.NewQueue(ctx, depth, size)
	if err != nil {
		return nil, err
	}
	return &mapQueue{
		Queue: q, ctx: ctx, image: i, slots: make([]mapSlot, depth), aside: make([]int, 0, depth),
		ready: make([]int, 0, depth),
		batch: make([]int, 0, depth),
	}, nil
}

// Stage finds the place of a read or a write.
func (q *mapQueue) Stage(slot int, op driver.Op, off, n int64, flags uint32) {
	s := &q.slots[slot]
	*s = mapSlot{op: op, off: off, n: n}
	if flags != 0 || op > driver.OpWrite {
		s.err = driver.ErrNotSupported
		q.ready = append(q.ready, slot)
		return
	}
	q.route(slot)
}

// route gives a request to the file's queue, answers it, or sets it aside.
func (q *mapQueue) route(slot int) {
	s := &q.slots[slot]
	var m Mapping
	m, s.err = q.image.mapWhole(q.ctx, s.op, s.off, s.n)
	switch {
	case s.err != nil:
		q.ready = append(q.ready, slot)
	case m.Kind == Data:
		s.passed, s.held, s.pin = true, true, q.image.Pins.Add(m.Host, s.n)
		q.Queue.Stage(slot, s.op, m.Host, s.n, 0)
	case m.Kind == Zero:
		clear(q.Buffer(slot)[:s.n])
		q.ready = append(q.ready, slot)
	default:
		q.aside = append(q.aside, slot)
	}
}

// mapWhole maps a request to one place of the data file (Data) or to zeroes; Absent says that it
// takes more.
func (i *Image) mapWhole(ctx context.Context, op driver.Op, off, n int64) (Mapping, error) {
	if err := i.Lock(ctx); err != nil {
		return Mapping{}, err
	}
	defer i.Unlock()
	if op == driver.OpWrite {
		return i.mapWrite(ctx, off, n)
	}
	m, err := i.lookupRead(ctx, off, n)
	switch {
	case err != nil || m.Len < n || m.Kind == Packed:
		m.Kind = Absent
	case m.Kind == Absent && (i.Backing == nil || off >= i.Size()):
		m.Kind = Zero
	}
	return m, err
}

func (i *Image) mapWrite(ctx context.Context, off, n int64) (Mapping, error) {
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
	i.noteWrite(ctx, off, WriteRun{Host: host, Len: n})
	return Mapping{Kind: Data, Host: host}, i.Guard(ctx, host, n)
}

// Submit starts what is staged, and makes the rest.
func (q *mapQueue) Submit() error {
	for {
		if err := q.Queue.Submit(); err != nil || len(q.aside) == 0 {
			return err
		}
		q.makeAside()
	}
}

// makeAside makes requests that were set aside, of each cluster only the first: when that has its
// place the others may go to the file's queue after all.
func (q *mapQueue) makeAside() {
	q.batch = q.batch[:0]
	later := q.aside[:0]
	for _, slot := range q.aside {
		if q.sharesCluster(slot) {
			later = append(later, slot)
		} else {
			q.batch = append(q.batch, slot)
		}
	}
	_ = wait.Fan(q.ctx, len(q.batch), func(ctx context.Context, k int) error {
		slot := q.batch[k]
		s := &q.slots[slot]
		v := driver.Vec{q.Buffer(slot)[:s.n]}
		if s.op == driver.OpWrite {
			s.err = q.image.WriteVec(ctx, v, s.off, 0)
		} else {
			s.err = q.image.ReadVec(ctx, v, s.off, 0)
		}
		return nil
	})
	q.ready = append(q.ready, q.batch...)
	q.batch = append(q.batch[:0], later...)
	q.aside = q.aside[:0]
	for _, slot := range q.batch {
		q.route(slot)
	}
}

// sharesCluster says whether a write touches a cluster that one in the batch does.
func (q *mapQueue) sharesCluster(slot int) bool {
	s := &q.slots[slot]
	if s.op != driver.OpWrite {
		return false
	}
	for _, other := range q.batch {
		o := &q.slots[other]
		clusters := Span{
			q.image.startOf(o.off),
			q.image.roundUp(o.off+o.n) - q.image.startOf(o.off),
		}
		if o.op == driver.OpWrite && clusters.Overlaps(s.off, s.n) {
			return true
		}
	}
	return false
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
