package nbdserver

import (
	"context"
	"time"

	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// readOn reads a request that others need not wait for, with reading held. While the disk is quick
// it does requests, too, before it reads the next: to leave the reading to another worker and to
// wake that one takes longer. mine is false when the reading was taken from w meanwhile.
func (c *client) readOn(ctx context.Context, w *worker) (mine bool, err error) {
	defer c.flush()
	for {
		if err := c.next(w); err != nil {
			return true, err
		}
		c.gather(w)
		if !c.keep(w) {
			w.own()
			return true, nil
		}
		w.do(ctx)
		if !c.keeps(w) {
			return false, nil
		}
	}
}

// keep says whether w does its request before anybody reads the next one, with reading held. It
// does so while the disk has been quick, and for requests that are in the nature of being so.
func (c *client) keep(w *worker) bool {
	long := w.request.Length > keptBuffer ||
		w.request.Command != nbdwire.CmdRead && w.request.Command != nbdwire.CmdWrite
	if w.refused == nil && long || !c.quick() {
		return false
	}
	c.turn.Pass()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keeper, c.kept, w.later = w, time.Now(), true
	if c.relieved {
		c.relieved = false
		c.relief.Reset(longestHold)
	}
	return true
}

// quick says that the disk has been so of late.
func (c *client) quick() bool { return c.wary.Load() <= quickEnough }

// keeps says whether w, which has done its request, still has the reading.
func (c *client) keeps(w *worker) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.later = false
	if c.keeper != w {
		c.idle++
		return false
	}
	c.keeper = nil
	return true
}

// relieve takes the reading from a worker that has kept it for too long, and sends the replies that
// wait for what it does.
func (c *client) relieve(ctx context.Context) {
	c.mu.Lock()
	left := longestHold - time.Since(c.kept)
	if c.keeper == nil || left > 0 {
		c.relieved = c.keeper == nil
		if !c.relieved {
			c.relief.Reset(left)
		}
		c.mu.Unlock()
		return
	}
	if c.keeper.borrowed {
		c.in.leave()
	}
	c.keeper, c.relieved = nil, true
	c.idle--
	c.mu.Unlock()
	c.wary.Store(wariest)
	c.flush()
	c.hire(ctx)
	c.reading.Unlock()
}

// judge notes how long the disk took for n bytes. Requests that are done at the same time may
// overlook each other.
func (w *worker) judge(took time.Duration, n int64) {
	wary := &w.client.wary
	now := wary.Load()
	if took > atOnce+time.Duration(n) {
		wary.Store(min(now+slowWeight, wariest))
	} else if now > 0 {
		wary.Store(now - 1)
	}
}
