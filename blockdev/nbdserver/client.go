package nbdserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

const (
	// maxWorkers is how many requests of one connection are worked on at a time.
	maxWorkers = 16
	// maxMemory is how many bytes of data the requests of one connection may hold at a time. A
	// single one may hold more.
	maxMemory = 16 << 20
	// maxSkipped is how much data of a refused request is read and dropped, in bytes. A client with
	// more is hung up on.
	maxSkipped = 64 << 20
	// bufferSize is for reading requests, in bytes: several small ones come with one call.
	bufferSize = 64 << 10
)

// client is a connection that uses an export.
type client struct {
	conn     net.Conn // the socket
	rw       net.Conn // conn, or TLS over it
	export   *Export
	size     uint64
	readOnly bool
	form     nbdwire.Form
	contexts []nbdwire.Context
	memory   budget
	traffic  traffic
	moved    func(n int64) // nil if nobody wants to know

	reading sync.Mutex // held by the worker that reads
	in      *bufio.Reader
	head    []byte
	ended   bool // no further requests are read
	err     error

	sending sync.Mutex // held while a reply is written
	out     net.Buffers
	dead    bool // a reply could not be sent

	mu      sync.Mutex
	workers int
	idle    int // workers that wait for reading
	group   sync.WaitGroup
}

func newClient(h *haggling, e *Export) *client {
	return &client{
		conn: h.conn, rw: h.rw, form: h.form, contexts: h.contexts,
		export: e, size: e.size(), readOnly: e.readOnly(),
		in: bufio.NewReaderSize(h.rw, bufferSize), head: make([]byte, nbdwire.RequestSize(h.form)),
		memory: newBudget(maxMemory), moved: h.server.Moved,
	}
}

// traffic counts what was done for a client.
type traffic struct{ requests, read, written atomic.Int64 }

func (t *traffic) sum() Traffic {
	return Traffic{Requests: t.requests.Load(), Read: t.read.Load(), Written: t.written.Load()}
}

// count notes that a request was done.
func (c *client) count(r nbdwire.Request) {
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
	stop := context.AfterFunc(ctx, func() {
		_ = c.conn.SetReadDeadline(time.Unix(1, 0))
		_ = c.conn.SetWriteDeadline(time.Now().Add(lingerTime))
	})
	c.hire(context.WithoutCancel(ctx))
	c.group.Wait()
	stop()
	_ = c.rw.Close()
	if ctx.Err() != nil && isTimeout(c.err) {
		return nil
	}
	return c.err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
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
		err := c.next(w)
		c.reading.Unlock()
		if err != nil {
			return
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
		return net.ErrClosed
	}
	err := c.readRequest(w)
	if err != nil {
		c.ended = true
		if err != errLeave && !(err == io.EOF && c.memory.idle()) {
			c.err = err
		}
	}
	return err
}

// errTooLong refuses the data of a request.
var errTooLong = refusal{syscall.EINVAL, "more data than a request may have"}

// errLeave says that the client takes leave.
var errLeave = errors.New("disconnect")

func (c *client) readRequest(w *worker) error {
	if _, err := io.ReadFull(c.in, c.head); err != nil {
		return err
	}
	r, err := nbdwire.ParseRequest(c.head, c.form)
	if err != nil {
		return err
	}
	w.request, w.data, w.refused = r, nil, c.check(r)
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
		_, err := io.CopyN(io.Discard, c.in, int64(payload))
		return err
	}
	w.take(c.need(r))
	_, err = io.ReadFull(c.in, w.data[:payload])
	if err != nil {
		w.give()
	}
	return err
}

// need is how much memory the data of a request takes, in bytes.
func (c *client) need(r nbdwire.Request) int {
	switch r.Command {
	case nbdwire.CmdRead:
		return int(r.Length)
	case nbdwire.CmdCache:
		return int(min(r.Length, cachePiece))
	}
	return int(r.Payload(c.form))
}

// send writes a reply whole.
func (c *client) send(parts ...[]byte) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.dead {
		return
	}
	c.out = append(c.out[:0], parts...)
	all := c.out
	var err error
	if c.rw == c.conn {
		_, err = c.out.WriteTo(c.rw)
	} else {
		err = writeTLS(c.rw, c.out)
	}
	clear(all)
	c.out = all[:0]
	if err != nil {
		c.dead = true
		_ = c.conn.Close()
	}
}

// writeTLS puts a short reply into one record.
func writeTLS(w io.Writer, parts net.Buffers) error {
	const short = 4 << 10
	var first []byte
	for i, p := range parts {
		if len(first)+len(p) > short {
			break
		}
		first = append(first, p...)
		parts[i] = nil
	}
	if _, err := w.Write(first); err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := w.Write(p); len(p) > 0 && err != nil {
			return err
		}
	}
	return nil
}

// budget bounds the memory of requests. Whoever needs more than there is waits, and one that needs
// more than there can be waits until nobody else has any.
type budget struct {
	mu    *sync.Mutex
	freed *sync.Cond
	limit int
	used  int
}

func newBudget(limit int) budget {
	mu := &sync.Mutex{}
	return budget{mu: mu, freed: sync.NewCond(mu), limit: limit}
}

func (b *budget) take(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.used > 0 && b.used+n > b.limit {
		b.freed.Wait()
	}
	b.used += n
}

func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.freed.Broadcast()
}

// idle says that nobody has any.
func (b *budget) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used == 0
}
