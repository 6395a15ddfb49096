package target

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

// Pin is a file or device that a name led to, held fast but not opened: its driver does not know of
// it yet. What is judged through a Pin is what Open opens, whatever becomes of the name meanwhile.
type Pin struct {
	driver.HostFile
	Stat unix.Stat_t
}

// Find follows name, symbolic links included. The error is the system's number alone.
func Find(name string) (*Pin, error) { return find(name, 0, 0) }

// findItself is Find that finds a symbolic link and not what it leads to.
func findItself(name string) (*Pin, error) { return find(name, unix.O_NOFOLLOW, 0) }

// FindStored is Find for a name that a stranger chose: it is not followed to what some process has
// open, as /proc/self/fd/0 and /dev/stdin would be. The error is then ELOOP.
func FindStored(name string) (*Pin, error) { return find(name, 0, unix.RESOLVE_NO_MAGICLINKS) }

func find(name string, flags int, resolve uint64) (*Pin, error) {
	flags |= unix.O_PATH | unix.O_CLOEXEC
	how := unix.OpenHow{Flags: uint64(flags), Resolve: resolve}
	fd, err := Retry(func() (int, error) { return unix.Openat2(unix.AT_FDCWD, name, &how) })
	// before Linux 5.6, or where a filter does not know the call
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		fd, err = Retry(func() (int, error) { return unix.Open(name, flags, 0) })
	}
	if err != nil {
		return nil, err
	}
	p := &Pin{HostFile: driver.HostFile{Name: name, FD: fd}}
	if err := unix.Fstat(fd, &p.Stat); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// kernelFS are the file systems whose files are doors to the kernel and to other processes, by
// their magic numbers.
var kernelFS = []int64{
	unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEBUGFS_MAGIC,
	unix.TRACEFS_MAGIC,
}

// Stored says whether the file holds what was stored in it, and is not made up by the kernel when
// it is read.
func (p *Pin) Stored() bool {
	var fs unix.Statfs_t
	err := unix.Fstatfs(p.FD, &fs)
	return err == nil && !slices.Contains(kernelFS, int64(fs.Type))
}

// Close lets the file go. Descriptors that Open made stay.
func (p *Pin) Close() { _ = unix.Close(p.FD) } // nothing was written through it

// Kind is the type of the file, such as unix.S_IFREG.
func (p *Pin) Kind() uint32 { return p.Stat.Mode & unix.S_IFMT }

// Open opens the file itself with flags of open(2). The error is the system's number alone.
func (p *Pin) Open(flags int) (int, error) {
	fd, err := Retry(
		func() (int, error) { return unix.Open(descriptorPath(p.FD), flags|unix.O_CLOEXEC, 0) })
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	// There is no /proc. The name may lead elsewhere by now, which shows before anything is done to
	// it.
	fd, err = Retry(func() (int, error) { return unix.Open(p.Name, flags|unix.O_CLOEXEC, 0) })
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && !p.is(&st) {
		err = unix.ESTALE
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// descriptorPath is a name of an open file, which cannot be made to mean another one.
func descriptorPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// is says whether st is that of the pinned file.
func (p *Pin) is(st *unix.Stat_t) bool { return st.Dev == p.Stat.Dev && st.Ino == p.Stat.Ino }

// place is the path of a regular file whose place another can take, links resolved; "" if it has
// several names, none that is known, one that is a mount of its own, or attributes such as access
// lists that the other would not have.
func (p *Pin) place() string {
	var stx unix.Statx_t
	if err := unix.Statx(p.FD, "", unix.AT_EMPTY_PATH, unix.STATX_NLINK, &stx); err != nil ||
		stx.Nlink != 1 {
		return ""
	}
	if stx.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return ""
	}
	if hasAttributes(descriptorPath(p.FD)) {
		return ""
	}
	path, err := os.Readlink(descriptorPath(p.FD))
	if err != nil {
		return ""
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || !p.is(&st) {
		return ""
	}
	return path
}

// hasAttributes says whether a file has extended attributes, but for the label that the system
// gives every file.
func hasAttributes(path string) bool {
	const most = 4096 // a longer list has others for sure
	list := make([]byte, most)
	n, err := unix.Listxattr(path, list)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false
	}
	if err != nil {
		return true
	}
	for name := range strings.SplitSeq(string(list[:n]), "\x00") {
		if name != "" && name != "security.selinux" {
			return true
		}
	}
	return false
}

// Retry repeats a call that a signal interrupted.
func Retry[T any](call func() (T, error)) (T, error) {
	for {
		v, err := call()
		if !errors.Is(err, unix.EINTR) {
			return v, err
		}
	}
}
