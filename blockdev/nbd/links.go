package nbd

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// busy is how many requests are in flight on a connection before another is made, where nobody
	// knows what the server does with them.
	busy = 8
	// payloadWeight is how many bytes of data weigh as much as a request: they go through the
	// socket one after the other, and whoever sends or reads them does nothing else meanwhile.
	payloadWeight = 32 << 10
)

// links are the places for the connections of a client. There is one until there is more to do than
// it does well. Others are made beside the requests: a server that says that it takes more may not,
// or not soon.
type links struct {
	single *link // the only one that there may be; nil if there may be more
	added  atomic.Int64

	mu     sync.Mutex
	list   []*link // the first is always there
	most   int     // how many there may be
	want   int     // how many there shall be
	queues int     // that have claimed a link
	// growing is closed when the attempt to make another one has come to something; nil while none
	// is made.
	growing chan struct{}
	grown   sync.WaitGroup
}

// link picks the connection for a request: the one with the least to do. If all have much, another
// one is made. The request waits for that only where it is known that it would wait in the server.
func (c *Client) link(ctx context.Context) *link {
	l := &c.links
	if l.single != nil {
		return l.single
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		best, load := l.best((*link).load)
		if load < cmp.Or(c.cfg.AtOnce, busy) {
			return best
		}
		c.grow(len(l.list) + 1)
		if l.growing == nil || c.cfg.AtOnce == 0 || ctx.Err() != nil {
			return best
		}
		growing := l.growing
		l.mu.Unlock()
		select {
		case <-growing:
		case <-ctx.Done():
		}
		l.mu.Lock()
	}
}

// best is the link with the least load. It is called with mu held.
func (l *links) best(load func(*link) int) (best *link, least int) {
	least = math.MaxInt
	for _, one := range l.list {
		if n := load(one); best == nil || n < least {
			best, least = one, n
		}
	}
	return best, least
}

// load is what a link has to do, in requests, and more than any if there is no connection.
func (l *link) load() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil || l.conn.lost() != nil {
		return math.MaxInt
	}
	return l.conn.load()
}

// claim gives a queue the link that the fewest queues have. The one that it had it keeps, unless
// another has fewer even then.
func (c *Client) claim(had *link) *link {
	l := &c.links
	l.mu.Lock()
	defer l.mu.Unlock()
	best, queues := l.best(func(one *link) int { return one.queues })
	if had != nil {
		if queues+1 >= had.queues {
			return had
		}
		l.drop(had)
	}
	best.queues++
	l.queues++
	c.grow(l.queues)
	return best
}

// unclaim is the end of a claim.
func (c *Client) unclaim(had *link) {
	c.links.mu.Lock()
	defer c.links.mu.Unlock()
	c.links.drop(had)
}

// drop takes a queue from a link. It is called with mu held.
func (l *links) drop(had *link) {
	had.queues--
	l.queues--
}

// grow has a goroutine make connections until there are n, or as many as there may be. It is called
// with mu held.
func (c *Client) grow(n int) {
	l := &c.links
	l.want = max(l.want, min(n, l.most))
	if l.growing != nil || len(l.list) >= l.want {
		return
	}
	l.growing = make(chan struct{})
	l.grown.Go(func() {
		for more := true; more; {
			conn, err := connect(c.ctx, &c.cfg)
			more = c.add(conn, err)
		}
	})
}

// stopGrowing has no more connections made than the one that is being made.
func (l *links) stopGrowing() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want = 0
}

// add adds a connection, if it could be made and is like the first, and says whether another shall
// be made.
func (c *Client) add(conn *conn, err error) (more bool) {
	if err == nil {
		if err = c.same(conn.agreed); err != nil {
			conn.close()
		}
	}
	l := &c.links
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.list = append(l.list, &link{client: c, conn: conn})
		l.added.Add(1)
	} else {
		l.most = len(l.list) // the server has other views than it says
		l.want = l.most
	}
	close(l.growing)
	l.growing = nil
	if len(l.list) < l.want {
		l.growing = make(chan struct{})
		return true
	}
	return false
}

// owed says whether the server has not answered all requests.
func (c *Client) owed() bool {
	c.links.mu.Lock()
	defer c.links.mu.Unlock()
	return slices.ContainsFunc(c.links.list, (*link).owes) || c.lean.owes()
}

// owes says so of one connection.
func (l *link) owes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn != nil && l.conn.owes()
}

// mayConnect is how many connections there may be.
func (c *Client) mayConnect() int {
	c.links.mu.Lock()
	defer c.links.mu.Unlock()
	return c.links.most
}

// connections is how many there are.
func (c *Client) connections() int {
	c.links.mu.Lock()
	defer c.links.mu.Unlock()
	return len(c.links.list) + c.lean.count()
}
