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
	mu       sync.Mutex
	requests wait.Ranges[tracking]
	// serialising is how many of them do: while it is 0 there is no list to walk.
	serialising int
	closed      bool // whoever's turn comes from now on gets os.ErrClosed
}

// tracked is a request in a tracker. Its range is what counts as overlapping, grown to whole blocks
// by serialise.
type tracked = wait.Range[tracking]

type tracking struct {
	serialising bool
	queued      bool // in a batch queue: it stays until the owner of the queue reaps it
	closing     bool // passes by what is queued
	waits       bool // for another request
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

// Requests that are no transfers keep to a range that no transfer reaches, so that only those
// overlap them that hold all.
const (
	controlOff = math.MaxInt64 - 1
	controlEnd = math.MaxInt64
)

// enterControl is enter for a request that is no transfer.
func (t *tracker) enterControl(ctx context.Context) (*tracked, error) {
	return t.enter(ctx, controlOff, controlEnd-controlOff)
}

// hold waits until nothing else is under way, and keeps all others waiting until end. With closing
// it does not wait for requests in batch queues: their owner may be the caller. What waits when
// close was called, and what comes after it, fails.
func (t *tracker) hold(ctx context.Context, closing bool) (*tracked, error) {
	r := t.begin(0, controlEnd)
	r.Of.closing = closing
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

// serialise makes r wait for every overlapping request, and every later one wait for r. The range
// grows to whole blocks.
func (t *tracker) serialise(ctx context.Context, r *tracked, align int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !r.Of.serialising {
		t.serialising++
	}
	r.Off, r.End, r.Of.serialising = roundDown(r.Off, align), roundUp(r.End, align), true
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
		switch {
		case c == nil && t.closed:
			return os.ErrClosed
		case c == nil:
			return nil
		}
		r.Of.waits = true
		err := c.Waiters.Wait(ctx, &t.mu)
		r.Of.waits = false
		if err != nil {
			return err
		}
	}
}

// conflict finds a request that r must wait for. One that itself waits is passed over: it waits for
// r, or will once it wakes up, so waiting for it would be a circle.
func (t *tracker) conflict(r *tracked) *tracked {
	if t.serialising == 0 {
		return nil
	}
	for c := t.requests.Last(); c != nil; c = c.Prev() {
		if c != r && (c.Of.serialising || r.Of.serialising) && c.Overlaps(r) && !c.Of.waits &&
			!(r.Of.closing && c.Of.queued) {
			return c
		}
	}
	return nil
}

func (t *tracker) add(off, n int64) *tracked { return t.requests.Add(off, off+n, tracking{}) }

func (t *tracker) remove(r *tracked) {
	if r.Of.serialising {
		t.serialising--
	}
	t.requests.Remove(r)
}
