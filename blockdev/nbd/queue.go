package nbd

import (
	"context"
	"errors"
	"math"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/arena"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// queue carries a batch of requests on one connection. The goroutine that owns it writes all that
// was staged with one call, and reads the replies itself.
type queue struct {
	ctx    context.Context
	device *device
	slots  []queueSlot
	staged []int
	waiter *waiter
	memory *arena.Arena

	mayLean bool
	asked   bool // for a lean connection

	link   *link
	looked int64       // how many links there were more than at first when link was chosen
	conn   *conn       // that everything in flight is on; of link, or lean
	lean   *conn       // that no other queue has meanwhile, nil for none
	held   bool        // what is staged was submitted, and goes out when nothing is in flight
	stop   func() bool // the watch over waiter on conn
	ready  []int       // done without a connection
	done   []int       // answered and not reaped; under conn.mu, as are the next
	flying int         // in flight
	reads  int         // reads among these
}

type queueSlot struct {
	r      *request
	buffer []byte
	piece  [1][]byte // the part of buffer that a request uses
}

// NewQueue makes a queue on one connection, or on two of short requests. Other queues have the same
// only if there are more of them than connections. What is more than a server does at a time there
// is better spread over several, by goroutines.
func (d *device) NewQueue(ctx context.Context, depth, size int) (driver.Queue, error) {
	several := d.mayConnect() > 1
	spread := d.cfg.AtOnce > 0 && depth > d.cfg.AtOnce && several
	if spread || int64(size) > d.agreed.limits().MaxTransfer {
		return nil, driver.ErrNotSupported
	}
	if several && depth >= pairDepth && size < largePayload && d.cfg.TLS == nil {
		return d.newPair(ctx, depth, size)
	}
	return d.newQueue(ctx, depth, size)
}

// newQueue makes a queue on one connection.
func (d *device) newQueue(ctx context.Context, depth, size int) (*queue, error) {
	q := &queue{
		ctx: ctx, device: d, slots: make([]queueSlot, depth), waiter: newWaiter(),
		staged: make([]int, 0, depth), done: make([]int, 0, depth), ready: make([]int, 0, depth),
	}
	var err error
	if q.memory, err = arena.New(depth, size); err != nil {
		return nil, err
	}
	for i := range q.slots {
		s := &q.slots[i]
		s.buffer = q.memory.Slot(i)
		s.r = &request{waiter: q.waiter, queue: q, queued: i}
	}
	q.link, q.looked = d.claim(nil), d.links.added.Load()
	q.mayLean = d.mayLean(size)
	return q, nil
}

func (q *queue) Depth() int { return len(q.slots) }

func (q *queue) Buffer(slot int) []byte { return q.slots[slot].buffer }

func (q *queue) Err(slot int) error { return q.slots[slot].r.err }

func (q *queue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	s := &q.slots[slot]
	s.r.reset(0, fuaFlag(driver.Flags(flags)&driver.FUA != 0), off, n)
	switch op {
	case driver.OpRead, driver.OpWrite:
		s.r.Command = nbdwire.Command(op) // the same numbers
		s.piece[0] = s.buffer[:n]
		s.r.data = s.piece[:]
	case driver.OpZero:
		s.r.Command = nbdwire.CmdWriteZeroes
		s.r.Flags |= zeroFlags(driver.Flags(flags))
	case driver.OpDiscard:
		s.r.Command = nbdwire.CmdTrim
	case driver.OpFlush:
		s.r.Command, s.r.Offset, s.r.Length = nbdwire.CmdFlush, 0, 0
	}
	q.staged = append(q.staged, slot)
}

// zeroFlags are the flags of a request for zeroes, but for FUA.
func zeroFlags(f driver.Flags) nbdwire.CommandFlags {
	var flags nbdwire.CommandFlags
	if f&driver.MayUnmap == 0 {
		flags |= nbdwire.NoHole
	}
	if f&driver.NoFallback != 0 {
		flags |= nbdwire.FastZero
	}
	return flags
}

// Carries says that the server does what it offers in any order.
func (q *queue) Carries(op driver.Op, _ int64, _ driver.Flags) bool {
	switch a := &q.device.agreed; op {
	case driver.OpRead, driver.OpWrite:
		return true
	case driver.OpZero:
		return a.has(nbdwire.SendWriteZeroes)
	case driver.OpDiscard:
		return a.has(nbdwire.SendTrim)
	default:
		return a.has(nbdwire.SendFlush)
	}
}

// Submit sends what was staged. While the queue changes to a better connection that waits until
// nothing is in flight on the one that it has.
func (q *queue) Submit() error {
	if len(q.staged) == 0 {
		return nil
	}
	if q.held = q.changes(); q.held {
		return nil
	}
	if err := q.connect(); err != nil {
		for _, slot := range q.staged {
			q.slots[slot].r.fail(err)
		}
		q.ready = append(q.ready, q.staged...)
		q.staged = q.staged[:0]
		return nil
	}
	c := q.conn
	c.mu.Lock()
	sent := q.staged[:0]
	for _, slot := range q.staged {
		r := q.slots[slot].r
		switch {
		case r.err != nil:
			q.ready = append(q.ready, slot)
			continue
		case c.err != nil:
			r.fail(errLost)
			q.done = append(q.done, slot)
			continue
		case r.Command == nbdwire.CmdRead:
			q.reads++
		}
		c.enterSpare(r)
		q.flying++
		sent = append(sent, slot)
	}
	reads := q.reads
	c.mu.Unlock()
	q.send(sent, reads > 0)
	q.staged = q.staged[:0]
	return nil
}

// changes says whether the queue waits for the last replies on its connection to go on with a
// better one.
func (q *queue) changes() bool {
	c := q.conn
	if c == nil {
		return false
	}
	if q.mayLean && !q.asked && c.split.Load() >= manySplit {
		q.asked = true
		q.device.wantLean()
	}
	return q.better(q.device.links.added.Load()) && c.lost() == nil && q.unreaped()
}

// connect looks for the connection. All that was in flight on one that is lost has failed, and is
// reaped from there before another is used.
func (q *queue) connect() error {
	added := q.device.links.added.Load()
	if q.conn != nil && q.conn.lost() == nil && !q.better(added) ||
		q.conn != nil && q.unreaped() {
		return nil
	}
	if q.mayLean && q.lean == nil {
		q.lean = q.device.lean.take()
	}
	if q.lean != nil && q.lean.lost() == nil {
		q.use(q.lean)
		return nil
	}
	q.link, q.looked = q.device.claim(q.link), added
	c, err := q.link.get(q.ctx)
	if err == nil {
		q.use(c)
	}
	return err
}

// better says whether there may be a better connection than the queue has. added is how many links
// there are more than at first.
func (q *queue) better(added int64) bool {
	if q.conn == q.lean {
		return false
	}
	return q.looked != added || q.mayLean && q.lean == nil && q.device.lean.free.Load() > 0
}

// use goes on with c.
func (q *queue) use(c *conn) {
	if c != q.conn {
		q.unwatch()
		q.conn, q.stop = c, c.watch(q.ctx, q.waiter)
	}
}

func (q *queue) unwatch() {
	if q.conn != nil {
		q.stop()
	}
}

// unreaped says that there is something of the queue on its connection.
func (q *queue) unreaped() bool {
	q.conn.mu.Lock()
	defer q.conn.mu.Unlock()
	return len(q.done) > 0 || q.flying > 0
}

// waitsFor is the stream on which the queue is answered, or nil if it has something to do before.
func (q *queue) waitsFor() stream {
	if q.conn == nil || len(q.ready) > 0 {
		return nil
	}
	q.conn.mu.Lock()
	defer q.conn.mu.Unlock()
	if len(q.done) > 0 || q.flying == 0 {
		return nil
	}
	return q.conn.stream
}

// muchToSend is from where on a server may stop reading a batch before it is through, in bytes,
// because nobody reads its replies.
const muchToSend = 16 << 10

// send writes the requests of slots.
func (q *queue) send(slots []int, reads bool) {
	if len(slots) == 0 {
		return
	}
	c := q.conn
	c.sending.Lock()
	defer c.sending.Unlock()
	c.header, c.out = c.header[:0], c.out[:0]
	payload := 0
	size := nbdwire.RequestSize(c.agreed.form)
	for _, slot := range slots {
		r := q.slots[slot].r
		c.header = r.Append(c.header, c.agreed.form)
		if r.Command == nbdwire.CmdWrite {
			payload += int(r.Length)
		}
	}
	if payload == 0 {
		c.out = append(c.out, c.header)
	} else {
		for i, slot := range slots {
			c.out = append(c.out, c.header[i*size:(i+1)*size])
			if r := q.slots[slot].r; r.Command == nbdwire.CmdWrite {
				c.out = append(c.out, r.data...)
			}
		}
	}
	if reads && payload > muchToSend {
		defer c.readMeanwhile(q.ctx)()
	}
	if err := c.flush(q.ctx, q.waiter); err == errNotSent { // other failures show in each request
		for _, slot := range slots {
			c.retract(q.slots[slot].r, context.Cause(q.ctx))
		}
	}
}

// readMeanwhile reads replies on another goroutine until the function that it returns is called.
func (c *conn) readMeanwhile(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w := newWaiter()
		defer c.watch(ctx, w)()
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = c.wait(ctx, w, func() bool { return c.err != nil })
	}()
	return func() {
		cancel()
		<-ended
	}
}

