//go:build !race

package rawsocket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Vectors is the memory in which the kernel is told of several pieces. One goroutine at a time uses
// it.
type Vectors struct {
	list   []unix.Iovec
	header unix.Msghdr
}

func (v *Vectors) readv(fd int, bufs [][]byte) (int, error) {
	return v.transfer(unix.SYS_READV, fd, bufs)
}

func (v *Vectors) writev(fd int, bufs [][]byte) (int, error) {
	return v.transfer(unix.SYS_WRITEV, fd, bufs)
}

// receive is readv that does not wait.
func (v *Vectors) receive(fd int, bufs [][]byte) (int, error) {
	v.fill(bufs)
	v.header.Iov = unsafe.SliceData(v.list)
	v.header.SetIovlen(len(v.list))
	return v.call(unix.SYS_RECVMSG, fd, unsafe.Pointer(&v.header), unix.MSG_DONTWAIT)
}

// transfer makes a call that takes a descriptor, vectors and their number.
func (v *Vectors) transfer(number uintptr, fd int, bufs [][]byte) (int, error) {
	v.fill(bufs)
	return v.call(number, fd, unsafe.Pointer(unsafe.SliceData(v.list)), len(v.list))
}

// fill makes the vectors those of bufs.
func (v *Vectors) fill(bufs [][]byte) {
	v.list = v.list[:0]
	for _, b := range bufs {
		one := unix.Iovec{Base: unsafe.SliceData(b)}
		one.SetLen(len(b))
		v.list = append(v.list, one)
	}
}

// call makes a call that uses the vectors, of which nothing is kept.
func (v *Vectors) call(number uintptr, fd int, what unsafe.Pointer, more int) (int, error) {
	n, _, errno := unix.Syscall(number, uintptr(fd), uintptr(what), uintptr(more))
	clear(v.list)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
