package nbd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LongestPath is how many bytes the path of a socket may have: sun_path of unix(7). One that fills
// it has no zero at its end, which the kernel does not ask for, nor do QEMU and libnbd. The package
// net does.
const LongestPath = len(unix.RawSockaddrUnix{}.Path)

// pathError says that no socket has so long a path.
type pathError struct{ path string }

func (e *pathError) Error() string {
	return fmt.Sprintf("UNIX socket path '%s' is too long", e.path)
}

// Hint says what is not, in QEMU's words, which takes one byte more than it says.
func (*pathError) Hint() string {
	return fmt.Sprintf("Path must be less than %d bytes\n", LongestPath)
}

// Unwrap is ENAMETOOLONG.
func (*pathError) Unwrap() error { return syscall.ENAMETOOLONG }

// socketFile is how the package net is told the path of a socket. It takes one that begins with @
// for the name of a socket that has no file.
func socketFile(path string) string {
	if path[0] == '@' {
		return "./" + path
	}
	return path
}

// dialUnix connects to a socket in a directory.
func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	switch {
	case len(path) > LongestPath:
		return nil, &pathError{path}
	case path == "": // as the system says it of no file
		return nil, syscall.ECONNREFUSED
	case len(path) < LongestPath:
		return d.DialContext(ctx, "unix", socketFile(path))
	}
	f, err := os.OpenFile(path, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}

// ListenUnix makes a socket at a path of at most LongestPath bytes, which it leaves there when it
// is closed.
func ListenUnix(path string) (*net.UnixListener, error) {
	var l net.Listener
	var err error
	if len(path) < LongestPath {
		l, err = net.Listen("unix", socketFile(path))
	} else {
		l, err = listenFull(path)
	}
	if err != nil {
		return nil, err
	}
	own := l.(*net.UnixListener)
	own.SetUnlinkOnClose(false)
	return own, nil
}

// listenFull is ListenUnix for a path that fills the address.
func listenFull(path string) (net.Listener, error) {
	address := unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	for i := range address.Path {
		address.Path[i] = int8(path[i])
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), path)
	_, _, no := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&address)),
		unsafe.Sizeof(address))
	if no != 0 {
		return nil, errors.Join(os.NewSyscallError("bind", no), f.Close())
	}
	if err = unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return nil, errors.Join(os.NewSyscallError("listen", err), f.Close())
	}
	l, err := net.FileListener(f)
	return l, errors.Join(err, f.Close())
}
