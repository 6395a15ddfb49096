package wait

import (
	"context"
	"sync"
)

// RangeLock orders requests by the bytes they touch, first come first served. A range is held alone or shared: shared ranges may overlap
// each other, a range held alone overlaps nothing. Who overlaps a range that came earlier, held or still waiting, waits for it unless
// both are shared; so nobody is passed over for ever, and two requests never wait for each other.
//
// It may be held across I/O and events. The zero value holds nothing.
type RangeLock struct {
	mu          sync.Mutex
	first, last *LockedRange // in the order of arrival
	free        *LockedRange
}

// LockedRange is a range that is held, until it is given to Unlock.
type LockedRange struct {
	off, end   int64
	alone      bool
	waiters    Waiters // later ones that wait for this one
	prev, next *LockedRange
}

// Lock holds n bytes from off alone, or fails when ctx ends first.
func (l *RangeLock) Lock(ctx context.Context, off, n int64) (*LockedRange, error) {
	return l.lock(ctx, off, n, true)
}

// RLock holds n bytes from off together with others that are shared, or fails when ctx ends first.
func (l *RangeLock) RLock(ctx context.Context, off, n int64) (*LockedRange, error) {
	return l.lock(ctx, off, n, false)
}

func (l *RangeLock) lock(ctx context.Context, off, n int64, alone bool) (*LockedRange, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.append(off, off+n, alone)
	for c := l.conflict(r); c != nil; c = l.conflict(r) {
		if err := c.waiters.Wait(ctx, &l.mu); err != nil {
			l.remove(r)
			return nil, err
		}
	}
	return r, nil
}

// Unlock gives r up. It must not be used afterwards.
func (l *RangeLock) Unlock(r *LockedRange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(r)
}

func (l *RangeLock) append(off, end int64, alone bool) *LockedRange {
	r := l.free
	if r == nil {
		r = new(LockedRange)
	} else {
		l.free = r.next
	}
	*r = LockedRange{off: off, end: end, alone: alone, prev: l.last}
	if l.last != nil {
		l.last.next = r
	} else {
		l.first = r
	}
	l.last = r
	return r
}

func (l *RangeLock) remove(r *LockedRange) {
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		l.first = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	} else {
		l.last = r.prev
	}
	r.waiters.WakeAll()
	r.prev, r.next, l.free = nil, l.free, r
}

// conflict is the first range that came before r and that r must wait for.
func (l *RangeLock) conflict(r *LockedRange) *LockedRange {
	for c := l.first; c != r; c = c.next {
		if (c.alone || r.alone) && c.off < r.end && r.off < c.end {
			return c
		}
	}
	return nil
}
