package luks

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/arena"
)

// maxQueuedBytes is the longest request that a queue is made for. What a longer one costs is the
// cipher, for which goroutines have all processors; a queue has its owner's.
const maxQueuedBytes = 32 << 10

// queue is the batch queue of the file. Its memory holds what is encrypted; that of the slots,
// which the owner sees, is beside it.
type queue struct {
	driver.Queue // of the file
	image        *image
	memory       *arena.Arena
	slots        []slot
}

// slot is the request that is under way in a slot.
type slot struct {
	read   bool
	n      int64
	sector uint64
}

var (
	_ driver.Queuer  = (*image)(nil)
	_ driver.Queue   = (*queue)(nil)
	_ driver.Carrier = (*queue)(nil)
)

// NewQueue makes a queue on that of the file. There is none of a single slot, whose owner makes its
// requests by plain calls, none for long requests, and none without a key.
func (m *image) NewQueue(ctx context.Context, depth, size int) (driver.Queue, error) {
	file, ok := m.file.(driver.Queuer)
	if !ok || depth == 1 || size > maxQueuedBytes || m.Cipher == nil {
		return nil, driver.ErrNotSupported
	}
	inner, err := file.NewQueue(ctx, depth, size)
	if err != nil {
		return nil, err
	}
	q := &queue{Queue: inner, image: m, slots: make([]slot, depth)}
	if q.memory, err = arena.New(depth, size); err != nil {
		_ = inner.Close() // nothing is under way
		return nil, err
	}
	return q, nil
}

func (q *queue) Buffer(slot int) []byte { return q.memory.Slot(slot) }

// Carries passes on what the file's queue says of reads and writes.
func (q *queue) Carries(op driver.Op, off int64, f driver.Flags) bool {
	return op <= driver.OpWrite &&
		driver.Carries(q.Queue, op, q.image.payload.Off+off, f)
}

// Stage encrypts what is to be written. The guard lets nothing pass that is outside of the image.
func (q *queue) Stage(slot int, op driver.Op, off, n int64, flags uint32) {
	s := &q.slots[slot]
	s.read, s.n = op == driver.OpRead, n
	s.sector = q.image.sector(off)
	if op == driver.OpWrite {
		q.image.Cipher.Encrypt(q.Queue.Buffer(slot)[:n], q.Buffer(slot)[:n], s.sector)
	}
	q.Queue.Stage(slot, op, q.image.payload.Off+off, n, flags)
}

// Reap decrypts what was read.
func (q *queue) Reap(least int, done []int) (int, error) {
	n, err := q.Queue.Reap(least, done)
	q.decrypt(done[:n])
	return n, err
}

// SubmitAndReap is Reap for what is staged too.
func (q *queue) SubmitAndReap(least int, done []int) (int, error) {
	n, err := q.Queue.SubmitAndReap(least, done)
	q.decrypt(done[:n])
	return n, err
}

func (q *queue) decrypt(done []int) {
	for _, i := range done {
		if s := &q.slots[i]; s.read && q.Err(i) == nil {
			q.image.Cipher.Decrypt(q.Buffer(i)[:s.n], q.Queue.Buffer(i)[:s.n], s.sector)
		}
	}
}

// Close waits for what is under way and gives both memories back.
func (q *queue) Close() error {
	err := q.Queue.Close()
	q.memory.Free()
	return err
}
