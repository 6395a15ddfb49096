package blockdev

import (
	"context"
	"math"
	"os"
	"sync"

	"github.com/blksh/blksh/blockdev/wait"
)

// tracker knows the requests that are under way at one node.
type tracker struct {
	mu   sync.Mutex
	head *tracked // a list, newest first
	free *tracked
	// serialising is how many of them do: while it is 0 there is no list to walk.
	serialising int
	closed      bool // whoever's turn comes from now on gets os.ErrClosed
}

type tracked struct {
	off, end    int64 // what counts as overlapping, grown to whole blocks by serialise
	serialising bool
	queued      bool // in a batch queue: it stays until the owner of the queue reaps it
	closing     bool // passes by what is queued
	waitingFor  *tracked
	waiters     wait.Waiters
	prev, next  *tracked
}

func (t *tracker) begin(off, n int64) *tracked {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.add(off, n)
}

func (t *tracker) end(r *tracked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(r)
}

// enter is begin and wait at once.
func (t *tracker) enter(ctx context.Context, off, n int64) (*tracked, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.enterLocked(ctx, off, n)
}

func (t *tracker) enterLocked(ctx context.Context, off, n int64) (*tracked, error) {
	r := t.add(off, n)
	if err := t.waitLocked(ctx, r); err != nil {
		t.remove(r)
		return nil, err
	}
	return r, nil
}

// Requests that are no transfers keep to a range that no transfer reaches, so that only those overlap them that hold all.
const (
	controlOff = math.MaxInt64 - 1
	controlEnd = math.MaxInt64
)

// enterControl is enter for a request that is no transfer.
func (t *tracker) enterControl(ctx context.Context) (*tracked, error) {
	return t.enter(ctx, controlOff, controlEnd-controlOff)
}

// hold waits until nothing else is under way, and keeps all others waiting until end.
func (t *tracker) hold(ctx context.Context) (*tracked, error) {
	return t.holdBut(ctx, false)
}

// holdToClose is hold, but does not wait for requests in batch queues: their owner may be the caller. What waits when close
// was called, and what comes after it, fails.
func (t *tracker) holdToClose(ctx context.Context) (*tracked, error) {
	return t.holdBut(ctx, true)
}

func (t *tracker) holdBut(ctx context.Context, closing bool) (*tracked, error) {
	r := t.begin(0, controlEnd)
	r.closing = closing
	if err := t.serialise(ctx, r, 1); err != nil {
		t.end(r)
		return nil, err
	}
	return r, nil
}

// close lets nothing pass any more.
func (t *tracker) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// serialise makes r wait for every overlapping request, and every later one wait for r. The range grows to whole blocks.
func (t *tracker) serialise(ctx context.Context, r *tracked, align int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !r.serialising {
		t.serialising++
	}
	r.off, r.end, r.serialising = roundDown(r.off, align), roundUp(r.end, align), true
	return t.waitLocked(ctx, r)
}

// wait makes r wait for overlapping requests that serialise.
func (t *tracker) wait(ctx context.Context, r *tracked) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waitLocked(ctx, r)
}

func (t *tracker) waitLocked(ctx context.Context, r *tracked) error {
	for {
		c := t.conflict(r)
		if c == nil && t.closed {
			return os.ErrClosed
		}
		if c == nil {
			return nil
		}
		r.waitingFor = c
		err := c.waiters.Wait(ctx, &t.mu)
		r.waitingFor = nil
		if err != nil {
			return err
		}
	}
}

// conflict finds a request that r must wait for. One that itself waits is passed over: it waits for r, or will once it wakes
// up, so waiting for it would be a circle.
func (t *tracker) conflict(r *tracked) *tracked {
	if t.serialising == 0 {
		return nil
	}
	for c := t.head; c != nil; c = c.next {
		if c != r && (c.serialising || r.serialising) && c.off < r.end && r.off < c.end && c.waitingFor == nil && !(r.closing && c.queued) {
			return c
		}
	}
	return nil
}

func (t *tracker) add(off, n int64) *tracked {
	r := t.free
	if r == nil {
		r = new(tracked)
	} else {
		t.free = r.next
	}
	*r = tracked{off: off, end: off + n, next: t.head}
	if t.head != nil {
		t.head.prev = r
	}
	t.head = r
	return r
}

func (t *tracker) remove(r *tracked) {
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		t.head = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	}
	if r.serialising {
		t.serialising--
	}
	r.waiters.WakeAll()
	r.prev, r.next, t.free = nil, t.free, r
}
