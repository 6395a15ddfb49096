package nbd

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a stream over a socket of the system. It reads into several buffers with one call: the
// rest of a payload goes where it belongs and the next header behind it.
//
// It waits for the server in poll(2), with a thread, and not in the runtime, which would wake a
// second thread each time that something comes, for it to find that there is nothing else to do.
type socket struct {
	fd               int
	reading, writing side

	mu     sync.Mutex
	users  int // calls under way
	closed bool
}

// side is one direction of a socket.
type side struct {
	interrupt int          // an eventfd, readable when calls shall end
	until     atomic.Int64 // when calls end, in nanoseconds since 1970; 0 for never
	fds       [2]unix.PollFd
	yielded   time.Time
}

// newSocket takes a connection from the runtime. If it fails, conn is as it was.
func newSocket(conn net.Conn) (*socket, error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return nil, syscall.ENOTSUP
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{fd: -1, reading: side{interrupt: -1}, writing: side{interrupt: -1}}
	failed := raw.Control(func(fd uintptr) {
		s.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if failed == nil && err == nil {
		err = errors.Join(s.reading.open(s.fd, unix.POLLIN), s.writing.open(s.fd, unix.POLLOUT))
	}
	if err := errors.Join(failed, err); err != nil {
		s.release()
		return nil, err
	}
	_ = conn.Close() // which takes it out of what the runtime polls
	return s, nil
}

// open prepares to wait for events of fd.
func (d *side) open(fd int, events int16) (err error) {
	d.interrupt, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	d.fds = [2]unix.PollFd{
		{Fd: int32(fd), Events: events}, {Fd: int32(d.interrupt), Events: unix.POLLIN},
	}
	return err
}

// release closes the descriptors.
func (s *socket) release() {
	for _, fd := range []int{s.fd, s.reading.interrupt, s.writing.interrupt} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// enter keeps the descriptors open until leave, unless the socket is closed.
func (s *socket) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.users++
	return nil
}

func (s *socket) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 && s.closed {
		s.release()
	}
}

// Close makes all calls return, now and later.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	_ = unix.Shutdown(s.fd, unix.SHUT_RDWR)
	if s.users == 0 {
		s.release()
	}
	return nil
}

// SetReadDeadline and SetWriteDeadline end calls that are under way only if t is over.
func (s *socket) SetReadDeadline(t time.Time) error { return s.setDeadline(&s.reading, t) }

func (s *socket) SetWriteDeadline(t time.Time) error { return s.setDeadline(&s.writing, t) }

func (s *socket) setDeadline(d *side, t time.Time) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	var b [8]byte
	if t.IsZero() {
		d.until.Store(0)
		_, _ = unix.Read(d.interrupt, b[:])
		return nil
	}
	d.until.Store(t.UnixNano())
	if time.Until(t) <= 0 {
		b[0], b[7] = 1, 1 // not 0 in either order of bytes
		_, _ = unix.Write(d.interrupt, b[:])
	}
	return nil
}

// wait returns when the socket is ready in the direction of d, and fails at its deadline.
func (d *side) wait() error {
	for {
		timeout := -1 // milliseconds
		if until := d.until.Load(); until != 0 {
			left := time.Until(time.Unix(0, until))
			if left <= 0 {
				return os.ErrDeadlineExceeded
			}
			timeout = int(left/time.Millisecond) + 1
		}
		_, err := unix.Poll(d.fds[:], timeout)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case d.fds[1].Revents != 0:
			return os.ErrDeadlineExceeded
		case d.fds[0].Revents != 0:
			return nil
		}
	}
}

// yield lets the runtime look around now and then. From a goroutine that does not come back for
// long it takes its processor away, again and again.
func (d *side) yield() {
	const often = 4 * time.Millisecond // of 10 that the runtime allows
	if now := time.Now(); now.Sub(d.yielded) > often {
		d.yielded = now
		runtime.Gosched()
	}
}

func (s *socket) readv(bufs [][]byte) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	s.reading.yield()
	for {
		var n int
		var err error
		if len(bufs) == 1 {
			n, err = unix.Read(s.fd, bufs[0])
		} else {
			n, err = unix.Readv(s.fd, bufs)
		}
		switch {
		case err == unix.EAGAIN:
			err = s.reading.wait()
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		}
		if err != nil && err != unix.EINTR {
			return 0, err
		}
	}
}

func (s *socket) writev(bufs *net.Buffers) (int64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	var sent int64
	for len(*bufs) > 0 {
		n, err := unix.Writev(s.fd, (*bufs)[:min(len(*bufs), maxPieces)])
		if err == unix.EAGAIN {
			err = s.writing.wait()
		}
		if err != nil && err != unix.EINTR {
			return sent, err
		}
		sent += int64(max(n, 0))
		for n > 0 || len(*bufs) > 0 && len((*bufs)[0]) == 0 {
			if first := &(*bufs)[0]; n < len(*first) {
				*first, n = (*first)[n:], 0
			} else {
				n, *bufs = n-len(*first), (*bufs)[1:]
			}
		}
	}
	return sent, nil
}
