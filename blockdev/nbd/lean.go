package nbd

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// manySplit is how many reads of the socket have to end between the header of a reply and its data
// for it to be known that the server sends the two apart.
const manySplit = 64

// lean are connections with simple replies, for queues of short reads. A server that sends headers
// and data apart sends three pieces for a structured reply and two for a simple one, and to receive
// a piece takes longer than to copy what is in it. Such a reply cannot tell of holes nor say why it
// failed, and so all others stay on the connections that tell more.
//
// There are at most mostLean, beside the other connections, each made when a queue has found that
// its server sends in pieces. One that could not be made, or is lost, is not missed.
type lean struct {
	free atomic.Int32 // how many no queue has

	mu    sync.Mutex
	tried int
	conns []*conn
	spare []*conn // those that no queue has
	made  sync.WaitGroup
}

// mostLean is enough for the two halves of a queue.
const mostLean = 2

// mayLean says whether queues of requests of so many bytes may have a lean connection. In the
// extended form requests for zeroes may be longer than others can say.
func (c *Client) mayLean(size int) bool {
	return size < largePayload && c.cfg.lean && c.agreed.form == nbdwire.Structured &&
		c.agreed.has(nbdwire.CanMultiConn)
}

// wantLean has a goroutine make a lean connection, if there may be another.
func (c *Client) wantLean() {
	l := &c.lean
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tried == mostLean {
		return
	}
	l.tried++
	l.made.Go(func() {
		if conn, err := c.dialLean(c.ctx); err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.conns = append(l.conns, conn)
			l.keep(conn)
		}
	})
}

// take is a connection that no other queue has, or nil.
func (l *lean) take() *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.spare) - 1
	if last < 0 {
		return nil
	}
	c := l.spare[last]
	l.spare = l.spare[:last]
	l.free.Add(-1)
	return c
}

// give gives the connection back.
func (l *lean) give(c *conn) {
	if c != nil && c.lost() == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.keep(c)
	}
}

// keep is called with mu held.
func (l *lean) keep(c *conn) {
	l.spare = append(l.spare, c)
	l.free.Add(1)
}

// count is how many there are.
func (l *lean) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		if c.lost() == nil {
			n++
		}
	}
	return n
}

// owes says whether the server has not answered all requests on one of them.
func (l *lean) owes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.conns, (*conn).owes)
}

// dialLean makes a connection with simple replies to the same export.
func (c *Client) dialLean(ctx context.Context) (*conn, error) {
	cfg := c.cfg
	cfg.below = nbdwire.Structured
	conn, err := connect(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	now := conn.agreed
	now.form, now.contexts = c.agreed.form, c.agreed.contexts // it was not asked for others
	if err := c.same(now); err != nil {
		conn.close()
		return nil, err
	}
	return conn, nil
}

// close ends the connections. None is being made, and nothing is in flight.
func (l *lean) close() {
	for _, c := range l.conns {
		c.close()
	}
}

// split says that the last read of the socket ended between the header of a reply and its data.
func (in *receiving) split() bool {
	if in.start < in.end {
		return false
	}
	if in.into != nil {
		return in.left == in.into.Length
	}
	return in.reply.Length > 0 && len(in.small) == 0
}
