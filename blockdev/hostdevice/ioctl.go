package hostdevice

import (
	"encoding/binary"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl makes one request of a device. arg is the structure that the kernel reads and writes, as it
// lies in memory.
type ioctl func(fd int, req uint, arg []byte) error

// control is the system call.
func control(fd int, req uint, arg []byte) error {
	_, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req),
		uintptr(unsafe.Pointer(unsafe.SliceData(arg))))
	runtime.KeepAlive(arg)
	if no != 0 {
		return no
	}
	return nil
}

func (c ioctl) uint32(fd int, req uint) (uint32, error) {
	arg := make([]byte, 4)
	err := c(fd, req, arg)
	return binary.NativeEndian.Uint32(arg), err
}

func (c ioctl) uint64(fd int, req uint) (uint64, error) {
	arg := make([]byte, 8)
	err := c(fd, req, arg)
	return binary.NativeEndian.Uint64(arg), err
}

// pair is the uint64_t[2] that many block ioctls take: a start and a length.
func pair(start, length uint64) []byte {
	arg := make([]byte, 0, 16)
	arg = binary.NativeEndian.AppendUint64(arg, start)
	return binary.NativeEndian.AppendUint64(arg, length)
}
