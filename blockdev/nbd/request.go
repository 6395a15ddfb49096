package nbd

import (
	"fmt"
	"sync"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// request is one request of the protocol, from being made until its last reply has come.
type request struct {
	nbdwire.Request
	// data is what a write sends, and where a read puts what comes. It is not used after done, nor
	// after the request was abandoned.
	data driver.Vec
	// status takes the extents of a block status in context.
	context string
	status  func(list []nbdwire.Extent) error

	// The rest belongs to conn.mu.

	slot      int
	inFlight  bool // the server has it, as far as we know
	done      bool
	abandoned bool // nobody waits any more: what comes goes nowhere
	err       error
	covered   nbdwire.Coverage // of a read with structured replies
	waiter    *waiter
	unwatch   func() bool // of a single caller's, from start to finish
	chunks    uint64      // of its reply
	queue     *queue      // that it belongs to, in the slot queued, nil for none
	queued    int
	covers    int64 // of a flush: how many changes, see ledger
}

// requests are kept for the next ones, with their memory.
var requests = sync.Pool{New: func() any { return &request{waiter: newWaiter()} }}

// newRequest is a request of n bytes at off.
func newRequest(cmd nbdwire.Command, flags nbdwire.CommandFlags, off, n int64) *request {
	r := requests.Get().(*request)
	r.reset(cmd, flags, off, n)
	return r
}

func (r *request) reset(cmd nbdwire.Command, flags nbdwire.CommandFlags, off, n int64) {
	r.Request = nbdwire.Request{Command: cmd, Flags: flags, Offset: uint64(off), Length: uint64(n)}
	r.renew()
}

// renew makes a request ready to be sent, again after a connection was lost.
func (r *request) renew() {
	r.done, r.abandoned, r.err, r.chunks = false, false, nil, 0
	r.covered.Reset()
}

// copied is the same request anew, of a single caller.
func (r *request) copied() *request {
	return &request{Request: r.Request, data: r.data, waiter: newWaiter()}
}

// release keeps r for another request. It must be done.
func (r *request) release() {
	r.data, r.context, r.status = nil, "", nil
	requests.Put(r)
}

// fail notes the first thing that went wrong.
func (r *request) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// ServerError is what a server answered instead of doing what was asked.
type ServerError struct {
	Command string
	Errno   syscall.Errno
	Text    string // in its own words, "" for none
}

func (e *ServerError) Error() string {
	text := driver.ErrnoText(e.Errno)
	if e.Text != "" {
		text += fmt.Sprintf(" (the server says: %s)", e.Text)
	}
	return text
}

// Unwrap is the error number.
func (e *ServerError) Unwrap() error { return e.Errno }

// refused is a reply with an error. A server that gives no reason in it may have said one.
func (c *conn) refused(r *request, code uint32, text string) error {
	if text == "" && c.said != nil {
		text = c.said()
	}
	return &ServerError{Command: r.Command.String(), Errno: nbdwire.Errno(code), Text: text}
}

// complete checks what only shows at the end of a reply.
func (r *request) complete(form nbdwire.Form) {
	if r.err == nil && r.Command == nbdwire.CmdRead && form != nbdwire.Simple &&
		!r.covered.Whole(r.Offset, r.Length) {
		r.err = fmt.Errorf("the server answered only a part of a read of %d bytes at %d: %w",
			r.Length, r.Offset, syscall.EIO)
	}
	r.done = true
}
