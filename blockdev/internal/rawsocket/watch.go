package rawsocket

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Watch reads from a socket whose other side is about to send. It looks for data for a while, and
// only then lets its thread sleep, because to wake a thread takes longer, in a virtual machine most
// of all. If it has looked in vain a few times, it rests, and looks again now and then.
type Watch struct {
	vain int // times in a row
	rest int // reads that it does not look before
}

const (
	// watchTime is how long a watch looks, and watchPause how long it waits between two looks, so
	// that it does not hold up who sends.
	watchTime, watchPause = 20 * time.Microsecond, time.Microsecond
	// mostVain is how often it looks in vain before it rests, for as many reads as watchRest.
	mostVain, watchRest = 4, 64
)

// Read reads into p, which is not empty, as soon as there is something, and waits for that. It
// returns 0 at the end of the stream.
func (w *Watch) Read(fd int, p []byte) (n int, err error) {
	if w.rest > 0 || runtime.NumCPU() == 1 { // then the sender could not run meanwhile
		w.rest = max(0, w.rest-1)
		return Read(fd, p)
	}
	for began := time.Now(); time.Since(began) < watchTime; {
		n, _, err = unix.Recvfrom(fd, p, unix.MSG_DONTWAIT)
		if err != unix.EAGAIN && err != unix.EINTR {
			w.vain = 0
			return max(n, 0), err
		}
		for looked := time.Now(); time.Since(looked) < watchPause; {
		}
	}
	if w.vain++; w.vain >= mostVain {
		w.vain, w.rest = mostVain, watchRest
	}
	return Read(fd, p)
}
