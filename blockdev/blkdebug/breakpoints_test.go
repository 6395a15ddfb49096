package blkdebug

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// stage is a set of breakpoints with the requests that run into them, and a record of what happens.
type stage struct {
	t *testing.T
	b breakpoints
	// meter counts the requests, so that the stage is at rest when all have ended or stand still.
	meter wait.Meter
	ctx   context.Context
	// requests are those that have not ended.
	requests sync.WaitGroup

	mu  sync.Mutex
	log []string
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t}
	s.ctx = wait.WithMeter(context.Background(), &s.meter)
	s.b = newBreakpoints(func(n driver.Notice) {
		switch n := n.(type) {
		case driver.Suspended:
			s.record("suspended " + n.Tag)
		case driver.Resumed:
			s.record("resumed " + n.Tag)
		}
	})
	return s
}

func (s *stage) record(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, what)
}

// start lets a request called name reach e, and returns when it has passed or stands still.
func (s *stage) start(ctx context.Context, name string, e driver.Event) {
	s.t.Helper()
	s.meter.Add(1)
	s.requests.Go(func() {
		defer s.meter.Add(-1)
		if err := s.b.reach(ctx, e); err != nil {
			s.record(fmt.Sprintf("%s: %v", name, err))
			return
		}
		s.record(name + " done")
	})
	s.rest()
}

func (s *stage) rest() {
	s.t.Helper()
	if err := s.meter.Idle(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// must checks an answer and lets the stage come to rest.
func (s *stage) must(err error, want syscall.Errno) {
	s.t.Helper()
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		s.t.Errorf("answer %v, want %v", err, want)
	}
	s.rest()
}

func (s *stage) expect(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.log, want) {
		s.t.Errorf("log %q, want %q", s.log, want)
	}
	s.log = nil
}

func TestBreakAndResume(t *testing.T) {
	s := newStage(t)
	s.must(s.b.Break(driver.EventNamed("no_such_event"), "A"), syscall.ENOENT)
	s.must(s.b.Break(driver.EvPwritev, "A"), 0)
	s.must(s.b.Resume("A"), syscall.ENOENT)
	s.start(s.ctx, "other", driver.EvPwritevDone)
	s.expect("other done")
	s.start(s.ctx, "one", driver.EvPwritev)
	s.expect("suspended A")
	if !s.b.Suspended("A") || s.b.Suspended("B") {
		t.Error("A should be held, B not")
	}
	s.start(s.ctx, "two", driver.EvPwritev) // the breakpoint is spent
	s.expect("two done")
	s.must(s.b.Resume("A"), 0)
	s.expect("resumed A", "one done")
	s.must(s.b.Resume("A"), syscall.ENOENT)
}

// TestSeveralBreakpoints has the order of qemu-io 7.2.22: the newest breakpoint is met first, and a
// request goes on when the last of its breakpoints is resumed.
func TestSeveralBreakpoints(t *testing.T) {
	s := newStage(t)
	s.must(s.b.Break(driver.EvPwritev, "A"), 0)
	s.must(s.b.Break(driver.EvPwritev, "B"), 0)
	s.start(s.ctx, "one", driver.EvPwritev)
	s.expect("suspended B", "suspended A")
	s.must(s.b.Resume("A"), 0)
	s.expect("resumed A")
	s.must(s.b.Resume("B"), 0)
	s.expect("resumed B", "one done")
}

// TestOneTag resumes one request at a time, the one that was held last.
func TestOneTag(t *testing.T) {
	s := newStage(t)
	for _, name := range []string{"one", "two"} {
		s.must(s.b.Break(driver.EvPwritev, "A"), 0)
		s.start(s.ctx, name, driver.EvPwritev)
	}
	s.expect("suspended A", "suspended A")
	s.must(s.b.Resume("A"), 0)
	s.expect("resumed A", "two done")
	s.must(s.b.Resume("A"), 0)
	s.expect("resumed A", "one done")
}

func TestRemoveBreak(t *testing.T) {
	s := newStage(t)
	s.must(s.b.RemoveBreak("A"), syscall.ENOENT)
	s.must(s.b.Break(driver.EvPwritev, "A"), 0)
	s.must(s.b.RemoveBreak("A"), 0)
	s.start(s.ctx, "free", driver.EvPwritev)
	s.expect("free done")

	s.must(s.b.Break(driver.EvPwritev, "A"), 0)
	s.start(s.ctx, "one", driver.EvPwritev)
	s.must(s.b.RemoveBreak("A"), syscall.ENOENT) // spent, and yet it lets go
	s.expect("suspended A", "resumed A", "one done")

	s.must(s.b.Break(driver.EvPwritev, "A"), 0)
	s.start(s.ctx, "two", driver.EvPwritev)
	s.must(s.b.Break(driver.EvPwritevDone, "A"), 0)
	s.must(s.b.RemoveBreak("A"), 0)
	s.expect("suspended A", "resumed A", "two done")
}

func TestCancelHeld(t *testing.T) {
	s := newStage(t)
	s.must(s.b.Break(driver.EvPwritev, "A"), 0)
	s.must(s.b.Break(driver.EvPwritev, "B"), 0)
	ctx, cancel := context.WithCancelCause(s.ctx)
	s.start(ctx, "one", driver.EvPwritev)
	s.must(s.b.Resume("B"), 0)
	s.expect("suspended B", "suspended A", "resumed B")
	cancel(errors.New("interrupted"))
	s.requests.Wait()
	s.expect("one: interrupted")
	s.must(s.b.Resume("A"), syscall.ENOENT)
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestWaitSuspended(t *testing.T) {
	s := newStage(t)
	if err := s.b.WaitSuspended(cancelled(), "A"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled wait: %v", err)
	}
	s.must(s.b.Break(driver.EvPwritev, "A"), 0)
	waited := make(chan error)
	go func() { waited <- s.b.WaitSuspended(context.Background(), "A") }()
	s.start(s.ctx, "one", driver.EvPwritev)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	s.must(s.b.WaitSuspended(context.Background(), "A"), 0)
	s.must(s.b.Resume("A"), 0)
	s.expect("suspended A", "resumed A", "one done")
}

// TestHeldInReadModifyWrite holds a request in the middle of a read-modify-write while another one
// overlaps it.
func TestHeldInReadModifyWrite(t *testing.T) {
	var meter wait.Meter
	d, err := open1M(t, "test-image=mem,align=4k", func(driver.Notice) {})
	if err != nil {
		t.Fatal(err)
	}
	bp, ok := driver.Find[driver.Breakpointer](d.Top())
	if !ok {
		t.Fatal("no breakpoints")
	}
	if err := bp.Break(driver.EvPwritevRMWAfterHead, "A"); err != nil {
		t.Fatal(err)
	}
	ctx := wait.WithMeter(context.Background(), &meter)
	var wg sync.WaitGroup
	write := func(text string, off int64) {
		meter.Add(1)
		wg.Go(func() {
			defer meter.Add(-1)
			if err := d.Write(ctx, driver.Vec{[]byte(text)}, off, 0); err != nil {
				t.Error(err)
			}
		})
		if err := meter.Idle(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	write("one", 100)
	write("two", 103)
	if !bp.Suspended("A") {
		t.Error("the first request should be held")
	}
	if err := bp.Resume("A"); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	got := make([]byte, 6)
	if err := d.Read(ctx, driver.Vec{got}, 100, 0); err != nil || string(got) != "onetwo" {
		t.Errorf("%q, %v", got, err)
	}
}
