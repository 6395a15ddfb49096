package nbdserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/internal/nbdwire"
	"github.com/blksh/blksh/blockdev/internal/rawsocket"
)

const (
	// maxWorkers is how many requests of one connection are worked on at a time.
	maxWorkers = 16
	// maxSkipped is how much data of a refused request is read and dropped, in bytes. A client with
	// more is hung up on.
	maxSkipped = 64 << 20
	// longestHold is how long a request may take before another worker reads the next.
	longestHold = 5 * time.Millisecond
	// atOnce is what the disk may take for a request that its worker does before anybody reads the
	// next; besides, each byte may take a nanosecond.
	atOnce = 50 * time.Microsecond
	// A request that took longer weighs as much as slowWeight that did not. Of those that are worth
	// more than quick reading is kept no more, and at most wariest are remembered.
	slowWeight, quickEnough, wariest = 8, 16, 64
	// batchSize is how many bytes of replies are sent together, if they come one upon the other.
	batchSize = 128 << 10
)

// client is a connection that uses an export.
type client struct {
	stream   stream
	export   *Export
	size     uint64
	readOnly bool
	form     nbdwire.Form
	contexts []nbdwire.Context
	memory   budget
	traffic  traffic
	moved    func(n int64) // nil if nobody wants to know

	reading sync.Mutex // held by the worker that reads, or keeps others from it
	in      input
	ended   bool // no further requests are read
	err     error
	leaving atomic.Bool // the server ends
	stalled atomic.Bool // it was hung up on for that

	sending sync.Mutex  // held while replies are written
	batch   []byte      // replies that are not sent yet
	batched atomic.Bool // there are such
	out     [][]byte    // parts of what is written
	unsent  error       // why a reply could not be sent
	deaf    atomic.Bool // one could not

	// wary tells how slow the disk has been of late.
	wary atomic.Int32

	mu       sync.Mutex
	workers  int
	idle     int // workers that wait for reading
	group    sync.WaitGroup
	keeper   *worker // that does a request and keeps the reading, nil for none
	kept     time.Time
	turn     rawsocket.Turn // of the keeper; under reading
	relief   *time.Timer
	relieved bool // relief is not set
}

func newClient(h *haggling, e *Export) *client {
	c := &client{
		form: h.form, contexts: h.contexts, export: e, size: e.size, readOnly: e.readOnly(),
		memory: newBudget(maxMemory, h.server.memory), moved: h.server.Moved, relieved: true,
	}
	// If there are several clients, those that have sent something shall have the processors.
	c.stream = newStream(h.conn, h.rw, func() bool {
		return c.in.expecting && c.quick() && h.server.serving.Load() == 1
	})
	c.in = newInput(c.stream, nbdwire.RequestSize(c.form), c.flush)
	c.wary.Store(wariest)
	return c
}

// traffic counts what was done for a client.
type traffic struct{ requests, read, written atomic.Int64 }

func (t *traffic) sum() Traffic {
	return Traffic{Requests: t.requests.Load(), Read: t.read.Load(), Written: t.written.Load()}
}

// count notes that a request was done, unless it was in vain.
func (c *client) count(r nbdwire.Request) {
	if c.deaf.Load() && onlyTells(r.Command) {
		return
	}
	c.traffic.requests.Add(1)
	n := int64(r.Length)
	switch r.Command {
	case nbdwire.CmdRead:
		c.traffic.read.Add(n)
	case nbdwire.CmdWrite:
		c.traffic.written.Add(n)
	default:
		return
	}
	if c.moved != nil {
		c.moved(n)
	}
}

// serve works until the client takes leave, breaks the protocol, or ctx ends. Requests that were
// read are finished in any case.
func (c *client) serve(ctx context.Context) error {
	served, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		c.watch(ctx, served)
	}()
	working := context.WithoutCancel(ctx)
	c.relief = time.AfterFunc(longestHold, func() { c.relieve(working) })
	c.hire(working)
	c.group.Wait()
	c.relief.Stop()
	close(served)
	<-watched
	_ = c.stream.Close()
	if c.leaving.Load() {
		return nil
	}
	if c.stalled.Load() {
		return errStalled
	}
	return c.reason()
}

// reason is why the connection ended, once it has.
func (c *client) reason() error {
	hungUp := func(err error) bool {
		return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
	}
	switch {
	case c.unsent == nil, c.err != nil && !hungUp(c.err):
		return c.err
	case hungUp(c.unsent):
		return errUnanswered
	}
	return c.unsent
}

// hangUp ends the connection of a client that keeps others waiting.
func (c *client) hangUp() {
	c.stalled.Store(true)
	c.stream.abort()
}

