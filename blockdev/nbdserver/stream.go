package nbdserver

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stream is what a client that uses an export is connected by.
type stream interface {
	io.Reader
	// writev writes all of bufs, whose elements it changes.
	writev(bufs [][]byte) error
	// endReading makes Read return, now and later, when nothing is there to be read.
	endReading()
	// abort makes all calls return.
	abort()
	// Close ends the connection. No other call is under way, nor comes later.
	Close() error
}

// newStream takes over what a client has haggled on. It is plain if conn is all there is of it.
func newStream(conn, rw net.Conn) stream {
	if conn == rw {
		if s, err := newSocket(conn); err == nil {
			return s
		}
	}
	return connStream{conn, rw}
}

// socket is a stream whose calls wait in the kernel, with a thread each, and not in the runtime. A
// worker that has answered a request thus hears of the next one at once: the runtime would wake
// another thread each time, for it to find that there is nothing else to do.
type socket struct{ fd int }

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
	fd := -1
	failed := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err := errors.Join(failed, err); err != nil {
		return nil, err
	}
	_ = conn.Close() // which takes it out of what the runtime polls
	return &socket{fd}, unix.SetNonblock(fd, false)
}

func (s *socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(s.fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (s *socket) writev(bufs [][]byte) error {
	for len(bufs) > 0 {
		n, err := unix.Writev(s.fd, bufs)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		for len(bufs) > 0 && n >= len(bufs[0]) {
			n -= len(bufs[0])
			bufs = bufs[1:]
		}
		if n > 0 {
			bufs[0] = bufs[0][n:]
		}
	}
	return nil
}

func (s *socket) endReading() { _ = unix.Shutdown(s.fd, unix.SHUT_RD) }

func (s *socket) abort() { _ = unix.Shutdown(s.fd, unix.SHUT_RDWR) }

func (s *socket) Close() error { return unix.Close(s.fd) }

// connStream is a stream that is encrypted, or no socket of the system.
type connStream struct {
	conn net.Conn // the socket
	rw   net.Conn // conn, or TLS over it
}

func (s connStream) Read(p []byte) (int, error) { return s.rw.Read(p) }

// writev puts what is short into one record of TLS.
func (s connStream) writev(bufs [][]byte) error {
	const short = 4 << 10
	var first []byte
	for len(bufs) > 0 && len(first)+len(bufs[0]) <= short {
		first = append(first, bufs[0]...)
		bufs = bufs[1:]
	}
	if len(first) > 0 {
		if _, err := s.rw.Write(first); err != nil {
			return err
		}
	}
	for _, b := range bufs {
		if _, err := s.rw.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func (s connStream) endReading() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) }

func (s connStream) abort() { _ = s.conn.Close() }

func (s connStream) Close() error { return s.rw.Close() }
