package job

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/blksh/blksh/verify/fio"
)

// batchBytes is how much data changes goroutines at once, and batchSlots how many slots: enough
// that the hand-over costs nothing, and little enough to stay in the cache.
const (
	batchBytes = 256 << 10
	batchSlots = 64
)

// maxMerged is how many requests of a job one slot carries at most.
const maxMerged = 512

// requestBytes is the memory that one of them takes.
var requestBytes = int(reflect.TypeFor[fio.Request]().Size())

// A slot is what the engine knows about a slot of the queue.
type slot struct {
	kind slotKind
	off  int64
	n    int
	// requests are those of the job that the slot carries, one behind the
	// other; none when the headers say what is there.
	requests []fio.Request
	busy     bool
	// built says that it is ready to be written, and behind is how far the job is with that.
	built  bool
	behind milestone
	// trouble is the place of the first block of a scan that is not plainly
	// good, -1 if all are; seen counts those before it. looked says that both
	// are known, and that it is not yet the slot's turn.
	trouble int
	seen    Result
	looked  bool
}

type slotKind uint8

const (
	slotRead  slotKind = iota // read and check
	slotZero                  // read and check for zeroes
	slotLoad                  // read only
	slotWrite                 // build and write
)

// An engine moves slots between the queue and the workers. The goroutine that
// runs it owns the queue; batches of slots go to the workers and back.
type engine struct {
	q     Queue
	depth int // requests in flight at most
	ahead int // slots that may be built meanwhile, if not only one goroutine works
	slots []slot
	free  []int
	// flying and working count the slots in the queue and with the workers.
	flying, working int
	sent            int64 // reads and writes so far
	done            []int // of Reap

	workers []*worker
	todo    chan []int
	back    chan []int
	spare   [][]int
	wait    sync.WaitGroup

	// window is how many requests are to be in flight, and staged those that are about to be.
	window int
	staged []int
	crew   *crew

	progress func()
}

// A worker builds and checks what is in slots.
type worker struct {
	builder *fio.Builder
	checker *checker
}

// maxMemory bounds the memory of all slots, in bytes.
const maxMemory = 256 << 20

// means are what an engine has: requests in flight at most, workers, and bytes of
// memory for its slots.
type means struct {
	depth, workers, memory int
}

// newEngine opens the queue and starts the workers.
func newEngine(ctx context.Context, t *task, open Opener, size int, m means) (*engine, error) {
	e := &engine{depth: m.depth, progress: t.progress}
	if m.workers > 1 {
		e.ahead = m.workers * max(2, min(2*batchSlots, 2*batchBytes/size))
	}
	room := t.room(size)
	total := max(1, min(e.depth+e.ahead, m.memory/slotBytes(size, room)))
	e.depth = min(e.depth, total)
	var err error
	if e.q, err = open(ctx, total, size); err != nil {
		return nil, err
	}
	e.window = e.depth
	e.slots, e.done = make([]slot, e.q.Depth()), make([]int, e.q.Depth())
	newCrew(releaseAtOnce).join(e)
	for i := range e.slots {
		e.slots[i].requests = make([]fio.Request, 0, room)
		e.free = append(e.free, i)
	}
	e.employ(m.workers, t)
	return e, nil
}

// room is how many requests of the job a slot of size bytes carries at most.
func (t *task) room(size int) int {
	if t.run.MaxRequest <= t.l.MaxBlock {
		return 1
	}
	return max(1, min(size/t.l.MinBlock, maxMerged))
}

// slotBytes is the memory of a slot for size bytes, which lie in pages, and for room requests.
func slotBytes(size, room int) int {
	return (size+pageSize-1)&^(pageSize-1) + room*requestBytes
}

// employ starts n workers. A single one works on the goroutine that runs the engine.
func (e *engine) employ(n int, t *task) {
	for range n {
		e.workers = append(e.workers, t.newWorker())
	}
	if n == 1 {
		return
	}
	e.todo, e.back = make(chan []int, len(e.slots)), make(chan []int, len(e.slots))
	for _, w := range e.workers {
		e.wait.Go(func() {
			for batch := range e.todo {
				e.work(w, batch)
				e.back <- batch
			}
		})
	}
}

// close ends the workers and the queue.
func (e *engine) close() error {
	if e.todo != nil {
		close(e.todo)
		e.wait.Wait()
	}
	return e.q.Close()
}

