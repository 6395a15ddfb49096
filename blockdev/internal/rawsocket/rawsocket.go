// Package rawsocket is for connections that are waited for in the kernel, with a thread, and not in
// the runtime. The runtime would wake a second thread each time that something comes, for it to
// find that there is nothing else to do.
//
// Such a thread comes back quickly while the other side is quick, and so the runtime's processor
// stays with it. A Turn gives others theirs. A Watch sees at once what the other side does, and a
// Yield lets it do more.
package rawsocket

import (
	"errors"
	"net"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Take takes a connection from the runtime, and returns a descriptor of it that is the caller's.
// Calls on it wait, and fail with EAGAIN if nothing came or went within patience; 0 is for ever.
// ENOTSUP if conn is no socket of the system; then, and if anything else fails, conn is as it was.
func Take(conn net.Conn, patience time.Duration) (fd int, err error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return -1, syscall.ENOTSUP
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	failed := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err := errors.Join(failed, err); err != nil {
		return -1, err
	}
	t := unix.NsecToTimeval(patience.Nanoseconds())
	if err := errors.Join(unix.SetNonblock(fd, false),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &t),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &t)); err != nil {
		_ = unix.SetNonblock(fd, true)
		_ = unix.Close(fd)
		return -1, err
	}
	_ = conn.Close() // which takes it out of what the runtime polls
	return fd, nil
}

// maxPieces is how many pieces of memory one call takes.
const maxPieces = 512

// Read reads into p with one call. It returns 0 at the end of the stream.
func Read(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// Readv reads into bufs, one after the other, with one call. It returns 0 at the end of the stream.
func (v *Vectors) Readv(fd int, bufs [][]byte) (int, error) {
	if len(bufs) == 1 {
		return Read(fd, bufs[0])
	}
	for {
		n, err := v.readv(fd, bufs[:min(len(bufs), maxPieces)])
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// ReadvNow is Readv of what is there: EAGAIN if that is nothing.
func (v *Vectors) ReadvNow(fd int, bufs [][]byte) (int, error) {
	for {
		n, err := v.receive(fd, bufs[:min(len(bufs), maxPieces)])
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// Writev writes what goes out with one call. It returns how many bytes that were, and what is left
// of bufs, whose elements it changes.
func (v *Vectors) Writev(fd int, bufs [][]byte) (n int, left [][]byte, err error) {
	for {
		n, err = v.writev(fd, bufs[:min(len(bufs), maxPieces)])
		if err != unix.EINTR {
			n = max(n, 0)
			return n, behind(bufs, n), err
		}
	}
}

// behind is what is left of bufs without its first n bytes.
func behind(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// Turn is when a goroutine last let the runtime look around.
type Turn struct{ last time.Time }

// Pass lets the runtime look around if it has not for a while. From a goroutine that does not come
// back for long it takes its processor away, again and again.
func (t *Turn) Pass() {
	const often = 4 * time.Millisecond // of 10 that the runtime allows
	if now := time.Now(); now.Sub(t.last) > often {
		t.last = now
		runtime.Gosched()
	}
}
