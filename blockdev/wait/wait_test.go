package wait

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestMutexIsHandedOverInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Mutex
		meter := new(Meter)
		ctx := WithMeter(t.Context(), meter)
		if err := m.Lock(ctx); err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 5 {
			meter.Add(1)
			go func() {
				defer meter.Add(-1)
				if err := m.Lock(ctx); err != nil {
					t.Error(err)
				}
				order = append(order, i)
				m.Unlock()
			}()
			synctest.Wait()
			if meter.running != 0 {
				t.Fatalf("%d running while all wait", meter.running)
			}
		}
		m.Unlock()
		if err := meter.Idle(ctx); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
			t.Errorf("order %v", order)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Mutex
		meter := new(Meter)
		ctx, cancel := context.WithTimeout(WithMeter(t.Context(), meter), time.Minute)
		defer cancel()
		if err := m.Lock(ctx); err != nil {
			t.Fatal(err)
		}
		meter.Add(1)
		if err := m.Lock(ctx); err != context.DeadlineExceeded {
			t.Errorf("error %v", err)
		}
		if meter.running != 1 || m.waiters.Len() != 0 {
			t.Errorf("running %d, waiting %d after the wait was given up", meter.running,
				m.waiters.Len())
		}
		m.Unlock()
		if err := m.Lock(t.Context()); err != nil {
			t.Error("the mutex was lost")
		}
	})
}

// The meter never looks idle between a wake and the moment the woken one runs.
func TestWokenCountsAsRunning(t *testing.T) {
	for range 200 {
		var mu sync.Mutex
		var w Waiters
		meter := new(Meter)
		ctx := WithMeter(t.Context(), meter)
		finished := false
		meter.Add(1)
		go func() {
			defer meter.Add(-1)
			mu.Lock()
			defer mu.Unlock()
			if err := w.Wait(ctx, &mu); err != nil {
				t.Error(err)
			}
			finished = true
		}()
		if err := meter.Idle(ctx); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		w.Wake()
		mu.Unlock()
		if err := meter.Idle(ctx); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if !finished {
			t.Fatal("idle before the woken goroutine ended")
		}
		mu.Unlock()
	}
}

func TestFan(t *testing.T) {
	meter := new(Meter)
	ctx := WithMeter(t.Context(), meter)
	meter.Add(1)
	var mu sync.Mutex
	sum := 0
	err := Fan(ctx, 10, func(_ context.Context, i int) error {
		mu.Lock()
		defer mu.Unlock()
		sum += i
		if i == 3 || i == 7 {
			return syscall.EIO
		}
		return nil
	})
	if err != syscall.EIO || sum != 45 || meter.running != 1 {
		t.Errorf("error %v, sum %d, running %d", err, sum, meter.running)
	}
}

// While the pieces that are left stand still, the meter is idle, although the caller has not
// returned.
func TestFanIsIdleWhenItsPiecesWait(t *testing.T) {
	meter := new(Meter)
	ctx := WithMeter(t.Context(), meter)
	var mu Mutex
	if err := mu.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	meter.Add(1)
	go func() {
		defer meter.Add(-1)
		done <- Fan(ctx, 3, func(ctx context.Context, i int) error {
			if i == 0 {
				return nil
			}
			err := mu.Lock(ctx)
			mu.Unlock()
			return err
		})
	}()
	if err := meter.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	mu.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := meter.Idle(ctx); err != nil || meter.running != 0 {
		t.Errorf("error %v, running %d", err, meter.running)
	}
}
