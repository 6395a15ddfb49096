package nbd

import (
	"sync"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// ledger knows whether a flush covers what it is to cover. A server that was killed may not have
// stored what it had answered, and the one that comes after it knows nothing of that: its answer to
// a flush would be taken for more than it says. The first flush after such a loss fails therefore.
//
// A server that has ended in order, or a connection that was lost alone, looks the same from here.
// nil believes all flushes, as QEMU does.
type ledger struct {
	mu       sync.Mutex
	answered int64 // changes that are not durable by themselves
	stored   int64 // how many of those a flush has covered, or was told not to
	lives    int   // of the server: how often it was lost
	lost     bool  // some of what it had answered may be, and no flush has said so
}

// errUnstored is a flush that does not cover all that was answered.
var errUnstored error = &driver.Refusal{
	Text: "the server was lost before it was told to store all that it had taken; " +
		"what was written since the last flush may be gone",
	Err: syscall.EIO,
}

// begin notes what a flush has to cover that is about to be sent.
func (l *ledger) begin(r *request) {
	if l == nil || r.Command != nbdwire.CmdFlush {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r.covers = l.answered
}

// end notes what was answered, and fails a flush that does not cover all.
func (l *ledger) end(r *request) {
	if l == nil || r.err != nil {
		return
	}
	switch r.Command {
	case nbdwire.CmdWrite, nbdwire.CmdWriteZeroes:
		if r.Flags&nbdwire.FUA == 0 {
			l.mu.Lock()
			l.answered++
			l.mu.Unlock()
		}
	case nbdwire.CmdFlush:
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.lost {
			r.err, l.lost = errUnstored, false
		}
		l.stored = max(l.stored, r.covers)
	}
}

// life is that of the server in which a connection is made.
func (l *ledger) life() int {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lives
}

// succeed begins another life of the server, in place of the one in which a connection was made
// that is lost, and returns its number. That another connection was lost with it changes nothing.
func (l *ledger) succeed(life int) int {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if life == l.lives {
		l.lives++
		l.lost = l.lost || l.answered > l.stored
		l.stored = l.answered
	}
	return l.lives
}