func (e *engine) work(w *worker, batch []int) {
	for _, i := range batch {
		w.do(&e.slots[i], e.q.Buffer(i))
	}
}

// do builds what is to be written and checks what was read.
func (w *worker) do(s *slot, p []byte) {
	p = p[:s.n]
	switch {
	case s.kind == slotLoad:
	case s.kind == slotZero:
		w.checker.zeroes(p, s.off)
	case s.kind == slotRead && len(s.requests) == 0:
		w.checker.look(s, p)
	default:
		for i := range s.requests {
			r := &s.requests[i]
			at := r.Off - s.off
			if q := p[at : at+int64(r.N)]; s.kind == slotWrite {
				w.builder.Build(q, r)
			} else {
				w.checker.request(q, r)
			}
		}
	}
}

// give hands slots to the workers, in batches of about the same size, or does
// the work at once if there is but one. Worked slots arrive at then.
func (e *engine) give(list []int, then func(slot int)) {
	if len(e.workers) == 1 {
		for i := range list {
			e.work(e.workers[0], list[i:i+1])
			then(list[i])
		}
		return
	}
	for len(list) > 0 {
		n, size := 0, 0
		for n < min(len(list), batchSlots) && (n == 0 || size < batchBytes) {
			size += e.slots[list[n]].n
			n++
		}
		batch := append(e.batch(), list[:n]...)
		e.working += n
		e.todo <- batch
		list = list[n:]
	}
}

// batch is an empty one.
func (e *engine) batch() []int {
	last := len(e.spare) - 1
	if last < 0 {
		return make([]int, 0, batchSlots)
	}
	b := e.spare[last]
	e.spare = e.spare[:last]
	return b[:0]
}

// take gets worked slots back and passes them to then; it waits for one batch if wait is set.
func (e *engine) take(wait bool, then func(slot int)) {
	for e.working > 0 {
		var batch []int
		if wait {
			batch = <-e.back
		} else {
			select {
			case batch = <-e.back:
			default:
				return
			}
		}
		wait = false
		e.working -= len(batch)
		for _, i := range batch {
			then(i)
		}
		e.spare = append(e.spare, batch)
	}
}

// acquire takes a free slot and has it filled.
func (e *engine) acquire(src source) (i int, ok bool) {
	last := len(e.free) - 1
	i = e.free[last]
	if !src(&e.slots[i]) {
		return 0, false
	}
	e.free = e.free[:last]
	e.slots[i].busy = true
	return i, true
}

func (e *engine) release(i int) {
	e.slots[i].busy = false
	e.free = append(e.free, i)
	e.crew.freed.Broadcast()
}

// conflicts reports whether r overlaps what a busy slot has.
func (e *engine) conflicts(r *fio.Request) bool {
	for i := range e.slots {
		if s := &e.slots[i]; s.busy && r.Off < s.off+int64(s.n) && s.off < r.Off+int64(r.N) {
			return true
		}
	}
	return false
}

// A source fills slots: false when there is nothing more for now.
type source func(s *slot) bool

// turn starts what is staged, waits for a completion and returns the slots that
// went well. The others go to failed and are released.
func (e *engine) turn(staged int, failed func(*slot, error)) ([]int, error) {
	e.flying += staged
	e.sent += int64(staged)
	if e.flying == 0 {
		return nil, nil
	}
	n, err := e.start()
	if err != nil {
		return nil, err
	}
	e.adapt(e.done[:n])
	e.flying -= n
	return slices.DeleteFunc(e.done[:n], func(i int) bool {
		if err := e.q.Err(i); err != nil {
			failed(&e.slots[i], err)
			e.settle(i)
			return true
		}
		return false
	}), nil
}

// start starts what is staged and waits for a completion. The short way is for who
// has nothing else to do meanwhile: it keeps the processor from workers.
func (e *engine) start() (done int, err error) {
	if e.todo == nil {
		return e.q.SubmitAndReap(1, e.done)
	}
	if err := e.q.Submit(); err != nil {
		return 0, err
	}
	return e.q.Reap(1, e.done)
}

// warmBytes is how much is in flight at a device that has everything ready, or one request: what
// was read is to be checked, and what was built to be written, before it leaves the cache.
const warmBytes = 512 << 10

