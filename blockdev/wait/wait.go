// Package wait lets requests wait for each other in a way that can be seen from outside.
//
// Any wait of one request for another goes through Waiters, so that somebody else can tell when
// every request has either finished or stands still. That somebody holds a Meter, which counts
// goroutines at work: in step mode a command of the shell ends when its meter is idle, and the
// order of completions then belongs to the script and not to the scheduler. The rule that makes it
// true: whoever wakes a goroutine counts it as running before it wakes it.
//
// Mutex and RangeLock are locks made of Waiters. They may be held across I/O and debug events,
// where a sync.Mutex would hide that its owner stands still. Fan splits one request over several
// goroutines and counts them.
package wait

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Meter counts goroutines that work on requests. Parked ones do not count.
type Meter struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when running is 0; nil while nobody waits
}

// Add counts n more goroutines as running. It is called before they start, and a negative n when
// they end.
func (m *Meter) Add(n int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running += n
	if m.running == 0 && m.idle != nil {
		close(m.idle)
		m.idle = nil
	}
}

// Idle returns when no goroutine is running, or when ctx ends.
func (m *Meter) Idle(ctx context.Context) error {
	m.mu.Lock()
	if m.running == 0 {
		m.mu.Unlock()
		return nil
	}
	if m.idle == nil {
		m.idle = make(chan struct{})
	}
	ch := m.idle
	m.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

type meterKey struct{}

// WithMeter returns a context whose requests are counted by m.
func WithMeter(ctx context.Context, m *Meter) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// MeterOf is the meter that counts the requests of ctx, nil (which counts nothing) if there is
// none.
func MeterOf(ctx context.Context) *Meter {
	m, _ := ctx.Value(meterKey{}).(*Meter)
	return m
}

// Fan runs do(0) to do(n-1) on goroutines of their own, counted by the meter of ctx, and waits for
// all. It returns the error of the lowest index that failed.
func Fan(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	if n == 1 {
		return do(ctx, 0)
	}
	m := MeterOf(ctx)
	errs := make([]error, n)
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	m.Add(n - 1) // the caller stands still meanwhile and lends its own count
	for i := range n {
		wg.Go(func() {
			errs[i] = do(ctx, i)
			if left.Add(-1) > 0 { // the last one gives its count back to the caller
				m.Add(-1)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Waiters is a queue of goroutines that wait for a condition, first come first served. Like
// sync.Cond it belongs to a lock: all methods are called with that lock held.
type Waiters struct{ queue []*waiter }

type waiter struct {
	wake  chan struct{}
	meter *Meter
	woken bool
}

// Wait gives up l, parks the caller until it is woken or ctx ends, and takes l again. The caller
// looks at its condition once more, since it may have changed meanwhile.
func (w *Waiters) Wait(ctx context.Context, l sync.Locker) error {
	me := &waiter{wake: make(chan struct{}), meter: MeterOf(ctx)}
	w.queue = append(w.queue, me)
	l.Unlock()
	me.meter.Add(-1)
	var err error
	select {
	case <-me.wake:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	l.Lock()
	if me.woken {
		return nil // also when ctx ended at the same moment: whoever woke us counts on us
	}
	me.meter.Add(1)
	if i := slices.Index(w.queue, me); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
	}
	return err
}

// Wake wakes the goroutine that has waited longest, if there is one, and says whether. The woken
// one counts as running from here on, not from when it gets the processor: else the meter would
// look idle in between.
func (w *Waiters) Wake() bool {
	if len(w.queue) == 0 {
		return false
	}
	first := w.queue[0]
	w.queue = w.queue[1:]
	first.woken = true
	first.meter.Add(1)
	close(first.wake)
	return true
}

// WakeAll wakes everyone.
func (w *Waiters) WakeAll() {
	for w.Wake() {
	}
}

// Len is the number of goroutines that wait.
func (w *Waiters) Len() int { return len(w.queue) }

// Mutex is a lock that may be held across I/O and events. It is handed over in the order in which
// it was asked for. The zero value is unlocked.
type Mutex struct {
	mu      sync.Mutex
	held    bool
	waiters Waiters
}

// Lock takes the mutex, or fails when ctx ends first.
func (m *Mutex) Lock(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.held {
		m.held = true
		return nil
	}
	return m.waiters.Wait(ctx, &m.mu) // woken means: handed over
}

// Unlock hands the mutex to the next in line, and lets it run at once: until it does the lock is
// held for nothing, and everybody else queues up behind it.
func (m *Mutex) Unlock() {
	m.mu.Lock()
	handed := m.waiters.Wake()
	m.held = handed
	m.mu.Unlock()
	if handed {
		runtime.Gosched()
	}
}

// Pass takes the time that name needs for a request, or fails when ctx ends first.
func Pass(ctx context.Context, name string, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: waiting for %v: %w", name, d, context.Cause(ctx))
	}
}
