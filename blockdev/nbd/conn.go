package nbd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// window is how many requests of single callers are in flight on one connection. A server works on
// fewer, and the rest wait in its socket.
const window = 64

// errLost is a request that was in flight, or to be sent, when its connection ended.
var errLost = errors.New("connection lost")

// conn is one connection in its transmission phase.
//
// It has no goroutine of its own. Whoever waits for a reply reads the socket if nobody else does,
// gives the others what is theirs, and leaves the reading to one of them when its own reply has
// come. A caller alone thus waits without any switch between goroutines, and of many one reads for
// all.
type conn struct {
	stream stream
	agreed agreement
	said   func() string // see Config
	ledger *ledger
	life   int         // see ledger
	forget func() bool // ends the watch over Config.Until

	sending sync.Mutex // held while a frame is written
	writer  atomic.Pointer[waiter]
	header  []byte // under sending
	out     net.Buffers

	mu        sync.Mutex
	slots     []slot
	free      []int   // slots for single callers
	spare     []int   // slots that queues have used
	err       error   // why the connection is of no more use
	reader    *waiter // who reads, nil for nobody
	turns     uint64  // how often somebody has
	waiters   []*waiter
	flying    int   // requests in flight
	large     int   // reads among them whose payload should not pass through the buffer
	payload   int64 // of what is in flight, in bytes
	released  sync.Cond
	orphaned  bool // the payload that is being read is nobody's any more
	receiving receiving

	split atomic.Int32 // how many reads of the socket ended between a header and its data
}

// slot is a place for a request in flight. Its number and its turn make the cookie.
type slot struct {
	request *request
	turn    uint32
}

// waiter is somebody who sends requests and waits for replies, with watch over it meanwhile.
type waiter struct {
	wake chan struct{}
	// beside is another stream that the waiter watches while it reads, or nil. When there is
	// something on it, and nothing to read, it notes so in elsewhere.
	beside    stream
	elsewhere bool
}

func newWaiter() *waiter { return &waiter{wake: make(chan struct{}, 1)} }

// watches has the waiter watch a stream beside, nil for none.
func (w *waiter) watches(beside stream) { w.beside, w.elsewhere = beside, false }

// notify lets the waiter look again.
func (w *waiter) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// watch has w look up from reading and writing when ctx ends, until stop is called.
func (c *conn) watch(ctx context.Context, w *waiter) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.interrupt(w) })
}

// interrupt has w look up. It may be late: whoever uses the stream then looks up in vain.
func (c *conn) interrupt(w *waiter) {
	c.mu.Lock()
	if c.reader == w {
		_ = c.stream.SetReadDeadline(longAgo())
	}
	c.mu.Unlock()
	if c.writer.Load() == w {
		_ = c.stream.SetWriteDeadline(longAgo())
	}
}

func newConn(s stream, a agreement, cfg *Config) *conn {
	c := &conn{
		stream: s, agreed: a, said: cfg.said, ledger: cfg.ledger, life: cfg.ledger.life(),
		slots: make([]slot, window),
		free:  make([]int, 0, window),
	}
	c.released.L = &c.mu
	c.receiving.buf = make([]byte, bufferSize)
	for i := range window {
		c.free = append(c.free, i)
	}
	until := cfg.until()
	c.mu.Lock() // it may have ended
	defer c.mu.Unlock()
	c.forget = context.AfterFunc(until, func() { c.lose(context.Cause(until)) })
	return c
}

// start sends r. It waits while the window is full, unless busy is set: then it returns errBusy. If
// it succeeds, finish is to be called.
func (c *conn) start(ctx context.Context, r *request, busy bool) (err error) {
	r.unwatch = c.watch(ctx, r.waiter)
	defer func() {
		if err != nil {
			r.unwatch()
		}
	}()
	c.mu.Lock()
	err = c.takeSlot(ctx, r, busy)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	return c.send(ctx, r)
}

// errBusy says that a window is full.
var errBusy = errors.New("window full")

// takeSlot is called with mu held.
func (c *conn) takeSlot(ctx context.Context, r *request, busy bool) error {
	if c.err == nil && len(c.free) == 0 && busy {
		return errBusy
	}
	// What came for somebody who is gone gives slots back, too: whoever waits for one reads.
	err := c.wait(ctx, r.waiter, func() bool { return len(c.free) > 0 || c.err != nil })
	if err != nil {
		return err
	}
	if c.err != nil {
		return errLost
	}
	last := len(c.free) - 1
	r.slot = c.free[last]
	c.free = c.free[:last]
	c.enter(r)
	return nil
}

