package nbdserver

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/internal/rawsocket"
)

// stream is what a client that uses an export is connected by.
type stream interface {
	io.Reader
	// readv reads at least one byte into bufs, one after the other, if the first is not empty. It
	// calls idle before it waits.
	readv(bufs [][]byte, idle func()) (int, error)
	// writev writes all of bufs, whose elements it changes.
	writev(bufs [][]byte) error
	// moved is how many bytes have gone either way, from any goroutine. Of what is long a part at a
	// time is counted.
	moved() int64
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
	return &connStream{conn: conn, rw: rw}
}

// movedBytes counts them.
type movedBytes struct{ n atomic.Int64 }

func (m *movedBytes) moved() int64 { return m.n.Load() }

// sendPiece is how much is sent with one call, in bytes, so that it shows how a client takes it:
// the reply to a read of 256 KiB, with its headers.
const sendPiece = 256<<10 + 4<<10

// upTo is the beginning of bufs with at most n bytes, and what was cut off the last of them. That
// has to be put back.
func upTo(bufs [][]byte, n int) (some [][]byte, rest []byte) {
	for i, b := range bufs {
		if len(b) > n {
			bufs[i], rest = b[:n], b[n:]
			return bufs[:i+1], rest
		}
		n -= len(b)
	}
	return bufs, nil
}

// socket is a stream whose calls wait in the kernel, as the package rawsocket tells why: a worker
// that has answered a request hears of the next one at once.
type socket struct {
	movedBytes
	fd    int
	soon  func() bool
	watch rawsocket.Watch
	in    rawsocket.Vectors
	one   [1][]byte // room for what Read fills
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
	if len(p) == 0 {
		return 0, nil
	}
	s.one[0] = p
	defer func() { s.one[0] = nil }()
	return s.wait(s.one[:])
}

func (s *socket) readv(bufs [][]byte, idle func()) (int, error) {
	n, err := s.in.ReadvNow(s.fd, bufs)
	if err == unix.EAGAIN {
		idle()
		return s.wait(bufs)
	}
	return s.count(n, err)
}

// wait reads what is there, or comes.
func (s *socket) wait(bufs [][]byte) (n int, err error) {
	came := s.soon() && s.watch.For(func() bool {
		n, err = s.in.ReadvNow(s.fd, bufs)
		return err != unix.EAGAIN
	})
	if !came {
		n, err = s.in.Readv(s.fd, bufs)
	}
	return s.count(n, err)
}

// count counts what was read, of which nothing is the end.
func (s *socket) count(n int, err error) (int, error) {
	s.n.Add(int64(n))
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

func (s *socket) writev(bufs [][]byte) error {
	for len(bufs) > 0 {
		some, rest := upTo(bufs, sendPiece)
		n, left, err := s.out.Writev(s.fd, some)
		s.n.Add(int64(n))
		if err != nil {
			return err
		}
		last := len(some) - 1
		if rest != nil && len(left) == 0 {
			bufs[last], left = rest, bufs[last:last+1]
		} else if rest != nil {
			bufs[last] = bufs[last][:len(bufs[last])+len(rest)] // which lies behind it
		}
		bufs = bufs[len(some)-len(left):]
	}
	return nil
}

func (s *socket) endReading() { _ = unix.Shutdown(s.fd, unix.SHUT_RD) }

func (s *socket) abort() { _ = unix.Shutdown(s.fd, unix.SHUT_RDWR) }

func (s *socket) Close() error { return unix.Close(s.fd) }

// connStream is a stream that is encrypted, or no socket of the system.
type connStream struct {
	movedBytes
	conn net.Conn // the socket
	rw   net.Conn // conn, or TLS over it
}

func (s *connStream) Read(p []byte) (int, error) {
	n, err := s.rw.Read(p)
	s.n.Add(int64(n))
	return n, err
}

func (s *connStream) readv(bufs [][]byte, idle func()) (int, error) {
	idle()
	return s.Read(bufs[0])
}

// writev puts what is short into one record of TLS.
func (s *connStream) writev(bufs [][]byte) error {
	const short = 4 << 10
	var first []byte
	for len(bufs) > 0 && len(first)+len(bufs[0]) <= short {
		first = append(first, bufs[0]...)
		bufs = bufs[1:]
	}
	if err := s.write(first); err != nil {
		return err
	}
	for _, b := range bufs {
		if err := s.write(b); err != nil {
			return err
		}
	}
	return nil
}

func (s *connStream) write(b []byte) error {
	for len(b) > 0 {
		n, err := s.rw.Write(b[:min(len(b), sendPiece)])
		s.n.Add(int64(n))
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (s *connStream) endReading() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) }

func (s *connStream) abort() { _ = s.conn.Close() }

func (s *connStream) Close() error { return s.rw.Close() }
