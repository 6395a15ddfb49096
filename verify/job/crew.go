package job

import (
	"context"
	"fmt"
	"sync"
)

// A crew is the engines that share the blocks of one pass that only reads. Each reads and checks on
// a goroutine and a queue of its own, so that what was read is still in its processor's cache when
// it is checked, and nothing but the places of the next blocks is handed over.
type crew struct {
	// mu guards the source of slots, what becomes of them, and the free ones.
	mu      sync.Mutex
	freed   sync.Cond
	engines []*engine
	// settle takes slots that were read, whatever became of them, and releases
	// them sooner or later: that of an engine, or those of others too.
	settle func(e *engine, slot int)
	// err is why the first engine gave up. Slots that others hold may then never be settled.
	err error
}

func newCrew(settle func(e *engine, slot int)) *crew {
	c := &crew{settle: settle}
	c.freed.L = &c.mu
	return c
}

// releaseAtOnce is a settle for slots that need no turn.
func releaseAtOnce(e *engine, slot int) { e.release(slot) }

// join makes e one of the crew.
func (c *crew) join(e *engine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.crew = c
	c.engines = append(c.engines, e)
}

// quit notes the first reason to give up, and ends all waiting.
func (c *crew) quit(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.freed.Broadcast()
}

// read has what src says read and checked, by as many engines as there are workers, and requests in
// flight to share out. src and settle are called by one engine at a time, failed by any.
func (t *task) read(ctx context.Context, open Opener, size int, src source,
	settle func(*engine, int), failed func(*slot, error),
) error {
	c := newCrew(settle)
	share := max(1, min(t.workers(), t.run.IODepth, maxMemory/slotBytes(size, t.room(size))))
	shared, cancel := context.WithCancel(ctx)
	defer cancel()
	work := func(e *engine, progress func()) error {
		e.progress = progress
		c.join(e)
		err := e.read(shared, src, failed)
		if err != nil {
			c.quit(err) // before the memory of slots goes that others may settle
			cancel()
		}
		return err
	}
	var others sync.WaitGroup
	help := func(turn int) {
		joined := false
		err := t.equipped(shared, open, size, t.portion(size, share, turn), func(e *engine) error {
			joined = true
			return work(e, func() {})
		})
		if joined && err != nil {
			c.quit(err) // an engine that cannot be had is done without
		}
	}
	err := t.equipped(shared, open, size, t.portion(size, share, 0), func(e *engine) error {
		for turn := 1; turn < share; turn++ {
			others.Go(func() { help(turn) })
		}
		return work(e, t.progress)
	})
	others.Wait()
	if err == nil {
		err = c.err
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// portion is what the engine with number turn, from 0, of share has. Where it never
// has a batch to hand over, it checks what it read itself.
func (t *task) portion(size, share, turn int) means {
	depth := max(t.run.IODepth, 1)
	m := means{
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
func (e *engine) read(ctx context.Context, src source, failed func(s *slot, err error)) error {
	for ended := false; ; ended = ended || ctx.Err() != nil {
		if !ended {
			ended = e.refill(src)
		}
		for _, i := range e.staged {
			e.q.Stage(i, OpRead, e.slots[i].off, int64(e.slots[i].n), 0)
		}
		if len(e.staged) == 0 && e.flying == 0 && e.working == 0 && e.idle(ended) {
			return nil
		}
		list, err := e.turn(len(e.staged), failed)
		if err != nil {
			return fmt.Errorf("send reads: %w", err)
		}
		e.staged = e.staged[:0]
		e.give(list, e.settle)
		e.take(e.flying == 0 || e.full(), e.settle)
		e.progress()
	}
}

// refill has free slots filled, and reports whether nothing more is to come.
func (e *engine) refill(src source) (ended bool) {
	e.crew.mu.Lock()
	defer e.crew.mu.Unlock()
	for e.crew.err == nil && len(e.free) > 0 && e.flying+len(e.staged) < e.window {
		i, ok := e.acquire(src)
		if !ok {
			return true
		}
		e.staged = append(e.staged, i)
	}
	return e.crew.err != nil
}

// idle waits, if slots are read and checked and it is not their turn to be settled, until there is
// something to do. It reports whether nothing ever will be.
func (e *engine) idle(ended bool) (done bool) {
	c := e.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && len(e.free) < len(e.slots) && (ended || len(e.free) == 0) {
		c.freed.Wait()
	}
	return ended && (c.err != nil || len(e.free) == len(e.slots))
}

// settle passes on a slot that was read.
func (e *engine) settle(slot int) {
	e.crew.mu.Lock()
	defer e.crew.mu.Unlock()
	if e.crew.err != nil {
		e.release(slot)
		return
	}
	e.crew.settle(e, slot)
}

// full reports whether no slot is free.
func (e *engine) full() bool {
	e.crew.mu.Lock()
	defer e.crew.mu.Unlock()
	return len(e.free) == 0
}
