package blockdev

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Flush puts all that was written on stable storage. It waits for a change of the length, and no
// change begins meanwhile.
func (g *guard) Flush(ctx context.Context) error {
	if g.idle() {
		return nil
	}
	r, err := g.tracker.enterControl(ctx)
	if err != nil {
		return err
	}
	defer g.tracker.end(r)
	return g.flush(ctx)
}

// wrote counts a change that has ended with err, and flushes it if it is to be durable. It is
// counted only now, since a flush that began earlier need not have covered it. A node over another
// one counts after the flush, as QEMU 7.2 does: that flush then goes down to the protocol without
// the event and the rules of one that somebody asked for.
func (g *guard) wrote(ctx context.Context, err error, flush bool) error {
	if g.node.Primary() == nil {
		g.written.Add(1)
	} else {
		defer g.written.Add(1)
	}
	if err == nil && flush {
		err = g.flush(ctx)
	}
	return err
}

// idle says whether there is nothing that a flush could do: the node cannot be written to, and what
// was written when it could has been flushed.
func (g *guard) idle() bool { return g.readOnly.Load() && !g.unflushed() }

// unflushed says whether something was written since what the last flush covered.
func (g *guard) unflushed() bool { return g.flushedAt.Load() != g.written.Load() }

// flush is Flush for who has a place in the tracker.
//
// One flush goes on at a time. A protocol with nothing new is left alone, and so is one opened
// never to sync; a filter with nothing new is passed by, and with it the errors that it injects. A
// format is always asked, for it must write its caches to its file, and so is a server by QEMU,
// synced or not. Which layer is asked when, and
// which events are fired, is what QEMU 7.2 does.
func (g *guard) flush(ctx context.Context) (err error) {
	done := g.begin("flush", 0, 0, 0)
	defer func() { done(err) }()
	if err := g.flushing.Lock(ctx); err != nil {
		return err
	}
	defer g.flushing.Unlock()
	gen := g.written.Load()
	asked := g.asked.Swap(false)
	toDisk := (asked || g.flushedAt.Load() != gen) && !g.noFlush.Load()
	if below := g.node.Primary(); below != nil {
		err = g.flushOver(ctx, below, toDisk)
	} else if toDisk || g.alwaysFlush {
		err = g.node.Flush(ctx)
	}
	if err == nil {
		g.flushedAt.Store(gen)
	}
	return err
}

// flushOver flushes a node that stands on another one.
func (g *guard) flushOver(ctx context.Context, below driver.Node, toDisk bool) error {
	if err := driver.Fire(ctx, below, driver.EvFlushToOS); err != nil {
		return err
	}
	var settle func(context.Context) error
	cached, isCached := g.node.(driver.WriteBacker)
	if isCached {
		var err error
		if settle, err = cached.WriteBack(ctx); err != nil {
			return err
		}
	}
	if toDisk {
		if err := driver.Fire(ctx, below, driver.EvFlushToDisk); err != nil {
			return err
		}
	}
	next := g.node
	if isCached || g.filter && !toDisk {
		next = below
	}
	if err := next.Flush(ctx); err != nil || settle == nil {
		return err
	}
	return settle(ctx)
}
