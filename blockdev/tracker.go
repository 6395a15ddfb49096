package blockdev

import (
	"context"
	"sync"
)

// tracker knows the requests that are under way at one node.
type tracker struct {
	mu   sync.Mutex
	head *tracked // a list, newest first
	free *tracked
	// serialising is how many of them do: while it is 0 there is no list to walk.
	serialising int
}

type tracked struct {
	off, end    int64 // what counts as overlapping, grown to whole blocks by serialise
	serialising bool
	waitingFor  *tracked
	waiters     Waiters
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
		if c != r && (c.serialising || r.serialising) && c.off < r.end && r.off < c.end && c.waitingFor == nil {
			return c
		}
	}
	return nil
}
