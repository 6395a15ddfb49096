package nbd

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"
)

// stream is the byte stream to a server, plain or encrypted.
type stream interface {
	// readv reads at least one byte into bufs, one after the other. One goroutine reads at a time.
	readv(bufs [][]byte, w waiting) (int, error)
	// giveWay lets a server on this machine through before its answers are read, for about as long
	// as most. The goroutine that reads calls it.
	giveWay(most time.Duration)
	// writev writes all of bufs, whose slices it uses up, and says how much went out. One goroutine
	// writes at a time.
	writev(bufs *net.Buffers) (int64, error)
	// SetReadDeadline and SetWriteDeadline are how somebody who does not want to wait any longer
	// ends a call that is under way.
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	Close() error
}

// waiting is how somebody waits for a stream. Not every stream can do as it says.
type waiting struct {
	// beside is another stream, or nil. If nothing comes for a while, but there is something on
	// that, the call fails with errBeside.
	beside stream
	// awake: a server on this machine is about to send more than its socket holds, and can only if
	// somebody receives it meanwhile.
	awake bool
}

// longAgo as a deadline ends a call that waits.
func longAgo() time.Time { return time.Unix(1, 0) }

// isTimeout says that a deadline ended the call: nothing is wrong with the stream.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// errBeside says that the stream beside has something.
var errBeside = errors.New("a stream beside is ready")

// newStream is the plain stream over conn, which must not be used any more.
func newStream(conn net.Conn) stream {
	if s, err := newSocket(conn); err == nil {
		return s
	}
	return genericStream{Conn: conn}
}

// genericStream is a stream over any connection, such as a pipe in memory.
type genericStream struct{ net.Conn }

func (s genericStream) readv(bufs [][]byte, _ waiting) (int, error) { return s.Read(bufs[0]) }

func (s genericStream) giveWay(time.Duration) {}

func (s genericStream) writev(bufs *net.Buffers) (int64, error) { return bufs.WriteTo(s.Conn) }

// tlsStream is an encrypted stream. Small pieces are put together, because each write makes a
// record.
type tlsStream struct {
	*tls.Conn
	gathered []byte
}

// tlsRecord is the longest record of TLS, in bytes.
const tlsRecord = 16 << 10

func (s *tlsStream) readv(bufs [][]byte, _ waiting) (int, error) { return s.Read(bufs[0]) }

func (s *tlsStream) giveWay(time.Duration) {}

// writev says that something went out even if nothing did: a write that was ended is the last one.
func (s *tlsStream) writev(bufs *net.Buffers) (int64, error) {
	for _, b := range *bufs {
		if len(s.gathered)+len(b) <= tlsRecord {
			s.gathered = append(s.gathered, b...)
			continue
		}
		if err := s.spill(); err != nil {
			return 1, err
		}
		if len(b) <= tlsRecord {
			s.gathered = append(s.gathered, b...)
		} else if _, err := s.Write(b); err != nil {
			return 1, err
		}
	}
	*bufs = (*bufs)[:0]
	return 1, s.spill()
}

// Close says that it is the end, as far as there is room for that.
func (s *tlsStream) Close() error {
	defer time.AfterFunc(briefly, func() { _ = s.NetConn().Close() }).Stop()
	return s.Conn.Close()
}

func (s *tlsStream) spill() error {
	if len(s.gathered) == 0 {
		return nil
	}
	_, err := s.Write(s.gathered)
	s.gathered = s.gathered[:0]
	return err
}
