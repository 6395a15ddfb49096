package repl

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// locked is a buffer that may be written and read concurrently.
type locked struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take returns what was written since.
func (l *locked) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

func columns(n int) func() int { return func() int { return n } }

// pass lets time pass, and what is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

const gone = "\r\x1b[K"

func TestProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w locked
		p := NewProgress(&w, columns(80))
		add, end := p.Begin(Work{What: "read", Total: 10 << 30})
		add(1 << 30)
		pass(quick - time.Millisecond)
		if got := w.take(); got != "" {
			t.Errorf("before a second: %q", got)
		}
		pass(time.Millisecond)
		if got, want := w.take(), gone+
			"read   10%  1.00 GiB of 10.0 GiB  1.00 GiB/s  9s left"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		pass(redraw - time.Millisecond)
		if got := w.take(); got != "" {
			t.Errorf("too soon: %q", got)
		}
		add(4 << 30)
		pass(4*time.Second + time.Millisecond - redraw)
		if got, want := w.take(), gone+
			"read   50%  5.00 GiB of 10.0 GiB  1.00 GiB/s  5s left"; !strings.HasSuffix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		end()
		end()
		if got := w.take(); got != gone {
			t.Errorf("the end: %q", got)
		}
		pass(time.Minute)
		if got := w.take(); got != "" {
			t.Errorf("after the end: %q", got)
		}
	})
}

func TestProgressOfQuickWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w locked
		p := NewProgress(&w, columns(80))
		_, end := p.Begin(Work{What: "read", Total: 1})
		pass(quick / 2)
		end()
		pass(time.Minute)
		if got := w.take(); got != "" {
			t.Errorf("%q", got)
		}
	})
}

func TestProgressWithoutTerminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w locked
		p := NewProgress(&w, nil)
		add, end := p.Begin(Work{What: "iszero", Total: 0})
		add(3 << 20)
		pass(3 * time.Second)
		if got := w.take(); got != "" {
			t.Errorf("unasked: %q", got)
		}
		p.Print()
		if got, want := w.take(), "iszero  3.00 MiB  1.00 MiB/s\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		end()
		p.Print()
		if got, want := w.take(), "nothing under way\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestProgressMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w locked
		p := NewProgress(&w, columns(10))
		out := p.Over(&w)
		_, end := p.Begin(Work{What: "read", Total: 0})
		defer end()
		pass(quick)
		if got, want := w.take(), gone+"read  0 B"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if _, err := out.Write([]byte("out\n")); err != nil {
			t.Error(err)
		}
		if got, want := w.take(), gone+"out\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if _, err := out.Write([]byte("more\n")); err != nil {
			t.Error(err)
		}
		if got, want := w.take(), "more\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestProgressOfSeveral(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w locked
		p := NewProgress(&w, columns(80))
		_, endFirst := p.Begin(Work{What: "first", Total: 0})
		add, endSecond := p.Begin(Work{What: "second", Total: 0})
		add(1)
		pass(quick)
		endSecond()
		if got, want := w.take(), gone+"first  0 B"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		endFirst()
		_, endThird := p.Begin(Work{What: "third", Total: 0})
		defer endThird()
		pass(quick)
		if got, want := w.take(), gone+gone+"third  0 B"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestProgressWords(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		total, done int64
		after       time.Duration
		want        string
	}{
		{100, 0, time.Second, "x    0%  0 B of 100 B"},
		{100, 100, time.Second, "x  100%  100 B of 100 B  100 B/s"},
		{100, 50, 0, "x   50%  50 B of 100 B"},
		{100, 150, time.Second, "x  150%  150 B of 100 B  150 B/s"}, // it grew meanwhile
		{1 << 60, 1, time.Second, "x    0%  1 B of 1.00 EiB  1 B/s"},
		{7200, 1, time.Second, "x    0%  1 B of 7.03 KiB  1 B/s  1h59m59s left"},
		{0, -1, time.Second, "x  0 B"},
	} {
		w := &work{Work: Work{What: "x", Total: c.total}, begun: now}
		w.done.Store(c.done)
		if got := w.line(now.Add(c.after)); got != c.want {
			t.Errorf("%d of %d after %v: %q, want %q", c.done, c.total, c.after, got, c.want)
		}
	}
}

// TestProgressLeave takes the line away before its work has ended, as Ctrl-C does, and wants no
// line again until there is other work.
func TestProgressLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w locked
		p := NewProgress(&w, columns(80))
		_, end := p.Begin(Work{What: "read", Total: 1 << 30})
		pass(quick)
		w.take()
		p.Leave()
		if got := w.take(); got != gone {
			t.Errorf("%q, want %q", got, gone)
		}
		pass(time.Minute)
		end()
		if got := w.take(); got != "" {
			t.Errorf("after Leave: %q", got)
		}
		p.Leave() // there is nothing
		_, end = p.Begin(Work{What: "read", Total: 1 << 30})
		pass(quick)
		if got := w.take(); got == "" {
			t.Error("no line for the work after it")
		}
		end()

		p = NewProgress(&w, nil)
		w.take()
		_, end = p.Begin(Work{What: "read", Total: 0})
		p.Leave()
		if got, want := w.take(), "read  0 B\n"; got != want {
			t.Errorf("without a terminal %q, want %q", got, want)
		}
		end()
	})
}

// TestLoadLine: a load is told of by its requests, and by the time that it still takes.
func TestLoadLine(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		work    Work
		done    int64
		elapsed time.Duration
		want    string
	}{
		{
			Work{What: "randread", Request: 4096, Time: 5 * time.Second},
			2000 * 4096, 2 * time.Second,
			"randread   40%  7.81 MiB  3.91 MiB/s  1000 IOPS  3s left",
		},
		{
			Work{What: "randread", Request: 4096, Time: 5 * time.Second},
			2000 * 4096, 8 * time.Second,
			"randread  100%  7.81 MiB  1000 KiB/s  250 IOPS",
		},
		{
			Work{What: "read", Request: 4096, Total: 4000 * 4096},
			1000 * 4096, time.Second,
			"read   25%  3.91 MiB of 15.6 MiB  3.91 MiB/s  1000 IOPS  3s left",
		},
	} {
		w := &work{Work: c.work, begun: now.Add(-c.elapsed)}
		w.done.Store(c.done)
		if got := w.line(now); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