// watch ends the reading when ctx ends, and some time later everything.
func (c *client) watch(ctx context.Context, served <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-served:
		return
	}
	c.leaving.Store(true)
	c.stream.endReading()
	select {
	case <-time.After(lingerTime):
		c.stream.abort()
	case <-served:
	}
}

// hire sets one more worker to work, unless there is one that has nothing to do, or enough of them.
func (c *client) hire(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle > 0 || c.workers == maxWorkers {
		return
	}
	c.workers++
	c.idle++
	c.group.Go(func() { c.work(ctx) })
}

// work takes request after request.
func (c *client) work(ctx context.Context) {
	w := &worker{client: c}
	for {
		c.reading.Lock()
		mine, err := c.readOn(ctx, w)
		if mine {
			c.reading.Unlock()
		}
		switch {
		case err != nil:
			return
		case !mine:
			continue
		}
		c.mu.Lock()
		c.idle--
		c.mu.Unlock()
		c.hire(ctx)
		w.do(ctx)
		c.mu.Lock()
		c.idle++
		c.mu.Unlock()
	}
}

// next reads a request with its data, with reading held. After an error there are no more.
func (c *client) next(w *worker) error {
	if c.ended {
		return errLeave
	}
	err := errLeave
	if !c.leaving.Load() {
		err = c.readRequest(w)
	}
	if err != nil {
		c.ended = true
		switch {
		case err == errLeave, err == io.EOF && c.memory.idle():
		case err == io.EOF:
			c.err = errUnanswered
		default:
			c.err = err
		}
	}
	return err
}

// errTooLong refuses the data of a request.
var errTooLong = refusal{syscall.EINVAL, "more data than a request may have"}

// errDeaf refuses a request whose only use is its reply, which nobody will receive. Others are
// done: a client may leave without waiting for replies.
var errDeaf = refusal{syscall.ESHUTDOWN, "replies cannot be sent any more"}

// errLeave says that the client takes leave, or the server.
var errLeave = errors.New("disconnect")

func (c *client) readRequest(w *worker) error {
	head, err := c.in.next(nbdwire.RequestSize(c.form))
	if err != nil {
		return err
	}
	r, err := nbdwire.ParseRequest(head, c.form)
	if err != nil {
		return err
	}
	w.request, w.data, w.refused, w.borrowed = r, nil, c.check(r), false
	w.followers = w.followers[:0]
	if w.refused == nil && c.deaf.Load() && onlyTells(r.Command) {
		w.refused = errDeaf
	}
	if r.Command == nbdwire.CmdDisconnect {
		return errLeave
	}
	payload := r.Payload(c.form)
	if payload > maxSkipped {
		return fmt.Errorf("%d bytes of data with one request", payload)
	}
	if w.refused != nil || payload > maxPayload {
		if w.refused == nil {
			w.refused = errTooLong
		}
		return c.in.skip(int64(payload))
	}
	return w.receive(c.need(r), int(payload))
}

// need is how much memory the data of a request takes, in bytes.
func (c *client) need(r nbdwire.Request) int {
	switch r.Command {
	case nbdwire.CmdRead:
		return int(r.Length)
	case nbdwire.CmdCache:
		return int(min(r.Length, cachePiece))
	case nbdwire.CmdBlockStatus:
		if r.Flags&nbdwire.PayloadLength != 0 { // the range is in the data
			return int(r.Length) + statusMemory(maxExtents)
		}
		return statusMemory(r.Length)
	}
	return int(r.Payload(c.form))
}

// send writes a reply whole, behind those that wait. With later set it may wait itself, until
// somebody calls flush.
func (c *client) send(later bool, parts ...[]byte) {
	c.sending.Lock()
	defer c.sending.Unlock()
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if later && n <= batchSize/4 {
		if len(c.batch)+n > batchSize {
			c.write()
		}
		for _, p := range parts {
			c.batch = append(c.batch, p...)
		}
		c.batched.Store(len(c.batch) > 0)
		return
	}
	c.write(parts...)
}

// flush writes the replies that wait.
func (c *client) flush() {
	if !c.batched.Load() {
		return
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if len(c.batch) > 0 {
		c.write()
	}
}

// write writes the replies that wait, and parts. It is called with sending held.
func (c *client) write(parts ...[]byte) {
	batch := c.batch
	c.batch = c.batch[:0]
	c.batched.Store(false)
	if c.unsent != nil {
		return
	}
	c.out = c.out[:0]
	if len(batch) > 0 {
		c.out = append(c.out, batch)
	}
	c.out = append(c.out, parts...)
	if c.unsent = c.stream.writev(c.out); c.unsent != nil {
		c.deaf.Store(true)
		c.stream.abort()
	}
	clear(c.out) // what is given back is not kept
}
