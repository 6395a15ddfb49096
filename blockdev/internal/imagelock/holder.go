package imagelock

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

// holder looks for the process that holds a lock on the byte at of the file dev, ino. Each
// descriptor with locks lists them in its fdinfo, in the form
//
//	lock:	1: OFDLCK ADVISORY  READ -1 fe:00:12345 100 100
//
// with the device in hexadecimal, then the inode, the first and the last byte.
func holder(dev, ino uint64, at int64) (driver.Process, error) {
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(dev), unix.Minor(dev), ino)
	infos, err := filepath.Glob("/proc/[0-9]*/fdinfo/*")
	if err != nil {
		return driver.Process{}, err
	}
	self := os.Getpid()
	own := false
	for _, info := range infos {
		text, err := os.ReadFile(info)
		if err != nil || !holdsLock(text, file, at) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(info, "/")[2])
		if err != nil {
			continue
		}
		// unless somebody else turns up: the same file may be open here for another purpose
		if pid == self {
			own = true
			continue
		}
		return process(pid), nil
	}
	if own {
		return process(self), nil
	}
	return driver.Process{}, errors.New("no process that can be seen holds the lock")
}

func process(pid int) driver.Process {
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // without a name it is still one
	return driver.Process{PID: pid, Command: strings.TrimSpace(string(comm))}
}

// holdsLock says whether an fdinfo lists an OFD lock of file that covers the byte at.
func holdsLock(fdinfo []byte, file string, at int64) bool {
	lines := bufio.NewScanner(bytes.NewReader(fdinfo))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 9 || f[0] != "lock:" || f[2] != "OFDLCK" || f[6] != file {
			continue
		}
		first, err := strconv.ParseInt(f[7], 10, 64)
		if err != nil {
			continue
		}
		last, err := strconv.ParseInt(f[8], 10, 64)
		if f[8] == "EOF" || err == nil && at <= last {
			if first <= at {
				return true
			}
		}
	}
	return false
}