// adapt sets how many requests are to be in flight, from which of them were done
// when the first was: few if all were, and more if not.
func (e *engine) adapt(done []int) {
	bytes := 0
	for _, i := range done {
		bytes += e.slots[i].n
	}
	switch {
	case len(done) < e.flying || 2*bytes <= warmBytes:
		e.window = min(2*e.window, e.depth)
	case bytes > warmBytes:
		e.window = max(e.window/2, 1)
	}
}

// An author says what is written, and hears what became of it.
type author interface {
	// next fills a slot: false when there is nothing more for now.
	next(s *slot) bool
	// issue is told of built slots before they start.
	issue(slots []int) error
	// done and failed are told of those that have ended.
	done(s *slot)
	failed(s *slot, err error)
	// halted reports whether no more is to be started.
	halted() bool
}

// write builds what the author says and writes it, in that order. When ctx ends
// or the author halts, what is in flight ends, and what was not started is left.
func (e *engine) write(ctx context.Context, by author) error {
	var line, fresh []int // slots that are to be written, and those of them that are to be built
	ready := func(i int) { e.slots[i].built = true }
	for ended := false; ; {
		halted := ctx.Err() != nil || by.halted()
		fresh = fresh[:0]
		for lacking := e.lacking(len(line)); !ended && !halted && len(fresh) < lacking; {
			i, ok := e.acquire(by.next)
			if ended = !ok; ended {
				break
			}
			e.slots[i].built = false
			fresh = append(fresh, i)
		}
		line = append(line, fresh...)
		e.give(fresh, ready)
		e.take(e.flying == 0 && (halted || e.built(line) == 0), ready)
		if halted && e.working == 0 {
			line = e.drop(line)
		}
		n := 0
		if !halted {
			n = min(e.built(line), max(0, e.window-e.flying))
		}
		if n == 0 && e.flying == 0 && len(line) == 0 && (ended || halted) {
			return ctx.Err()
		}
		if err := e.stage(line[:n], by); err != nil {
			return err
		}
		line = line[:copy(line, line[n:])]
		list, err := e.turn(n, by.failed)
		if err != nil {
			return fmt.Errorf("send writes: %w", err)
		}
		for _, i := range list {
			by.done(&e.slots[i])
			e.release(i)
		}
		e.progress()
	}
}

// drop gives back slots that are not to be written after all.
func (e *engine) drop(line []int) []int {
	for _, i := range line {
		e.release(i)
	}
	return line[:0]
}

// lacking is how many slots are to be filled if so many stand in line to be
// written. Where others build them, it is some batches at a time.
func (e *engine) lacking(line int) int {
	want := e.window - e.flying
	if e.todo != nil {
		if want = e.ahead; line > want/2 {
			return 0
		}
	}
	return min(len(e.free), want-line)
}

// built is how many slots at the head of a line are built.
func (e *engine) built(line []int) int {
	n := 0
	for n < len(line) && n < e.depth && e.slots[line[n]].built {
		n++
	}
	return n
}

// stage stages built writes, and the reads of a mixed job.
func (e *engine) stage(list []int, by author) error {
	if len(list) == 0 {
		return nil
	}
	if err := by.issue(list); err != nil {
		return err
	}
	for _, i := range list {
		s, op := &e.slots[i], OpRead
		if s.kind == slotWrite {
			op = OpWrite
		}
		e.q.Stage(i, op, s.off, int64(s.n), 0)
	}
	return nil
}

// single does one request on slot 0, with nothing else in flight.
func (e *engine) single(op uint8, off, n int64) error {
	e.q.Stage(0, op, off, n, 0)
	e.flying++
	if err := e.q.Submit(); err != nil {
		return err
	}
	for e.flying > 0 {
		n, err := e.q.Reap(1, e.done)
		if err != nil {
			return err
		}
		e.flying -= n
	}
	return e.q.Err(0)
}

// A ticker calls a function at most once an interval.
type ticker struct {
	now  func() time.Time
	last time.Time
	call func()
}

// progressInterval is how often progress is reported at most.
const progressInterval = 100 * time.Millisecond

func (t *ticker) tick() {
	if now := t.now(); now.Sub(t.last) >= progressInterval {
		t.last = now
		t.call()
	}
}
