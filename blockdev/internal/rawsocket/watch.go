package rawsocket

import (
	"time"

	"golang.org/x/sys/unix"
)

// Watch looks for what the other side of a connection on the same machine is about to do. It looks
// again and again for a while before its thread may sleep, because to wake a thread takes longer,
// in a virtual machine most of all. Between two looks it gives the processor to whoever wants it.
//
// Somebody who does may be the other side, which a thread that sleeps holds up less. So a watch
// that gave its processor away counts against the next ones, as does one in vain. Where they are
// more than a third, and where a stranger had the processor for long, it rests for many times as
// long, so that little is lost in all.
type Watch struct {
	against int
	rest    time.Time // before which it does not look
}

const (
	// watchTime is how long a watch looks.
	watchTime = 50 * time.Microsecond
	// givenAway is how long it takes to offer the processor if somebody takes it, at least. The
	// other side has it for less than strangeTime.
	givenAway, strangeTime = 3 * time.Microsecond, 300 * time.Microsecond
	// watchCost is what a watch counts that was not worth it, one that was counting against it.
	watchCost = 2
	// mostAgainst is the count from which on it rests.
	mostAgainst = 16
)

// For calls ready, which must not wait, until it says true, and returns whether it did. If it did
// not, or was not asked, it is time to sleep.
func (w *Watch) For(ready func() bool) bool {
	began := time.Now()
	if began.Before(w.rest) {
		return false
	}
	if ready() {
		return true
	}
	for offered := began; offered.Sub(began) < watchTime; offered = time.Now() {
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		back := time.Now()
		is := ready()
		if back.Sub(offered) > givenAway {
			w.count(began, back)
			return is
		}
		if is {
			w.against = max(0, w.against-1)
			return true
		}
	}
	w.count(began, time.Now())
	return false
}

// count notes that a watch was not worth it.
func (w *Watch) count(began, ended time.Time) {
	took := ended.Sub(began)
	if w.against += watchCost; w.against < mostAgainst && took < strangeTime {
		return
	}
	w.against = min(w.against, mostAgainst-watchCost)
	w.rest = ended.Add(costly * took)
}
