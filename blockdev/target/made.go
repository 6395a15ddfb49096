package target

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// made is a new file that has not the name yet that it is to have.
type made struct {
	path string // the name to come, links resolved
	// the name it has meanwhile; "" for none, so that the system removes it when the program ends
	// in any way
	temp string
	over *Pin // what has the name now; nil: nothing may have it
	// durable: it is on stable storage before and after it gets its name.
	durable bool
}

// maxLinks is how many links that lead nowhere are followed, as the kernel does.
const maxLinks = 40

// destination is name, or where it leads to if it is a link to what is not there.
func destination(name string) string {
	for range maxLinks {
		to, err := os.Readlink(name)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(name), to)
		}
		name = to
	}
	return name
}

// create makes an empty file where there is none.
func create(name string, perm uint32) error {
	fd, err := Retry(func() (int, error) {
		return unix.Open(destination(name), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC,
			perm)
	})
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// successor makes a file that takes the place of f, with its owner and permissions. f then only
// keeps the locks.
func (f *File) successor() (*File, error) {
	p, path, err := f.replaceable()
	if err != nil {
		return nil, err
	}
	next, err := makeFile(&made{path: path, over: p, durable: true}, 0o600)
	if err != nil {
		p.Close()
		return nil, err
	}
	if err := inherit(next.File, &p.Stat); err != nil {
		return nil, errors.Join(err, next.end()) // which closes p
	}
	next.old, next.released = f.File, f.released
	return next, nil
}

// inherit gives a new file the owner and permissions of the one before.
func inherit(f *os.File, st *unix.Stat_t) error {
	var own unix.Stat_t
	fd := int(f.Fd())
	if err := unix.Fstat(fd, &own); err != nil {
		return err
	}
	if own.Uid != st.Uid || own.Gid != st.Gid {
		if err := unix.Fchown(fd, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return unix.Fchmod(fd, st.Mode&0o7777)
}

// makeFile makes the file in the folder where it is to be: without a name where the file system
// can, otherwise with one that says what made it.
func makeFile(m *made, perm uint32) (*File, error) {
	fd, err := Retry(func() (int, error) { return openUnnamed(filepath.Dir(m.path), perm) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) ||
		errors.Is(err, unix.EINVAL) {
		m.temp = m.tempName()
		fd, err = Retry(func() (int, error) {
			return unix.Open(m.temp,
				unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_RDWR|unix.O_CLOEXEC, perm)
		})
	}
	if err != nil {
		return nil, err
	}
	return &File{File: os.NewFile(uintptr(fd), m.path), Regular: true, made: m}, nil
}

// openUnnamed makes a file without a name. It is replaced in tests, for file systems that cannot.
var openUnnamed = func(dir string, perm uint32) (int, error) {
	return unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, perm)
}

// tempName is a hidden name beside the one to come, such as ".disk.qcow2.blksh-5RV2KJ...".
func (m *made) tempName() string {
	dir, base := filepath.Split(m.path)
	return dir + "." + base[:min(len(base), 200)] + ".blksh-" + rand.Text()
}

// publish gives the file its name, in one step that either happens or not.
func (m *made) publish(f *os.File) error {
	if m.durable {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := m.name(f); err != nil {
		return &os.PathError{Op: "name", Path: m.path, Err: err}
	}
	if m.durable {
		return m.syncFolder()
	}
	return nil
}

// syncFolder makes the name durable.
func (m *made) syncFolder() error {
	dir, err := os.Open(filepath.Dir(m.path))
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, unix.EINVAL) { // a file system that does not sync folders
		err = nil
	}
	return errors.Join(err, dir.Close())
}

func (m *made) name(f *os.File) error {
	if m.over == nil {
		if m.temp == "" {
			return link(f, m.path)
		}
		return m.moveTo()
	}
	var st unix.Stat_t
	if err := unix.Lstat(m.path, &st); err != nil {
		return err
	}
	if !m.over.is(&st) {
		return unix.ESTALE
	}
	if m.temp == "" {
		temp := m.tempName()
		if err := link(f, temp); err != nil {
			return err
		}
		m.temp = temp
	}
	if err := unix.Rename(m.temp, m.path); err != nil {
		return err
	}
	m.temp = ""
	return nil
}

// moveTo renames the file to what nobody else has made meanwhile.
func (m *made) moveTo() error {
	err := unix.Renameat2(unix.AT_FDCWD, m.temp, unix.AT_FDCWD, m.path, unix.RENAME_NOREPLACE)
	if err == nil {
		m.temp = ""
		return nil
	}
	// the file system cannot; the temporary name goes with discard
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return unix.Link(m.temp, m.path)
	}
	return err
}

// link gives a file without a name its first one.
func link(f *os.File, path string) error {
	return unix.Linkat(unix.AT_FDCWD, descriptorPath(int(f.Fd())), unix.AT_FDCWD, path,
		unix.AT_SYMLINK_FOLLOW)
}

// discard removes a name that was only for the time being.
func (m *made) discard() {
	if m.temp != "" {
		_ = unix.Unlink(m.temp)
	}
	if m.over != nil {
		m.over.Close()
	}
}
