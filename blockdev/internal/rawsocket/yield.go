package rawsocket

import (
	"time"

	"golang.org/x/sys/unix"
)

// Yield lets the other side of a connection on the same machine work before its answers are read.
// Whoever waits for many is otherwise woken by the first, and takes the processor from the program
// that is about to give the next.
//
// Strangers may get the processor as well, and keep it. Once that has happened, nobody is let
// through for many times as long, so that little is lost in all.
type Yield struct{ rest time.Time }

// costly is how many times as long there is no other yield after one that took too long, nor watch.
const costly = 64

// To lets those through who need the processor, for at most so much time. It may take longer.
func (y *Yield) To(most time.Duration) {
	began := time.Now()
	if began.Before(y.rest) {
		return
	}
	_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	if took := time.Since(began); took > most {
		y.rest = began.Add(costly * took)
	}
}
