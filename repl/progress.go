package repl

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blksh/blksh/commands/units"
)

const (
	// quick is how long work may take before it is worth a line.
	quick = time.Second
	// redraw is how often the line changes.
	redraw = 250 * time.Millisecond
)

// Progress is a line that says how far a long command has come. It is shown on a terminal only, and
// taken away at the end.
type Progress struct {
	w     io.Writer
	width func() int // nil: w is no terminal

	mu    sync.Mutex
	work  *work // nil if there is none
	shown bool
	left  bool // the line of this work is not drawn any more
}

// Work is what a command is about to do.
type Work struct {
	What  string
	Total int64 // bytes; 0 if nobody knows
	// Request is how many bytes one request has, 0 if they are not of one length. Time is how long
	// the work takes, 0 if that is not known.
	Request int64
	Time    time.Duration
}

// work is one command on its way.
type work struct {
	Work
	begun time.Time
	done  atomic.Int64
}

// NewProgress makes a progress line on w. width tells how many characters fit in a line of w; it is
// nil if w is no terminal.
func NewProgress(w io.Writer, width func() int) *Progress {
	return &Progress{w: w, width: width}
}

// Begin begins work. add counts bytes that are done, from any goroutine; end takes the line away.
// Of several works only the first is shown.
func (p *Progress) Begin(what Work) (add func(n int64), end func()) {
	w := &work{Work: what, begun: time.Now()}
	add = func(n int64) { w.done.Add(n) }
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.work != nil {
		return add, func() {}
	}
	p.work = w
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		if p.width != nil {
			p.draw(stop)
		}
	}()
	return add, sync.OnceFunc(func() {
		close(stop)
		<-stopped
		p.mu.Lock()
		defer p.mu.Unlock()
		p.erase()
		p.work, p.left = nil, false
	})
}

// draw draws the line until stop.
func (p *Progress) draw(stop <-chan struct{}) {
	next := time.NewTimer(quick)
	defer next.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-next.C:
			p.redraw(now)
			next.Reset(redraw)
		}
	}
}

func (p *Progress) redraw(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return
	}
	line := p.work.line(now)
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", line[:min(len(line), max(0, p.width()-1))])
	p.shown = true
}

// Leave takes the line away for as long as the work goes on, which is about to be stopped. Where
// there is no line it says how far the work has come.
func (p *Progress) Leave() {
	if p.width == nil {
		if p.Busy() {
			p.Print()
		}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.left = p.work != nil
}

// erase takes the line away until it is drawn next.
func (p *Progress) erase() {
	if p.shown {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// Over makes a writer to the same terminal that takes the line away before it writes.
func (p *Progress) Over(w io.Writer) io.Writer {
	return writer(func(b []byte) (int, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.erase()
		return w.Write(b)
	})
}

// Busy says whether there is work.
func (p *Progress) Busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.work != nil
}

// Print writes a line about now, terminal or not.
func (p *Progress) Print() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	line := "nothing under way"
	if p.work != nil {
		line = p.work.line(time.Now())
	}
	_, _ = fmt.Fprintln(p.w, line)
}

// line is share, bytes, rates and time left, as far as they are known. It is ASCII, since what is
// the name of a command.
func (w *work) line(now time.Time) string {
	done, elapsed := w.done.Load(), now.Sub(w.begun)
	parts := []string{w.What}
	if share := w.share(done, elapsed); share >= 0 {
		parts = append(parts, fmt.Sprintf("%3.0f%%", 100*share))
	}
	if w.Total > 0 {
		parts = append(parts, units.Rough(float64(done))+" of "+units.Rough(float64(w.Total)))
	} else {
		parts = append(parts, units.Rough(float64(done)))
	}
	if done <= 0 || elapsed <= 0 {
		return strings.Join(parts, "  ")
	}
	rate := float64(done) / elapsed.Seconds()
	parts = append(parts, units.Rate(rate))
	if w.Request > 0 {
		parts = append(parts, units.IOPS(rate/float64(w.Request)))
	}
	left := w.Time - elapsed
	if w.Time == 0 {
		left = time.Duration(min(maxLeft.Seconds(),
			float64(w.Total-done)/rate) * float64(time.Second))
	}
	if left > 0 && left < maxLeft {
		parts = append(parts, units.Time(left.Round(time.Second))+" left")
	}
	return strings.Join(parts, "  ")
}

// share is how much of the work is done, below zero if nobody knows.
func (w *work) share(done int64, elapsed time.Duration) float64 {
	switch {
	case w.Total > 0:
		return float64(done) / float64(w.Total)
	case w.Time > 0:
		return min(1, max(0, elapsed.Seconds()/w.Time.Seconds()))
	}
	return -1
}

// maxLeft is where a forecast says nothing any more.
const maxLeft = 1000 * time.Hour
