package verify

import "context"

// A Queue carries a batch of block requests. One goroutine owns it. Slots are
// numbered from 0 to Depth()-1, and each has one request at a time.
type Queue interface {
	Depth() int
	// Buffer is the slot's memory, as long as was asked for when the queue was
	// made, and page aligned.
	Buffer(slot int) []byte
	// Read, Write, Zero, Discard and Flush stage a request on a slot that has
	// none. It starts at Submit. Reads and writes use the first n bytes of the
	// slot's memory; offsets and lengths are in bytes.
	Read(slot int, off int64, n int)
	Write(slot int, off int64, n int)
	Zero(slot int, off, n int64)
	Discard(slot int, off, n int64)
	Flush(slot int)
	Submit() error
	// Reap waits for at least least completions and stores the slots they were
	// on in done.
	Reap(least int, done []int) (int, error)
	// Err is the outcome of the slot's last request.
	Err(slot int) error
	// Close waits for what is in flight.
	Close() error
}

// An Opener makes a queue of depth slots with size bytes of memory each, for the
// goroutine that calls it. Several may do so at once.
type Opener func(ctx context.Context, depth, size int) (Queue, error)
