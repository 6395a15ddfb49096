package blockdev

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// resized is a node whose changes of length stop in the middle, until somebody takes them on.
type resized struct {
	*ram
	middle, goOn chan struct{}
}

func (r *resized) Truncate(_ context.Context, size int64, _ Prealloc, _ Flags) error {
	r.middle <- struct{}{}
	<-r.goOn
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = append(r.data[:min(size, int64(len(r.data)))],
		make([]byte, max(0, size-int64(len(r.data))))...)
	r.log = append(r.log, "truncate")
	return nil
}

// While one changes the length, everything else on the node waits, wherever it is.
func TestGuardTruncatesAlone(t *testing.T) {
	_, r := guarded(t, 8192, driver.Limits{})
	g := newGuard(&resized{r, make(chan struct{}), make(chan struct{})}, "ram")
	node := g.node.(*resized)
	g.unmap.Store(true)
	var m wait.Meter
	ctx := wait.WithMeter(t.Context(), &m)
	errs := make(chan error)
	start := func(do func() error) {
		m.Add(1)
		go func() {
			err := do()
			m.Add(-1)
			errs <- err
		}()
	}
	first := make(chan error)
	go func() { first <- g.Truncate(t.Context(), 16384, PreallocOff, 0) }() // uncounted
	<-node.middle
	requests := []func() error{
		func() error { return g.ReadVec(ctx, Vec{make([]byte, 512)}, 0, 0) },
		func() error { return g.WriteVec(ctx, Vec{make([]byte, 512)}, 512, 0) },
		func() error { return g.Zero(ctx, 1024, 512, 0) },
		func() error { return g.Discard(ctx, 2048, 512, 0) },
		func() error { return g.Flush(ctx) },
		func() error { _, err := g.Status(ctx, 4096, 512); return err },
	}
	for _, do := range requests {
		start(do)
	}
	if err := m.Idle(t.Context()); err != nil { // all of them wait
		t.Fatal(err)
	}
	if len(r.log) != 0 {
		t.Errorf("while the length changes: %q", r.log)
	}
	node.goOn <- struct{}{}
	for range requests {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := <-first; err != nil || r.log[0] != "truncate" {
		t.Errorf("%v, %q", err, r.log)
	}

	start(func() error { return g.Truncate(ctx, 4096, PreallocOff, 0) })
	<-node.middle
	second := make(chan error)
	m.Add(1)
	go func() {
		err := g.Truncate(ctx, 32768, PreallocOff, 0)
		m.Add(-1)
		second <- err
	}()
	m.Add(-1) // the first one is busy outside
	if err := m.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Add(1)
	node.goOn <- struct{}{}
	<-node.middle
	node.goOn <- struct{}{}
	if err := errors.Join(<-errs, <-second); err != nil || len(r.data) != 32768 {
		t.Errorf("%d bytes, %v", len(r.data), err)
	}
}

// telling is a node that answers as it is told.
type telling struct {
	*ram
	answer func(off, n int64) Extent
}

func (r *telling) Status(_ context.Context, off, n int64) (Extent, error) {
	return r.answer(off, n), nil
}

// Runs that are shorter than the alignment of the node above are looked over up to the one that was
// asked about.
func TestGuardStatusOfShortRuns(t *testing.T) {
	_, r := guarded(t, 16384, driver.Limits{RequestAlign: 4096})
	g := newGuard(&telling{r, func(off, n int64) Extent {
		run := 512 - off%512
		return Extent{Off: off, Len: min(run, n), Data: off/512%2 == 0, HostOff: off}
	}}, "ram")
	for _, off := range []int64{0, 100, 512, 1000, 1024, 4095, 4096, 8191, 16383} {
		e, err := g.Status(t.Context(), off, 16384-off)
		want := Extent{Off: off, Len: 512 - off%512, Data: off/512%2 == 0, HostOff: off}
		if err != nil || e != want {
			t.Errorf("at %d: %+v, %v", off, e, err)
		}
	}
}

// An answer that cannot be is an error, and no loop runs on it.
func TestGuardStatusOfNonsense(t *testing.T) {
	_, r := guarded(t, 8192, driver.Limits{RequestAlign: 512})
	for _, e := range []Extent{
		{Off: 512, Len: 0}, {Off: 512, Len: -512}, {Off: 0, Len: 4096}, {Off: 1024, Len: 512}, {Off: 512, Len: 1 << 62}, {Off: 512, Len: 1024 + 512},
	} {
		g := newGuard(&telling{r, func(int64, int64) Extent { return e }}, "ram")
		if got, err := g.Status(t.Context(), 600, 700); !errors.Is(err, syscall.EIO) {
			t.Errorf("%+v became %+v, %v", e, got, err)
		}
	}
}

// A zero request that must not write is refused before anything is read or written for it.
func TestGuardNoFallbackOfParts(t *testing.T) {
	g, r := guarded(t, 8192, driver.Limits{RequestAlign: 512, ZeroTakes: NoFallback})
	for _, c := range []struct{ off, n int64 }{
		{100, 100},
		{0, 100},
		{512, 1000},
		{100, 4096},
		{100, 412},
	} {
		if err := g.Zero(t.Context(), c.off, c.n, NoFallback); !errors.Is(err, ErrNotSupported) {
			t.Errorf("%d bytes at %d: %v", c.n, c.off, err)
		}
	}
	if len(r.log) > 0 {
		t.Errorf("requests %q", r.log)
	}
	if err := g.Zero(t.Context(), 512, 1024, NoFallback); err != nil {
		t.Error(err)
	}
}

// Compressed data is durable when it was asked to be.
func TestGuardFlushesCompressed(t *testing.T) {
	g, r := guarded(t, 8192, driver.Limits{WriteTakes: Compressed})
	if err := g.WriteVec(t.Context(), Vec{make([]byte, 4096)}, 0, Compressed|FUA); err != nil {
		t.Fatal(err)
	}
	if want := []string{"write 0+4096 8", "flush"}; !slices.Equal(r.log, want) {
		t.Errorf("requests %q, want %q", r.log, want)
	}
}

// What others cut off stays an error, for requests of each kind.
func TestGuardLost(t *testing.T) {
	g, r := guarded(t, 4096, driver.Limits{LostOff: 4096, LostEnd: 8192})
	ctx := t.Context()
	for name, err := range map[string]error{
		"read":   g.ReadVec(ctx, Vec{make([]byte, 512)}, 8191, 0),
		"across": g.ReadVec(ctx, Vec{make([]byte, 512)}, 4000, 0),
		"write":  g.WriteVec(ctx, Vec{make([]byte, 512)}, 4096, 0),
		"zero":   g.Zero(ctx, 0, 8192, 0),
		"status": second(g.Status(ctx, 4096, 100)),
	} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(r.log) > 0 {
		t.Errorf("requests %q", r.log)
	}
	if err := errors.Join(g.ReadVec(ctx, Vec{make([]byte, 512)}, 3584, 0),
		g.ReadVec(ctx, Vec{make([]byte, 512)}, 8192, 0)); err != nil {
		t.Errorf("what is there, and what never was: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// Who closes waits for requests, but not for those in a queue, whose owner it may be. What comes
// later fails.
func TestTrackerCloses(t *testing.T) {
	var tr tracker
	queued, err := tr.enter(t.Context(), 0, 512)
	if err != nil {
		t.Fatal(err)
	}
	queued.Of.queued = true
	r, err := tr.hold(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	tr.close()
	var m wait.Meter
	m.Add(1)
	late := make(chan error)
	go func() {
		_, err := tr.enterControl(wait.WithMeter(context.Background(), &m))
		m.Add(-1)
		late <- err
	}()
	if err := m.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	tr.end(r)
	if err := <-late; !errors.Is(err, os.ErrClosed) {
		t.Errorf("a request that waited: %v", err)
	}
	if _, err := tr.enter(t.Context(), 0, 1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("one that came later: %v", err)
	}
	tr.end(queued)
}
