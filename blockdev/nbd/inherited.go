package nbd

import (
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

// inherited is the connection that whoever started this program left as an open file with that
// number. It can be had once. Files of our own, of which one may get the number afterwards, are
// closed on exec, which what was inherited cannot be.
func inherited(number string) (net.Conn, error) {
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return nil, driver.Refuse("Unable to parse FD number %s", number)
	}
	fd := int(n)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err == nil && flags&unix.FD_CLOEXEC == 0 {
		_, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	} else {
		err = unix.EBADF
	}
	if err != nil {
		return nil, driver.RefuseAs(err, "File descriptor '%s' is not a socket", number)
	}
	f := os.NewFile(uintptr(fd), "socket "+number)
	defer f.Close()
	return net.FileConn(f)
}
