package blkdebug

import (
	"context"
	"slices"
	"sync"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// breakpoints are the places where requests are to be held, and the requests that are.
//
// A notice goes out before what it tells of can be acted on: Suspended before the request can be
// resumed, Resumed before it goes on. No lock is held meanwhile, so that whoever gets the notice
// may call back.
type breakpoints struct {
	notify func(driver.Notice)

	mu       sync.Mutex
	tags     map[driver.Event][]string // breakpoints that wait for a request, the newest first
	held     []hold                    // the newest first
	arrivals wait.Waiters              // those who wait for a request to be held
}

// hold is one reason for a request to stand still.
type hold struct {
	tag     string
	request *request
}

// request is one that stands still. If it met several breakpoints at once it goes on when all of
// them are resumed.
type request struct {
	holds int
	turn  wait.Waiters
}

func newBreakpoints(notify func(driver.Notice)) breakpoints {
	return breakpoints{notify: notify, tags: map[driver.Event][]string{}}
}

// Break sets a breakpoint at e. ENOENT for no event.
func (b *breakpoints) Break(e driver.Event, tag string) error {
	if e == 0 {
		return syscall.ENOENT
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tags[e] = slices.Insert(b.tags[e], 0, tag)
	return nil
}

// reach holds the caller at the breakpoints for e, which are spent by that. It returns an error
// only if ctx ends first.
func (b *breakpoints) reach(ctx context.Context, e driver.Event) error {
	b.mu.Lock()
	tags := b.tags[e]
	delete(b.tags, e)
	b.mu.Unlock()
	if len(tags) == 0 {
		return nil
	}
	for _, tag := range tags {
		b.notify(driver.Suspended{Tag: tag})
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	r := &request{holds: len(tags)}
	for _, tag := range tags {
		b.held = slices.Insert(b.held, 0, hold{tag, r})
	}
	b.arrivals.WakeAll()
	for r.holds > 0 {
		if err := r.turn.Wait(ctx, &b.mu); err != nil {
			b.held = slices.DeleteFunc(b.held, func(h hold) bool { return h.request == r })
			return err
		}
	}
	return nil
}

// Resume lets go the request that was held last at tag. ENOENT if none is.
func (b *breakpoints) Resume(tag string) error {
	b.mu.Lock()
	i := b.find(tag)
	if i < 0 {
		b.mu.Unlock()
		return syscall.ENOENT
	}
	r := b.held[i].request
	b.held = slices.Delete(b.held, i, i+1)
	b.mu.Unlock()

	b.notify(driver.Resumed{Tag: tag})

	b.mu.Lock()
	defer b.mu.Unlock()
	if r.holds--; r.holds == 0 {
		r.turn.Wake()
	}
	return nil
}

// RemoveBreak removes the breakpoints called tag and lets go all requests held there. A breakpoint
// that was reached is spent: with none but such ones the answer is ErrBreakSpent even though
// requests go on, as it is in QEMU 7.2 and later.
func (b *breakpoints) RemoveBreak(tag string) error {
	err := b.unset(tag)
	for b.Resume(tag) == nil {
		if err != nil {
			err = driver.ErrBreakSpent
		}
	}
	return err
}

func (b *breakpoints) unset(tag string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var err error = syscall.ENOENT
	for e, tags := range b.tags {
		left := slices.DeleteFunc(tags, func(t string) bool { return t == tag })
		if len(left) < len(tags) {
			err = nil
		}
		b.tags[e] = left
	}
	return err
}

// Suspended says whether a request is held at tag.
func (b *breakpoints) Suspended(tag string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.find(tag) >= 0
}

// WaitSuspended returns when a request is held at tag, or when ctx ends.
func (b *breakpoints) WaitSuspended(ctx context.Context, tag string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.find(tag) < 0 {
		if err := b.arrivals.Wait(ctx, &b.mu); err != nil {
			return err
		}
	}
	return nil
}

func (b *breakpoints) find(tag string) int {
	return slices.IndexFunc(b.held, func(h hold) bool { return h.tag == tag })
}