// Reap waits for replies. It is over, too, when there is something on the stream that the waiter
// watches.
func (q *queue) Reap(least int, done []int) (int, error) {
	n := q.reap(least, done)
	for n < least && q.held && !q.waiter.elsewhere { // nothing is in flight any more
		if err := q.Submit(); err != nil {
			return n, err
		}
		n += q.reap(least-n, done[n:])
	}
	return n, nil
}

// reap is Reap, but for what is held.
func (q *queue) reap(least int, done []int) int {
	n := copy(done, q.ready)
	q.ready = q.ready[:copy(q.ready, q.ready[n:])]
	c := q.conn
	if c == nil || n == len(done) {
		return n
	}
	c.mu.Lock()
	err := c.wait(q.ctx, q.waiter, func() bool {
		return len(q.done) >= least-n || q.flying == 0 || q.waiter.elsewhere
	})
	if err != nil {
		q.abandon(err)
	}
	m := copy(done[n:], q.done)
	q.done = q.done[:copy(q.done, q.done[m:])]
	c.mu.Unlock()
	for _, slot := range done[n : n+m] {
		r := q.slots[slot].r
		q.again(r)
		switch r.Command {
		case nbdwire.CmdWrite, nbdwire.CmdWriteZeroes, nbdwire.CmdTrim:
			q.device.forget(int64(r.Offset), int64(r.Length))
		}
	}
	return n + m
}

