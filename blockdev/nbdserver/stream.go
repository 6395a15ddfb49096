package nbdserver

import (
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/internal/rawsocket"
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
// soon says whether the next request is worth watching for.
func newStream(conn, rw net.Conn, soon func() bool) stream {
	if conn == rw {
		if s, err := newSocket(conn, soon); err == nil {
			return s
		}
	}
	return connStream{conn, rw}
}

// socket is a stream whose calls wait in the kernel, as the package rawsocket tells why: a worker
// that has answered a request hears of the next one at once.
type socket struct {
	fd    int
	soon  func() bool
	watch rawsocket.Watch
	out   rawsocket.Vectors
}

// sendBuffer is how many bytes of replies the kernel keeps for a client on this machine, so that
// the reply to a long read is sent before all of it was received. Over TCP the kernel finds out
// itself.
const sendBuffer = 1 << 20

// newSocket takes a connection from the runtime. If it fails, conn is as it was.
func newSocket(conn net.Conn, soon func() bool) (*socket, error) {
	if local, ok := conn.(*net.UnixConn); ok {
		_ = local.SetWriteBuffer(sendBuffer)
	}
	fd, err := rawsocket.Take(conn, 0)
	return &socket{fd: fd, soon: soon}, err
}

func (s *socket) Read(p []byte) (int, error) {
	var n int
	var err error
	if len(p) > 0 && s.soon() {
		n, err = s.watch.Read(s.fd, p)
	} else {
		n, err = rawsocket.Read(s.fd, p)
	}
	if err == nil && n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

func (s *socket) writev(bufs [][]byte) (err error) {
	for len(bufs) > 0 && err == nil {
		_, bufs, err = s.out.Writev(s.fd, bufs)
	}
	return err
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