// enterSpare puts r in flight, beside the window. It is called with mu held.
func (c *conn) enterSpare(r *request) {
	if last := len(c.spare) - 1; last >= 0 {
		r.slot = c.spare[last]
		c.spare = c.spare[:last]
	} else {
		r.slot = len(c.slots)
		c.slots = append(c.slots, slot{})
	}
	c.enter(r)
}

// enter puts r in flight in its slot. It is called with mu held.
func (c *conn) enter(r *request) {
	s := &c.slots[r.slot]
	s.request = r
	s.turn++
	r.inFlight = true
	c.flying++
	r.Cookie = uint64(s.turn)<<32 | uint64(r.slot)
	c.payload += r.payload()
	if r.isLarge() {
		c.large++
	}
	c.ledger.begin(r)
}

// payload is how many bytes of data go over the connection.
func (r *request) payload() int64 {
	if r.Command == nbdwire.CmdRead || r.Command == nbdwire.CmdWrite {
		return int64(r.Length)
	}
	return 0
}

// isLarge says that a reply is better read where it belongs than copied there.
func (r *request) isLarge() bool {
	return r.Command == nbdwire.CmdRead && r.Length >= largePayload
}

// send writes a request, with sending held.
func (c *conn) send(ctx context.Context, r *request) error {
	head, chosen := r.Request, c.choose(r)
	if chosen != nil {
		head.Flags |= nbdwire.PayloadLength
		head.Length = uint64(len(chosen))
	}
	c.header = head.Append(c.header[:0], c.agreed.form)
	c.out = append(c.out[:0], c.header)
	switch {
	case chosen != nil:
		c.out = append(c.out, chosen)
	case r.Command == nbdwire.CmdWrite:
		c.out = append(c.out, r.data...)
	}
	err := c.flush(ctx, r.waiter)
	if err == errNotSent {
		err = context.Cause(ctx)
		c.retract(r, err)
	}
	return err
}

// choose is the payload that asks for one of several contexts, nil where there is but one, or the
// server tells of all.
func (c *conn) choose(r *request) []byte {
	if r.context == "" || len(c.agreed.contexts) < 2 || !c.agreed.has(nbdwire.BlockStatusPayload) {
		return nil
	}
	x, _ := c.agreed.named(r.context)
	return nbdwire.StatusPayload{Length: r.Length, Contexts: []uint32{x.ID}}.Append(nil)
}

// flush writes what is in out, for w. What fails ends the connection, unless it is known that
// nothing went out: nobody knows how much of a frame did.
func (c *conn) flush(ctx context.Context, w *waiter) error {
	c.writer.Store(w)
	defer c.writer.Store(nil)
	if ctx.Err() != nil {
		c.out = c.out[:0]
		return errNotSent
	}
	all := c.out // writev moves it on
	n, err := c.stream.writev(&c.out)
	for isTimeout(err) && ctx.Err() == nil { // somebody before gave up, but too late
		_ = c.stream.SetWriteDeadline(time.Time{})
		var more int64
		more, err = c.stream.writev(&c.out)
		n += more
	}
	if isTimeout(err) {
		_ = c.stream.SetWriteDeadline(time.Time{})
	}
	clear(all)
	c.out = all[:0]
	switch {
	case err == nil:
		return nil
	case isTimeout(err) && n == 0:
		return errNotSent
	case isTimeout(err):
		err = errors.New("a request was given up amid its data")
	}
	c.lose(err)
	return errLost
}

// errNotSent is a request that was given up before anything of it went out.
var errNotSent = errors.New("not sent")

// retract takes back a request that was not sent.
func (c *conn) retract(r *request, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.inFlight {
		r.fail(err)
		r.done = true
		c.settle(r)
	}
}

// finish waits for the reply to r. When ctx ends first, r is left to whatever comes, and must not
// be used again.
func (c *conn) finish(ctx context.Context, r *request) error {
	defer r.unwatch()
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.wait(ctx, r.waiter, func() bool { return r.done })
	if err != nil {
		c.abandon(r)
		return err
	}
	return r.err
}

// abandon parts r from its caller, whose memory is not touched any more. It is called with mu held.
func (c *conn) abandon(r *request) {
	r.abandoned = true
	if c.receiving.into == r {
		c.takeMemory()
	}
}

// takeMemory returns when nobody reads into the memory of the request whose data is coming. What is
// left of it goes nowhere. It is called with mu held, but not by the reader.
func (c *conn) takeMemory() {
	c.orphaned = true
	for turn := c.turns; c.reader != nil && c.turns == turn; {
		_ = c.stream.SetReadDeadline(longAgo()) // the reader looks up
		c.released.Wait()
	}
}

