package nbd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// link is a place for a connection, which is made anew when it is lost.
//
// Reconnecting goes on for ever, beside the requests. A request that finds no connection waits for
// one until Config.ReconnectDelay has passed since the first that did, and fails at once
// afterwards.
type link struct {
	client *Client
	queues int // that use it; under links.mu

	mu       sync.Mutex
	conn     *conn
	until    time.Time     // how long requests wait; zero while none has missed it
	dialing  bool          // a goroutine is at it
	changed  chan struct{} // closed when the dialling has come to something
	why      error         // why there is no connection
	life     int           // of the server, in which the last one was made; see ledger
	finished sync.WaitGroup
}

// get is the connection. It waits as long as requests may.
func (l *link) get(ctx context.Context) (*conn, error) {
	l.mu.Lock()
	for {
		if l.conn != nil {
			why := l.conn.lost()
			if why == nil {
				c := l.conn
				l.mu.Unlock()
				return c, nil
			}
			l.conn, l.why, l.life = nil, why, l.conn.life
		}
		if err := l.client.ctx.Err(); err != nil {
			l.mu.Unlock()
			return nil, dead(l.why)
		}
		l.redial()
		if l.until.IsZero() {
			l.until = time.Now().Add(l.client.cfg.ReconnectDelay)
		}
		left := time.Until(l.until)
		if left <= 0 {
			err := dead(l.why)
			l.mu.Unlock()
			return nil, err
		}
		changed := l.changed
		l.mu.Unlock()
		if err := await(ctx, changed, left); err != nil {
			return nil, err
		}
		l.mu.Lock()
	}
}

// await waits for changed, at most for d.
func await(ctx context.Context, changed <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// redial sets a goroutine to reconnecting, if there is none. It is called with mu held.
func (l *link) redial() {
	if l.dialing {
		return
	}
	l.dialing, l.changed = true, make(chan struct{})
	l.finished.Go(func() {
		c := l.dialOn()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.dialing = false
		if c != nil {
			c.life = l.client.cfg.ledger.succeed(l.life)
			l.conn, l.until = c, time.Time{}
		}
		close(l.changed)
	})
}

// The pauses between attempts double from the first to the last.
const (
	firstPause = time.Second
	lastPause  = 16 * time.Second
)

// dialOn tries until there is a connection, or the client is closed.
func (l *link) dialOn() *conn {
	ctx := l.client.ctx
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		c, err := connect(ctx, &l.client.cfg)
		if err == nil {
			err = l.client.same(c.agreed)
			if err == nil {
				return c
			}
			c.close()
		}
		l.mu.Lock()
		l.why = err
		l.mu.Unlock()
		if await(ctx, nil, pause) != nil {
			return nil
		}
	}
}

// same refuses an export that is no longer what it was: requests were made for the old one.
func (c *Client) same(now agreement) error {
	was := c.agreed
	const unused = nbdwire.Rotational | nbdwire.CanMultiConn | nbdwire.SendDF | nbdwire.SendResize
	used := was.export.Flags &^ unused
	old, limits := was.limits(), now.limits()
	switch {
	case now.export.Size != was.export.Size:
		return fmt.Errorf("the export is %d bytes long, not %d", now.export.Size, was.export.Size)
	case now.export.Flags&used != used:
		return fmt.Errorf("the export can no longer do: %v", used&^now.export.Flags)
	case was.export.Flags&nbdwire.ReadOnly == 0 && now.has(nbdwire.ReadOnly):
		return errors.New("the export is read-only now")
	case limits.RequestAlign > old.RequestAlign || limits.MaxTransfer < old.MaxTransfer:
		return errors.New("the export takes other lengths of requests now")
	}
	for _, x := range was.contexts {
		if _, has := now.named(x.Name); !has {
			return fmt.Errorf("the export has no meta context %s any more", x.Name)
		}
	}
	return nil
}

// close ends the connection and the reconnecting. The client's context has ended, and nothing is in
// flight.
func (l *link) close() {
	l.finished.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.conn.close()
	}
	l.conn, l.why = nil, errClosed
}

var errClosed = &driver.Refusal{Text: "it was closed", Err: syscall.EBADF}
