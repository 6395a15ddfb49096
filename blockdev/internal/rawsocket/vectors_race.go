//go:build race

package rawsocket

import "golang.org/x/sys/unix"

// Vectors is nothing here: the race detector has to see the calls.
type Vectors struct{}

func (*Vectors) readv(fd int, bufs [][]byte) (int, error) { return unix.Readv(fd, bufs) }

func (*Vectors) writev(fd int, bufs [][]byte) (int, error) { return unix.Writev(fd, bufs) }

func (*Vectors) receive(fd int, bufs [][]byte) (int, error) {
	n, _, _, _, err := unix.RecvmsgBuffers(fd, bufs, nil, unix.MSG_DONTWAIT)
	return n, err
}
