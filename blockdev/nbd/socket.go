package nbd

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/internal/rawsocket"
)

// socket is a stream over a socket of the system. It reads into several buffers with one call: the
// rest of a payload goes where it belongs and the next header behind it.
//
// It waits for the server in the kernel, as the package rawsocket tells why: at first in the call
// itself, which takes one call where there is little to wait for, and then in poll(2), which can be
// interrupted. Of what is long, it stays awake at the beginning.
type socket struct {
	fd               int
	local            bool // the server is on this machine
	reading, writing side
	yield            rawsocket.Yield
	watch            rawsocket.Watch // for what is to be read

	mu     sync.Mutex
	users  int // calls under way
	closed bool
}

// side is one direction of a socket.
type side struct {
	interrupt int            // an eventfd, readable when calls shall end
	until     atomic.Int64   // when calls end, in nanoseconds since 1970; 0 for never
	fds       [3]unix.PollFd // the last is for a socket beside
	idle      bool           // the last call found nothing
	turn      rawsocket.Turn
	vectors   rawsocket.Vectors
}

const (
	// callTime is how long a call waits by itself, and so how long one that is interrupted may go
	// on.
	callTime = 10 * time.Millisecond
	// sendBuffer is how many bytes of requests the kernel keeps for a server on this machine, and
	// as many again for its own records, so that it need not wake us for each piece of a long
	// write. It is what anybody may ask for. Over TCP the kernel finds out itself.
	sendBuffer = 208 << 10
)

// newSocket takes a connection from the runtime. If it fails, conn is as it was.
func newSocket(conn net.Conn) (*socket, error) {
	s := &socket{fd: -1, reading: side{interrupt: -1}, writing: side{interrupt: -1}}
	switch c := conn.(type) {
	case *net.UnixConn:
		_ = c.SetWriteBuffer(sendBuffer)
		s.local = true
	case *net.TCPConn:
		server, ok := c.RemoteAddr().(*net.TCPAddr)
		s.local = ok && server.IP.IsLoopback()
	}
	err := errors.Join(s.reading.open(), s.writing.open())
	if err == nil {
		s.fd, err = rawsocket.Take(conn, callTime)
	}
	if err != nil {
		s.release()
		return nil, err
	}
	s.reading.watch(s.fd, unix.POLLIN)
	s.writing.watch(s.fd, unix.POLLOUT)
	return s, nil
}

// open makes the eventfd.
func (d *side) open() (err error) {
	d.interrupt, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return err
}

// watch says which events of which socket wait is for.
func (d *side) watch(fd int, events int16) {
	d.fds = [3]unix.PollFd{
		{Fd: int32(fd), Events: events}, {Fd: int32(d.interrupt), Events: unix.POLLIN}, nobody,
	}
}

// nobody is what poll(2) passes over.
var nobody = unix.PollFd{Fd: -1}

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

// wait returns when the socket is ready in the direction of d, and fails at its deadline, or with
// errBeside when only one beside it is ready.
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
		case d.fds[2].Revents != 0:
			return errBeside
		}
	}
}

// waitBeside is wait, with another stream beside, unless that is nil or no socket.
func (d *side) waitBeside(other stream) error {
	if o, is := other.(*socket); is {
		if o.enter() != nil { // what was in flight there has failed
			return errBeside
		}
		defer o.leave()
		d.fds[2] = unix.PollFd{Fd: int32(o.fd), Events: unix.POLLIN}
		defer func() { d.fds[2] = nobody }()
	}
	return d.wait()
}

func (s *socket) giveWay(most time.Duration) {
	if s.local {
		s.yield.To(most)
	}
}

func (s *socket) readv(bufs [][]byte, w waiting) (n int, err error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	d := &s.reading
	d.turn.Pass()
	came := w.awake && s.local && s.watch.For(func() bool {
		n, err = d.vectors.ReadvNow(s.fd, bufs)
		return err != unix.EAGAIN
	})
	if !came {
		n, err = d.readv(s.fd, bufs, w.beside)
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

// readv waits for something to read, or on the stream beside, and reads it.
func (d *side) readv(fd int, bufs [][]byte, beside stream) (n int, err error) {
	for {
		if d.idle {
			if err := d.waitBeside(beside); err != nil {
				return 0, err
			}
		}
		n, err = d.vectors.Readv(fd, bufs)
		if d.idle = err == unix.EAGAIN; !d.idle {
			return n, err
		}
	}
}

func (s *socket) writev(bufs *net.Buffers) (sent int64, err error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	for len(*bufs) > 0 {
		var n int
		n, *bufs, err = s.writing.vectors.Writev(s.fd, *bufs)
		sent += int64(n)
		if err == unix.EAGAIN {
			err = s.writing.wait()
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}
