//go:build !race

package rawsocket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Vectors is the memory in which the kernel is told of several pieces. One goroutine at a time uses
// it.
type Vectors struct{ list []unix.Iovec }

func (v *Vectors) readv(fd int, bufs [][]byte) (int, error) {
	return v.call(unix.SYS_READV, fd, bufs)
}

func (v *Vectors) writev(fd int, bufs [][]byte) (int, error) {
	return v.call(unix.SYS_WRITEV, fd, bufs)
}

// call makes a call that takes a descriptor, vectors and their number. It keeps nothing of bufs.
func (v *Vectors) call(number uintptr, fd int, bufs [][]byte) (int, error) {
	v.list = v.list[:0]
	for _, b := range bufs {
		one := unix.Iovec{Base: unsafe.SliceData(b)}
		one.SetLen(len(b))
		v.list = append(v.list, one)
	}
	n, _, errno := unix.Syscall(number, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(v.list))), uintptr(len(v.list)))
	clear(v.list)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
