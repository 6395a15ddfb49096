package job

import "context"

// What a request of a Queue does. The numbers are those of the block layer.
const (
	OpRead uint8 = iota
	OpWrite
	OpZero
	OpDiscard
	OpFlush
)

// A Queue carries a batch of block requests. One goroutine owns it. Slots are
// numbered from 0 to Depth()-1, and each has one request at a time.
type Queue interface {
	Depth() int
	// Buffer is the slot's memory, as long as was asked for when the queue was
	// made, and page aligned.
	Buffer(slot int) []byte
	// Stage puts a request on a slot that has none; it starts at Submit. op is
	// one of OpRead to OpFlush, off and n are in bytes, flags change what the
	// request promises and are 0 here. Reads and writes use the first n bytes of
	// the slot's memory, a flush has no range. Err tells what was refused.
	Stage(slot int, op uint8, off, n int64, flags uint32)
	Submit() error
	// Reap waits for at least least completions and stores the slots they were on in done.
	Reap(least int, done []int) (int, error)
	// SubmitAndReap is both, for an owner that has nothing else to do meanwhile.
	SubmitAndReap(least int, done []int) (int, error)
	// Err is the outcome of the slot's last request.
	Err(slot int) error
	// Close waits for what is in flight.
	Close() error
}

// once does one request on slot 0 of a queue that has nothing else in flight.
func once(q Queue, op uint8, off, n int64) error {
	q.Stage(0, op, off, n, 0)
	if _, err := q.SubmitAndReap(1, make([]int, 1)); err != nil {
		return err
	}
	return q.Err(0)
}

// An Opener makes a queue of depth slots with size bytes of memory each, for the
// goroutine that calls it. Several may do so at once.
type Opener func(ctx context.Context, depth, size int) (Queue, error)