// again makes a request whose connection was lost on the next one. That the lean one was says
// nothing about others.
func (q *queue) again(r *request) {
	if r.err == nil {
		return
	}
	d := q.device
	switch {
	case !errors.Is(r.err, errLost):
		if q.conn == q.lean && r.Command == nbdwire.CmdRead {
			q.explain(r)
		}
	case d.cfg.ReconnectDelay == 0 && q.conn != q.lean:
		r.err = dead(q.conn.lost())
	default:
		r.err = d.do(q.ctx, r.copied())
	}
}

// explain asks a second time for a read that a simple reply only refused, where the reply can say
// why.
func (q *queue) explain(r *request) {
	var refused *ServerError
	if !errors.As(r.err, &refused) || refused.Text != "" {
		return
	}
	if err := q.device.do(q.ctx, r.copied()); errors.As(err, &refused) {
		r.err = err
	}
}

// abandon ends what is in flight with err. It is called with conn.mu held.
func (q *queue) abandon(err error) {
	for i := range q.slots {
		s := &q.slots[i]
		if r := s.r; r.inFlight {
			r.queue = nil
			q.conn.abandon(r)
			s.r = &request{
				Request: r.Request, waiter: q.waiter, queue: q, queued: i, err: err, done: true,
			}
			q.done = append(q.done, i)
		}
	}
	q.flying, q.reads = 0, 0
}

// SubmitAndReap is Submit and then Reap: a server does not answer sooner than it is asked.
func (q *queue) SubmitAndReap(least int, done []int) (int, error) {
	if err := q.Submit(); err != nil {
		return 0, err
	}
	return q.Reap(least, done)
}

// Close waits for what is in flight.
func (q *queue) Close() error {
	if q.conn != nil {
		q.drain()
	}
	for q.held {
		if err := q.Submit(); err != nil {
			return err
		}
		q.drain()
	}
	q.unwatch()
	q.device.forget(0, math.MaxInt64) // what was not reaped may have been done
	q.device.lean.give(q.lean)
	q.device.unclaim(q.link)
	q.memory.Free()
	return nil
}

func (q *queue) drain() {
	c := q.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.wait(q.ctx, q.waiter, func() bool { return q.flying == 0 }); err != nil {
		q.abandon(err)
	}
	q.done = q.done[:0]
}
