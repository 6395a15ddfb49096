package job

import (
	"context"
	"slices"
	"sync"
	"unsafe"

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
const requestBytes = int(unsafe.Sizeof(fio.Request{}))

// A slot is what the pipeline knows about a slot of the queue.
type slot struct {
	op  slotOp
	off int64
	n   int
	// requests are those of the job that the slot carries, one behind the
	// other; none when the headers say what is there.
	requests []fio.Request
	busy     bool
	// zero says that it is known to be zero and need not be read.
	zero bool
	// built says that it is ready to be written, and behind is how far the job is with that.
	built  bool
	behind milestone
	// trouble is where in it is the first block of a scan that is not plainly
	// good, -1 if all are; seen counts those before it. looked says that both
	// are known, and that it is not yet the slot's turn.
	trouble int
	seen    Result
	looked  bool
}

type slotOp uint8

const (
	opCheck       slotOp = iota // read and check
	opCheckZeroes               // read and check for zeroes
	opLoad                      // read only
	opWrite                     // build and write
)

// An pipeline moves slots between the queue and the workers. The goroutine that
// runs it owns the queue; batches of slots go to the workers and back.
type pipeline struct {
	q     Queue
	depth int // requests in flight at most
	ahead int // slots that may be built meanwhile, if not only one goroutine works
	slots []slot
	free  []int
	// inFlight and working count the slots in the queue and with the workers.
	inFlight, working int
	sent              int64 // reads and writes so far
	done              []int // of Reap

	workers     []*worker
	todo        chan []int
	back        chan []int
	freeBatches [][]int
	wait        sync.WaitGroup

	// window is how many requests are to be in flight, and staged those that are about to be. blank
	// are slots of a read that are known to be zero.
	window  int
	staged  []int
	blank   []int
	readers *readers
	meter   *meter

	progress func()
}

// A worker builds and checks what is in slots.
type worker struct {
	builder *fio.Builder
	checker *checker
}

// maxMemory bounds the memory of all slots, in bytes.
const maxMemory = 256 << 20

// resources are what a pipeline has: requests in flight at most, workers, and bytes of
// memory for its slots.
type resources struct {
	depth, workers, memory int
}

// newPipeline opens the queue and starts the workers.
func newPipeline(ctx context.Context, t *task, open Opener, size int,
	m resources,
) (*pipeline, error) {
	pl := &pipeline{depth: m.depth, progress: t.progress}
	if m.workers > 1 {
		pl.ahead = m.workers * max(2, min(2*batchSlots, 2*batchBytes/size))
	}
	room := t.room(size)
	total := max(1, min(pl.depth+pl.ahead, m.memory/slotBytes(size, room)))
	pl.depth = min(pl.depth, total)
	var err error
	if pl.q, err = open(ctx, total, size); err != nil {
		return nil, err
	}
	pl.window, pl.meter = pl.depth, newMeter(t.hooks.Clock, pl.q.Depth())
	pl.slots, pl.done = make([]slot, pl.q.Depth()), make([]int, pl.q.Depth())
	newReaders(releaseAtOnce).join(pl)
	for i := range pl.slots {
		pl.slots[i].requests = make([]fio.Request, 0, room)
		pl.free = append(pl.free, i)
	}
	pl.startWorkers(m.workers, t)
	return pl, nil
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

// startWorkers starts n workers. A single one works on the goroutine that runs the pipeline.
func (pl *pipeline) startWorkers(n int, t *task) {
	for range n {
		pl.workers = append(pl.workers, t.newWorker())
	}
	if n == 1 {
		return
	}
	pl.todo, pl.back = make(chan []int, len(pl.slots)), make(chan []int, len(pl.slots))
	for _, w := range pl.workers {
		pl.wait.Go(func() {
			for batch := range pl.todo {
				pl.work(w, batch)
				pl.back <- batch
			}
		})
	}
}

// close ends the workers and the queue.
func (pl *pipeline) close() error {
	if pl.todo != nil {
		close(pl.todo)
		pl.wait.Wait()
	}
	return pl.q.Close()
}

func (pl *pipeline) work(w *worker, batch []int) {
	for _, i := range batch {
		w.do(&pl.slots[i], pl.q.Buffer(i))
	}
}

// do builds what is to be written and checks what was read.
func (w *worker) do(s *slot, p []byte) {
	p = p[:s.n]
	switch {
	case s.op == opLoad:
	case s.op == opCheckZeroes:
		w.checker.checkZeroes(p, s.off)
	case s.op == opCheck && len(s.requests) == 0:
		w.checker.look(s, p)
	default:
		for i := range s.requests {
			r := &s.requests[i]
			at := r.Off - s.off
			if q := p[at : at+int64(r.N)]; s.op == opWrite {
				w.builder.Build(q, r)
			} else {
				w.checker.checkRequest(q, r)
			}
		}
	}
}

// dispatch hands slots to the workers, in batches of about the same size, or does
// the work at once if there is but one. Worked slots arrive at then.
func (pl *pipeline) dispatch(list []int, then func(slot int)) {
	if len(pl.workers) == 1 {
		for i := range list {
			pl.work(pl.workers[0], list[i:i+1])
			then(list[i])
		}
		return
	}
	for len(list) > 0 {
		n, size := 0, 0
		for n < min(len(list), batchSlots) && (n == 0 || size < batchBytes) {
			size += pl.slots[list[n]].n
			n++
		}
		batch := append(pl.batch(), list[:n]...)
		pl.working += n
		pl.todo <- batch
		list = list[n:]
	}
}

// batch is an empty one.
func (pl *pipeline) batch() []int {
	last := len(pl.freeBatches) - 1
	if last < 0 {
		return make([]int, 0, batchSlots)
	}
	b := pl.freeBatches[last]
	pl.freeBatches = pl.freeBatches[:last]
	return b[:0]
}

// collect gets worked slots back and passes them to then; it waits for one batch if wait is set.
func (pl *pipeline) collect(wait bool, then func(slot int)) {
	for pl.working > 0 {
		var batch []int
		if wait {
			batch = <-pl.back
		} else {
			select {
			case batch = <-pl.back:
			default:
				return
			}
		}
		wait = false
		pl.working -= len(batch)
		for _, i := range batch {
			then(i)
		}
		pl.freeBatches = append(pl.freeBatches, batch)
	}
}

// acquire takes a free slot and has it filled.
func (pl *pipeline) acquire(src source) (i int, ok bool) {
	last := len(pl.free) - 1
	i = pl.free[last]
	if !src(&pl.slots[i]) {
		return 0, false
	}
	pl.free = pl.free[:last]
	pl.slots[i].busy = true
	return i, true
}

func (pl *pipeline) release(i int) {
	pl.slots[i].busy = false
	pl.free = append(pl.free, i)
	pl.readers.freed.Broadcast()
}

// conflicts reports whether r overlaps what a busy slot has.
func (pl *pipeline) conflicts(r *fio.Request) bool {
	for i := range pl.slots {
		if s := &pl.slots[i]; s.busy && r.Off < s.off+int64(s.n) && s.off < r.Off+int64(r.N) {
			return true
		}
	}
	return false
}

// A source fills slots: false when there is nothing more for now.
type source func(s *slot) bool

// turn starts what is staged, waits for a completion and returns the slots that
// went well. The others go to failed and are released.
func (pl *pipeline) turn(staged []int, failed func(*slot, error)) ([]int, error) {
	pl.inFlight += len(staged)
	pl.sent += int64(len(staged))
	if pl.inFlight == 0 {
		return nil, nil
	}
	pl.meter.send(staged)
	n, err := pl.start()
	if err != nil {
		return nil, err
	}
	pl.meter.ended(pl.done[:n], pl.slots)
	pl.adapt(pl.done[:n])
	pl.inFlight -= n
	return slices.DeleteFunc(pl.done[:n], func(i int) bool {
		if err := pl.q.Err(i); err != nil {
			failed(&pl.slots[i], err)
			pl.settle(i)
			return true
		}
		return false
	}), nil
}

// start starts what is staged and waits for a completion. The short way is for who
// has nothing else to do meanwhile: it keeps the processor from workers.
func (pl *pipeline) start() (done int, err error) {
	if pl.todo == nil {
		return pl.q.SubmitAndReap(1, pl.done)
	}
	if err := pl.q.Submit(); err != nil {
		return 0, err
	}
	return pl.q.Reap(1, pl.done)
}

// warmBytes is how much is in flight at a device that has everything ready, or one request: what
// was read is to be checked, and what was built to be written, before it leaves the cache.
const warmBytes = 512 << 10

// adapt sets how many requests are to be in flight, from which of them were done
// when the first was: few if all were, and more if not.
func (pl *pipeline) adapt(done []int) {
	bytes := 0
	for _, i := range done {
		bytes += pl.slots[i].n
	}
	switch {
	case len(done) < pl.inFlight || 2*bytes <= warmBytes:
		pl.window = min(2*pl.window, pl.depth)
	case bytes > warmBytes:
		pl.window = max(pl.window/2, 1)
	}
}

// drop gives back slots that are not to be written after all.
func (pl *pipeline) drop(line []int) []int {
	for _, i := range line {
		pl.release(i)
	}
	return line[:0]
}

// lacking is how many slots are to be filled if so many stand in line to be
// written. Where others build them, it is some batches at a time.
func (pl *pipeline) lacking(line int) int {
	want := pl.window - pl.inFlight
	if pl.todo != nil {
		if want = pl.ahead; line > want/2 {
			return 0
		}
	}
	return min(len(pl.free), want-line)
}

// built is how many slots at the head of a line are built.
func (pl *pipeline) built(line []int) int {
	n := 0
	for n < len(line) && n < pl.depth && pl.slots[line[n]].built {
		n++
	}
	return n
}
