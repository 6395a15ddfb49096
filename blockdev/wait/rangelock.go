package wait

import (
	"context"
	"sync"
)

// RangeLock orders requests by the bytes they touch, first come first served. A range is held alone
// or shared: shared ranges may overlap each other, a range held alone overlaps nothing. A request
// waits for every earlier one that overlaps it, held or still waiting, unless both are shared; so
// nobody is passed over for ever, and two requests never wait for each other.
//
// It may be held across I/O and events. The zero value holds nothing.
type RangeLock struct {
	mu     sync.Mutex
	ranges Ranges[hold]
}

type hold struct{ alone bool }

// LockedRange is a range that is held, until it is given to Unlock.
type LockedRange = Range[hold]

// Lock holds n bytes from off alone, or fails when ctx ends first.
func (l *RangeLock) Lock(ctx context.Context, off, n int64) (*LockedRange, error) {
	return l.lock(ctx, off, n, hold{alone: true})
}

// RLock holds n bytes from off together with others that are shared, or fails when ctx ends first.
func (l *RangeLock) RLock(ctx context.Context, off, n int64) (*LockedRange, error) {
	return l.lock(ctx, off, n, hold{})
}

func (l *RangeLock) lock(ctx context.Context, off, n int64, how hold) (*LockedRange, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.ranges.Add(off, off+n, how)
	for c := l.conflict(r); c != nil; c = l.conflict(r) {
		if err := c.Waiters.Wait(ctx, &l.mu); err != nil {
			l.ranges.Remove(r)
			return nil, err
		}
	}
	return r, nil
}

// Unlock gives r up. It must not be used afterwards.
func (l *RangeLock) Unlock(r *LockedRange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ranges.Remove(r)
}

// conflict is the first range that came before r and that r must wait for.
func (l *RangeLock) conflict(r *LockedRange) *LockedRange {
	for c := l.ranges.First(); c != r; c = c.Next() {
		if (c.Of.alone || r.Of.alone) && c.Overlaps(r) {
			return c
		}
	}
	return nil
}
