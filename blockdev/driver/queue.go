package driver

import "context"

// Op is what a request asks for. It is an alias, so that the interfaces of queues are made of
// built-in types.
type Op = uint8

// The operations that can be staged in a Queue.
const (
	OpRead Op = iota
	OpWrite
	OpZero
	OpDiscard
	OpFlush
)

// Queue carries a batch of block requests: many are staged, started together and reaped as they
// complete, without a goroutine, a channel or an allocation a request. One goroutine owns it. Slots
// are numbered from 0 to Depth()-1, each with its own memory and at most one request in flight. The
// package verify declares a smaller interface with the same built-in types, so that neither imports
// the other.
type Queue interface {
	Depth() int
	// Buffer is the slot's memory: page aligned, as long as was asked for. It is the owner's while
	// no request is in flight.
	Buffer(slot int) []byte
	// Stage puts a request on a free slot: op (OpRead, OpWrite, OpZero, OpDiscard or OpFlush) on n
	// bytes from off, with the Flags in flags. Reads and writes use the first n bytes of the slot's
	// memory; a flush ignores the range. Nothing starts before Submit. A request that must be
	// refused is staged all the same, and Err tells when it is reaped.
	Stage(slot int, op uint8, off, n int64, flags uint32)
	// Submit starts everything staged. With a single slot it may make the request before it
	// returns.
	Submit() error
	// Reap waits until at least min requests have completed, fills done with the slots of those
	// that have, and returns their number.
	Reap(min int, done []int) (int, error)
	// SubmitAndReap is Submit and then Reap, with fewer system calls. It is for a load: an owner
	// that has nothing to do until requests complete, and nobody beside it who wants the processor
	// in the meantime.
	SubmitAndReap(min int, done []int) (int, error)
	// Err is the outcome of the slot's last request.
	Err(slot int) error
	// Close waits for what is in flight and gives the memory back.
	Close() error
}

// Queuer is a node that has a batch queue of its own; a Device uses goroutines over the ones that
// have not. The queue is never searched for down the stack, because a layer in between would be
// left out.
type Queuer interface {
	// NewQueue makes a queue of depth slots with size bytes of memory each. ENOTSUP means that
	// there is none to be had after all. The caller's goroutine owns the queue, from here to Close,
	// and may be locked to its thread meanwhile.
	NewQueue(ctx context.Context, depth, size int) (Queue, error)
}

// Carrier is the queue of a node that takes more than plain reads and writes. What it does not take
// is made by the guard, one request at a time, when all that is under way has ended.
type Carrier interface {
	// Carries says whether Stage takes op at off with the flags f. They are within the WriteTakes
	// or ZeroTakes of the node. Zeroes and discards come in whole units of its limits and not
	// longer than those allow. A node that carries them may answer ErrNotSupported to a Zero with
	// NoFallback only. A flush covers what was reaped before it was staged. Nodes with one below
	// them are never given a flush.
	Carries(op Op, off int64, f Flags) bool
}

// Carries says what Stage of q takes: plain reads and writes where q does not say.
func Carries(q Queue, op Op, off int64, f Flags) bool {
	if c, is := q.(Carrier); is {
		return c.Carries(op, off, f)
	}
	return op <= OpWrite && f == 0
}
