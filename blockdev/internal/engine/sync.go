package engine

import (
	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

// Sync is the port of plain system calls, made on the goroutine of the request. Background requests
// have goroutines of their own, so this is also what QEMU calls aio=threads.
type Sync struct{}

var _ Port = Sync{}

// Readv is preadv(2).
func (Sync) Readv(fd int, v driver.Vec, off int64) (int, error) {
	if len(v) == 1 {
		return unix.Pread(fd, v[0], off)
	}
	return unix.Preadv(fd, v, off)
}

// Writev is pwritev(2).
func (Sync) Writev(fd int, v driver.Vec, off int64) (int, error) {
	if len(v) == 1 {
		return unix.Pwrite(fd, v[0], off)
	}
	return unix.Pwritev(fd, v, off)
}

// Close has nothing to do.
func (Sync) Close() error { return nil }
