package nbd

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// manySplit is how many reads of the socket have to end between the header of a reply and its data
// for it to be known that the server sends the two apart.
const manySplit = 64

// lean is a connection with simple replies, for a queue of short reads. A server that sends headers
// and data apart sends three pieces for a structured reply and two for a simple one, and to receive
// a piece takes longer than to copy what is in it. Such a reply cannot tell of holes nor say why it
// failed, and so all others stay on the connections that tell more.
//
// There is one at most, beside the other connections, made when a queue has found that its server
// sends in pieces. One that could not be made, or is lost, is not missed.
type lean struct {
	conn  atomic.Pointer[conn] // nil while there is none
	free  atomic.Pointer[conn] // the same, while no queue has it
	tried atomic.Bool
	made  sync.WaitGroup
}

// mayLean says whether queues of requests of so many bytes may have the lean connection. In the
// extended form requests for zeroes may be longer than others can say.
func (c *Client) mayLean(size int) bool {
	return size < largePayload && c.cfg.lean && c.agreed.form == nbdwire.Structured &&
		c.agreed.has(nbdwire.CanMultiConn)
}

// wantLean has a goroutine make the lean connection, if that was not tried before.
func (c *Client) wantLean() {
	l := &c.lean
	if l.tried.Load() || l.tried.Swap(true) {
		return
	}
	l.made.Go(func() {
		if conn, err := c.dialLean(c.ctx); err == nil {
			l.conn.Store(conn)
			l.free.Store(conn)
		}
	})
}

// give gives the connection back.
func (l *lean) give(c *conn) {
	if c != nil && c.lost() == nil {
		l.free.Store(c)
	}
}

// count is how many there are.
func (l *lean) count() int {
	if c := l.conn.Load(); c != nil && c.lost() == nil {
		return 1
	}
	return 0
}

// dialLean makes a connection with simple replies to the same export.
func (c *Client) dialLean(ctx context.Context) (*conn, error) {
	cfg := c.cfg
	cfg.plainer = 2
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

// close ends the connection. The client's context has ended, and nothing is in flight.
func (l *lean) close() {
	l.made.Wait()
	if c := l.conn.Load(); c != nil {
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