// wait returns when ready says so, or when ctx ends, for which w is watched. It is called with mu
// held, as is ready.
func (c *conn) wait(ctx context.Context, w *waiter, ready func() bool) error {
	for !ready() {
		if err := ctx.Err(); err != nil {
			c.passOn()
			return context.Cause(ctx)
		}
		if c.reader != nil {
			c.follow(ctx, w)
			continue
		}
		c.reader = w
		c.mu.Unlock()
		err := c.receive(w)
		c.mu.Lock()
		c.reader = nil
		c.turns++
		c.released.Broadcast()
		if err != nil && !isTimeout(err) {
			c.loseLocked(err)
		}
	}
	c.passOn()
	return nil
}

// follow parks until there is something to look at.
func (c *conn) follow(ctx context.Context, w *waiter) {
	c.waiters = append(c.waiters, w)
	c.mu.Unlock()
	select {
	case <-w.wake:
	case <-ctx.Done():
	}
	c.mu.Lock()
	if i := slices.Index(c.waiters, w); i >= 0 {
		c.waiters = slices.Delete(c.waiters, i, i+1)
	}
}

// passOn leaves the reading to somebody who waits.
func (c *conn) passOn() {
	if c.reader == nil && len(c.waiters) > 0 {
		c.waiters[0].notify()
	}
}

// settle takes r out of flight. It is called with mu held.
func (c *conn) settle(r *request) {
	c.slots[r.slot].request = nil
	r.inFlight = false
	c.flying--
	c.payload -= r.payload()
	if r.isLarge() {
		c.large--
	}
	if r.slot < window {
		c.free = append(c.free, r.slot)
	} else {
		c.spare = append(c.spare, r.slot)
	}
	if r.queue != nil {
		r.queue.done = append(r.queue.done, r.queued)
		r.queue.flying--
		if r.Command == nbdwire.CmdRead {
			r.queue.reads--
		}
	}
	r.waiter.notify()
	if len(c.free) == 1 { // somebody may wait for it
		for _, w := range c.waiters {
			w.notify()
		}
	}
}

// lose ends the connection: err is why. All requests in flight fail with errLost.
func (c *conn) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loseLocked(err)
}

func (c *conn) loseLocked(err error) {
	if c.err != nil {
		return
	}
	if c.said != nil && err != net.ErrClosed {
		if text := c.said(); text != "" { // it may have said why it ends
			err = fmt.Errorf("%w; the server says: %s", err, text)
		}
	}
	c.err = err
	c.forget()
	_ = c.stream.Close()
	if c.receiving.into != nil {
		c.takeMemory()
	}
	for i := range c.slots {
		if r := c.slots[i].request; r != nil {
			r.fail(errLost)
			r.done = true
			c.settle(r)
		}
	}
	for _, w := range c.waiters {
		w.notify()
	}
}

// lost says whether the connection is of no more use, and why.
func (c *conn) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// load is what the connection has to do, in requests.
func (c *conn) load() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return window - len(c.free) + int(c.payload/payloadWeight)
}

// owes says whether the server has not answered all requests, of which some may be given up.
func (c *conn) owes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err == nil && c.flying > 0
}

// close takes leave of the server and ends the connection. Nothing may be in flight but what was
// given up.
func (c *conn) close() {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.lost() == nil {
		bye := nbdwire.Request{Command: nbdwire.CmdDisconnect}.Append(nil, c.agreed.form)
		c.out = append(c.out[:0], bye)
		until := soon()
		if c.owes() { // it may never read it
			until = longAgo()
		}
		_ = c.stream.SetWriteDeadline(until)
		_, _ = c.stream.writev(&c.out)
	}
	c.lose(net.ErrClosed)
}

// broken is a reply that makes no sense.
type broken struct {
	err   error
	errno syscall.Errno
}

func (b *broken) Error() string { return "the server broke the protocol: " + b.err.Error() }

func (b *broken) Unwrap() []error { return []error{b.err, b.errno} }

var errHungUp = errors.New("it hung up")

// dead is the error of a request on a connection that is gone.
func dead(cause error) error {
	switch cause.(type) {
	case syscall.Errno, *net.OpError, *os.SyscallError:
		cause = spoken(cause)
	}
	if cause == io.EOF {
		cause = errHungUp
	}
	return driver.RefuseAs(syscall.EIO, "the connection to the server is lost: %v", cause)
}
