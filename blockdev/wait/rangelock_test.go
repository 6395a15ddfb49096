package wait

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// lockScript is a RangeLock with requests that are started and ended one by one.
type lockScript struct {
	t     *testing.T
	lock  RangeLock
	meter Meter
	ctx   context.Context

	mu   sync.Mutex
	held map[string]*LockedRange
	wg   sync.WaitGroup
}

// start asks for a range under a name; names in capitals ask to be alone.
func (s *lockScript) start(ctx context.Context, name string, off, n int64) {
	s.t.Helper()
	take := s.lock.RLock
	if name[0] < 'a' {
		take = s.lock.Lock
	}
	s.meter.Add(1)
	s.wg.Go(func() {
		defer s.meter.Add(-1)
		r, err := take(ctx, off, n)
		if err == nil {
			s.mu.Lock()
			s.held[name] = r
			s.mu.Unlock()
		}
	})
	s.rest()
}

func (s *lockScript) end(name string) {
	s.t.Helper()
	s.mu.Lock()
	r := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if r == nil {
		s.t.Fatalf("%s is not held", name)
	}
	s.lock.Unlock(r)
	s.rest()
}

func (s *lockScript) rest() {
	s.t.Helper()
	if err := s.meter.Idle(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *lockScript) expect(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for name := range s.held {
		got = append(got, name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		s.t.Errorf("%v are held, want %v", got, want)
	}
}

func newLockScript(t *testing.T) *lockScript {
	s := &lockScript{t: t, held: map[string]*LockedRange{}}
	s.ctx = WithMeter(context.Background(), &s.meter)
	return s
}

func TestRangeLockOrder(t *testing.T) {
	s := newLockScript(t)
	s.start(s.ctx, "a", 0, 10)
	s.start(s.ctx, "b", 5, 10)
	s.start(s.ctx, "C", 9, 1)  // behind a and b
	s.start(s.ctx, "d", 9, 5)  // behind C, though a and b are shared
	s.start(s.ctx, "E", 15, 5) // touches nobody
	s.expect("E", "a", "b")
	s.end("a")
	s.expect("E", "b")
	s.end("b")
	s.expect("C", "E")
	s.end("C")
	s.expect("E", "d")
}

func TestRangeLockCancel(t *testing.T) {
	s := newLockScript(t)
	s.start(s.ctx, "A", 0, 10)
	ctx, cancel := context.WithCancel(s.ctx)
	gone := make(chan error)
	go func() {
		_, err := s.lock.Lock(ctx, 5, 10)
		gone <- err
	}()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled wait: %v", err)
	}
	s.start(s.ctx, "B", 12, 3) // would have waited for the one that left
	s.expect("A", "B")
}

// TestRangeLockCancelInBetween wakes those who waited for one that gave up.
func TestRangeLockCancelInBetween(t *testing.T) {
	s := newLockScript(t)
	s.start(s.ctx, "A", 0, 10)
	ctx, cancel := context.WithCancel(s.ctx)
	s.start(ctx, "B", 5, 10)
	s.start(s.ctx, "c", 12, 3)
	s.expect("A")
	cancel()
	s.wg.Wait() // returns, since c holds its range
	s.end("A")
	s.expect("c")
}

// TestRangeLockExcludes has goroutines change bytes that they hold, which the race detector and the
// sums watch.
func TestRangeLockExcludes(t *testing.T) {
	const size, workers, rounds = 64, 8, 300
	var l RangeLock
	var counters [size]int
	ctx := context.Background()
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 1))
			for range rounds {
				off := rnd.Int64N(size)
				n := 1 + rnd.Int64N(size-off)
				if rnd.IntN(2) == 0 {
					r, err := l.Lock(ctx, off, n)
					if err != nil {
						errs <- err
						return
					}
					for i := off; i < off+n; i++ {
						counters[i]++
					}
					l.Unlock(r)
					continue
				}
				r, err := l.RLock(ctx, off, n)
				if err != nil {
					errs <- err
					return
				}
				if sum := slices.Max(counters[off : off+n]); sum > workers*rounds {
					errs <- fmt.Errorf("counted to %d", sum)
				}
				l.Unlock(r)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
	if l.ranges.First() != nil || l.ranges.Last() != nil {
		t.Error("a range is still held")
	}
}
