// Package load puts a device under load and measures what it does.
//
// One goroutine owns a batch queue and keeps it full: as soon as a request is done, its slot
// carries the next one. Nothing is allocated a request, and the clock is looked at once each time
// that something is done, which is when those requests end and the next ones begin; so what is
// measured is the device and not the measuring. Latencies go into a histogram of fixed size.
//
// A random load draws each block anew, so that one may be chosen twice before another is chosen
// once.
package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/job"
	"github.com/blksh/blksh/verify/latency"
)

// Job is a load.
type Job struct {
	Write  bool
	Random bool
	// Off and Len are the range, of which whole blocks are used. A sequential load begins anew at
	// its end.
	Off, Len int64
	Block    int // bytes of a request
	Depth    int // requests under way
	// Requests and Time end the load, whichever is reached first; 0 is no limit, and one of them
	// must be there.
	Requests int64
	Time     time.Duration
	// Content fills the memory that is written from, once: slot i holds what belongs at offset i
	// times Block.
	Content verify.Pattern
	// Flush: the load ends with a flush, whose time counts.
	Flush bool
	// Seed makes random loads repeatable.
	Seed uint64

	// Open makes the queue.
	Open job.Opener
	// Clock is the time since some moment in the past.
	Clock func() time.Duration
	// Progress is told of bytes that are done. It may be nil.
	Progress func(n int64)
}

// Result is what came of it.
type Result struct {
	Requests     int64
	Elapsed      time.Duration
	User, System time.Duration // of the processors, for the whole process
	Latency      latency.Histogram
}

// checkEvery is how many requests may pass between two looks at what might end the load.
const checkEvery = 32

// running is a Job under way.
type running struct {
	Job
	queue  job.Queue
	ctx    context.Context
	random *rand.PCG
	blocks uint64 // in the range
	next   uint64 // block of a sequential load
	left   int64  // requests that may still be begun

	start   time.Duration
	began   []time.Duration // of each slot's request
	staged  []int
	done    []int
	flying  int
	unaware int           // requests since ctx was looked at
	last    time.Duration // when something was done last
	result  *Result
}

// Run makes the load. When ctx ends, it says so and returns what was measured until then.
func Run(ctx context.Context, j Job) (result *Result, err error) {
	if j.Block <= 0 || j.Len < int64(j.Block) {
		return nil, fmt.Errorf("no block of %d fits in %d bytes: %w", j.Block, j.Len,
			syscall.EINVAL)
	}
	q, err := j.Open(ctx, j.Depth, j.Block)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	r := &running{
		Job: j, queue: q, ctx: ctx, random: rand.NewPCG(j.Seed, 0),
		blocks: uint64(j.Len / int64(j.Block)), left: cmp.Or(j.Requests, math.MaxInt64),
		began: make([]time.Duration, j.Depth), staged: make([]int, 0, j.Depth),
		done: make([]int, j.Depth), result: &Result{},
	}
	if j.Write {
		for i := range j.Depth {
			j.Content.Fill(q.Buffer(i)[:j.Block], int64(i)*int64(j.Block))
		}
	}
	return r.result, r.measure()
}

// measure runs the load between two looks at the clocks.
func (r *running) measure() error {
	user, system, err := cpu()
	if err != nil {
		return err
	}
	r.start = r.Clock()
	r.last = r.start
	err = r.run()
	if err == nil && r.Flush {
		err = r.flush()
	}
	r.result.Elapsed = r.Clock() - r.start
	if err != nil { // what was waited for in vain is not of the load
		r.result.Elapsed = r.last - r.start
	}
	userNow, systemNow, cpuErr := cpu()
	r.result.User, r.result.System = userNow-user, systemNow-system
	return errors.Join(err, cpuErr)
}

// run keeps the queue full until the load ends, and then empties it.
func (r *running) run() error {
	for i := range r.Depth {
		r.stage(i)
	}
	now := r.start
	for {
		r.begin(now)
		if r.flying == 0 {
			return context.Cause(r.ctx)
		}
		n, err := r.queue.SubmitAndReap(1, r.done)
		if err != nil {
			return err
		}
		now = r.Clock()
		if err := r.collect(r.done[:n], now); err != nil {
			return err
		}
		if r.over(n, now) {
			r.left = 0
		}
		for _, slot := range r.done[:n] {
			r.stage(slot)
		}
	}
}

// stage puts the next request on a slot, if there is to be one.
func (r *running) stage(slot int) {
	if r.left == 0 {
		return
	}
	r.left--
	block := r.next
	if r.Random {
		block = r.random.Uint64() % r.blocks
	} else if r.next++; r.next == r.blocks {
		r.next = 0
	}
	off := r.Off + int64(block)*int64(r.Block)
	op := job.OpRead
	if r.Write {
		op = job.OpWrite
	}
	r.queue.Stage(slot, op, off, int64(r.Block), 0)
	r.staged = append(r.staged, slot)
}

// begin notes when the requests begin that were staged.
func (r *running) begin(now time.Duration) {
	for _, slot := range r.staged {
		r.began[slot] = now
	}
	r.flying += len(r.staged)
	r.staged = r.staged[:0]
}

// collect notes requests that are done.
func (r *running) collect(slots []int, now time.Duration) error {
	r.flying -= len(slots)
	for _, slot := range slots {
		if err := r.queue.Err(slot); err != nil {
			return err
		}
		r.result.Latency.Add(now - r.began[slot])
	}
	r.result.Requests += int64(len(slots))
	r.last = now
	if r.Progress != nil {
		r.Progress(int64(len(slots)) * int64(r.Block))
	}
	return nil
}

// over says whether no further request is to be begun.
func (r *running) over(n int, now time.Duration) bool {
	if r.Time > 0 && now-r.start >= r.Time {
		return true
	}
	if r.unaware += n; r.unaware < checkEvery {
		return false
	}
	r.unaware = 0
	return r.ctx.Err() != nil
}

func (r *running) flush() error {
	r.queue.Stage(0, job.OpFlush, 0, 0, 0)
	if _, err := r.queue.SubmitAndReap(1, r.done); err != nil {
		return err
	}
	return r.queue.Err(0)
}

// cpu is the time that processors have worked for this process.
func cpu() (user, system time.Duration, err error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano()), nil
}
