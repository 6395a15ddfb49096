package job

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
)

// readers are the pipelines that share the blocks of one pass that only reads. Each reads and
// checks on a goroutine and a queue of its own, so that what was read is still in its processor's
// cache when it is checked, and nothing but the offsets of the next blocks is handed over.
type readers struct {
	// mu guards the source of slots, what becomes of them, and the free ones.
	mu    sync.Mutex
	freed sync.Cond
	list  []*pipeline
	// settle takes slots that were read, whatever became of them, and releases
	// them sooner or later: that of a pipeline, or those of others too.
	settle func(pl *pipeline, slot int)
	// err is why the first pipeline gave up. Slots that others hold may then never be settled.
	err error
}

func newReaders(settle func(pl *pipeline, slot int)) *readers {
	rs := &readers{settle: settle}
	rs.freed.L = &rs.mu
	return rs
}

// releaseAtOnce is a settle for slots that need no turn.
func releaseAtOnce(pl *pipeline, slot int) { pl.release(slot) }

// join makes a pipeline one of them.
func (rs *readers) join(pl *pipeline) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	pl.readers = rs
	rs.list = append(rs.list, pl)
}

// quit notes the first reason to give up, and ends all waiting.
func (rs *readers) quit(err error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.err == nil {
		rs.err = err
	}
	rs.freed.Broadcast()
}

// read has what src says read and checked, by as many pipelines as there are workers, and requests
// in flight to share out. src and settle are called by one pipeline at a time, failed by any.
func (t *task) read(ctx context.Context, open Opener, size int, src source,
	settle func(*pipeline, int), failed func(*slot, error),
) error {
	rs := newReaders(settle)
	share := max(1, min(t.workers(), t.run.IODepth, maxMemory/slotBytes(size, t.room(size))))
	shared, cancel := context.WithCancel(ctx)
	defer cancel()
	work := func(pl *pipeline, progress func()) error {
		pl.progress = progress
		rs.join(pl)
		err := pl.read(shared, src, failed)
		if err != nil {
			rs.quit(err) // before the memory of slots goes that others may settle
			cancel()
		}
		return err
	}
	var others sync.WaitGroup
	help := func(turn int) {
		joined := false
		err := t.withResources(shared, open, size, t.share(size, share, turn),
			func(pl *pipeline) error {
				joined = true
				return work(pl, func() {})
			})
		if joined && err != nil {
			rs.quit(err) // a pipeline that cannot be had is done without
		}
	}
	err := t.withResources(shared, open, size, t.share(size, share, 0), func(pl *pipeline) error {
		for turn := 1; turn < share; turn++ {
			others.Go(func() { help(turn) })
		}
		return work(pl, t.progress)
	})
	others.Wait()
	return cmp.Or(err, rs.err, ctx.Err())
}

// share is what the pipeline with number turn, from 0, of share has. Where it never
// has a batch to hand over, it checks what it read itself.
func (t *task) share(size, share, turn int) resources {
	depth := max(t.run.IODepth, 1)
	m := resources{
		depth*(turn+1)/share - depth*turn/share, max(t.workers()/share, 1),
		maxMemory / share,
	}
	if m.depth*size < batchBytes {
		m.workers = 1
	}
	return m
}

// read reads what src says and has it checked, until there is no more or ctx
// ends. failed gets slots that could not be read.
func (pl *pipeline) read(ctx context.Context, src source, failed func(s *slot, err error)) error {
	for ended := false; ; ended = ended || ctx.Err() != nil {
		if !ended {
			ended = pl.refill(src)
		}
		pl.stageReads()
		if len(pl.staged)+len(pl.blank) == 0 && pl.inFlight == 0 && pl.working == 0 &&
			pl.idle(ended) {
			return nil
		}
		list, err := pl.turn(pl.staged, failed)
		if err != nil {
			return fmt.Errorf("send reads: %w", err)
		}
		pl.staged = pl.staged[:0]
		pl.dispatch(pl.blank, pl.settle)
		pl.dispatch(list, pl.settle)
		pl.collect(pl.inFlight == 0 || pl.full(), pl.settle)
		pl.progress()
	}
}

// stageReads stages the slots that are to be read. The others, which are known to be zero, are as
// if they had been.
func (pl *pipeline) stageReads() {
	pl.blank = pl.blank[:0]
	pl.staged = slices.DeleteFunc(pl.staged, func(i int) bool {
		s := &pl.slots[i]
		if s.zero {
			clear(pl.q.Buffer(i)[:s.n])
			pl.blank = append(pl.blank, i)
			return true
		}
		pl.q.Stage(i, OpRead, s.off, int64(s.n), 0)
		return false
	})
}

// refill has free slots filled, and reports whether nothing more is to come.
func (pl *pipeline) refill(src source) (ended bool) {
	pl.readers.mu.Lock()
	defer pl.readers.mu.Unlock()
	for pl.readers.err == nil && len(pl.free) > 0 && pl.inFlight+len(pl.staged) < pl.window {
		i, ok := pl.acquire(src)
		if !ok {
			return true
		}
		pl.staged = append(pl.staged, i)
	}
	return pl.readers.err != nil
}

// idle waits, if slots are read and checked and it is not their turn to be settled, until there is
// something to do. It reports whether nothing ever will be.
func (pl *pipeline) idle(ended bool) (done bool) {
	rs := pl.readers
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for rs.err == nil && len(pl.free) < len(pl.slots) && (ended || len(pl.free) == 0) {
		rs.freed.Wait()
	}
	return ended && (rs.err != nil || len(pl.free) == len(pl.slots))
}

// settle passes on a slot that was read.
func (pl *pipeline) settle(slot int) {
	pl.readers.mu.Lock()
	defer pl.readers.mu.Unlock()
	if pl.readers.err != nil {
		pl.release(slot)
		return
	}
	pl.readers.settle(pl, slot)
}

// full reports whether no slot is free.
func (pl *pipeline) full() bool {
	pl.readers.mu.Lock()
	defer pl.readers.mu.Unlock()
	return len(pl.free) == 0
}
