// Package target opens what a program is to write besides what it has open as an image: new images,
// saved data, journals.
//
// There is one rule for all of them, and nothing happens to a file before it was judged by it:
//
//   - the caller's Admit agrees, which knows what is in use and what was asked for;
//   - nobody holds QEMU's image locks on it;
//   - what is there may be replaced, if the caller restricts that.
//
// A name is followed once. What was judged is what is opened (see Pin), so that no link can be
// moved between the two.
//
// Replace makes a file beside the one that is there, which keeps its contents until Commit and for
// good if it is never called: by an error, an interrupted command, or a program that was killed.
// Open changes the file itself, as a journal needs that must be there when everything else is lost.
package target

import (
	"cmp"
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/imagelock"
)

// Rule is what a caller demands of a file that is there.
type Rule struct {
	// Admit judges a file or device that is there. release, which may be nil, is called when it is
	// written. nil admits all.
	Admit func(f driver.HostFile) (release func(), err error)
	// Over says why a regular file of size bytes that begins with head must not be replaced. Empty
	// files are not asked about. nil takes all.
	Over func(head []byte, size int64) error
	// Existing: Open makes no file where there is none. NoLinks: a name that is a symbolic link
	// leads nowhere.
	Existing, NoLinks bool
	// Durable: Commit waits until a new file is on stable storage. For one that replaces another it
	// does so always.
	Durable bool
	// Perm are the permissions of a new file, before umask.
	Perm uint32
	// Until ends the wait for whoever reads a FIFO, also while it is written; nil: it is waited for
	// as long as it takes.
	Until context.Context
}

// headSize is how much of a file Rule.Over sees, in bytes.
const headSize = 4096

// File is a file or device that may be written. Commit or Close ends it.
type File struct {
	*os.File
	// Regular: it has a length, and holes. Anything else is written from the beginning to the end.
	Regular bool

	cut     bool // its contents were given up
	created bool // by Open
	// the file that takes the place of another when it is whole; nil if the file itself is written
	made     *made
	old      *os.File // whose place it takes, which holds the locks; nil if none is there
	released func()
	unwatch  func() bool // ends the watch over Rule.Until; nil if there is none
	done     bool
}

// Open opens name to read and write it as it is, and makes it if it is not there. Commit has
// nothing to do but to close it; Close removes it again if it was made.
func Open(name string, r Rule) (*File, error) {
	f, err := r.open(name)
	if errors.Is(err, unix.ENOENT) && !r.Existing {
		made := create(name, r.Perm)
		// what turned up meanwhile is judged like all else
		if err = made; err == nil || errors.Is(err, unix.EEXIST) {
			f, err = r.open(name)
		}
		if err == nil {
			f.created = made == nil
		}
	}
	return f, pathError(name, err)
}

// Create is Open with all contents removed.
func Create(name string, r Rule) (*File, error) {
	f, err := Open(name, r)
	if err != nil {
		return nil, err
	}
	return f.emptied(name)
}

// Replace makes a new, empty file that gets the name at Commit. A file that is there keeps its
// owner and permissions. One that cannot be replaced, such as one with several names, and what is
// no regular file is written itself.
func Replace(name string, r Rule) (*File, error) {
	f, err := Prepare(name, r)
	if err != nil {
		return nil, err
	}
	return f.emptied(name)
}

// Prepare is Replace that leaves alone what is to be written itself. GiveUp comes before the first
// byte of it is changed.
func Prepare(name string, r Rule) (*File, error) {
	old, err := r.open(name)
	switch {
	case errors.Is(err, unix.ENOENT):
		f, err := makeFile(&made{path: destination(name), durable: r.Durable}, r.Perm)
		return f, pathError(name, err)
	case err != nil:
		return nil, pathError(name, err)
	case !old.Regular:
		return old, nil
	}
	if f, err := old.successor(); err == nil {
		return f, nil
	}
	return old, nil
}

// emptied is f with nothing in it.
func (f *File) emptied(name string) (*File, error) {
	if err := f.empty(); err != nil {
		return nil, errors.Join(pathError(name, err), f.Close())
	}
	return f, nil
}

// open judges what is there and opens it. The error of what is not there is ENOENT.
func (r Rule) open(name string) (*File, error) {
	find := Find
	if r.NoLinks {
		find = findItself
	}
	p, err := find(name)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	switch p.Kind() {
	case unix.S_IFDIR:
		return nil, unix.EISDIR
	case unix.S_IFLNK:
		return nil, unix.ELOOP
	}
	release := func() {}
	if r.Admit != nil {
		admitted, err := r.Admit(p.HostFile)
		if err != nil {
			return nil, err
		}
		if admitted != nil {
			release = admitted
		}
	}
	f := &File{Regular: p.Kind() == unix.S_IFREG, released: release}
	if err := f.begin(p, r); err != nil {
		release()
		return nil, err
	}
	return f, nil
}

// begin opens the descriptor and looks at the contents and locks of a regular file.
func (f *File) begin(p *Pin, r Rule) error {
	lockable := f.Regular || p.Kind() == unix.S_IFBLK
	flags := unix.O_WRONLY | unix.O_NOCTTY
	if lockable {
		flags = unix.O_RDWR
	}
	until := cmp.Or(r.Until, context.Background())
	fd, err := p.OpenUntil(until, flags)
	if err != nil {
		return err
	}
	f.File, f.unwatch = interruptible(until, p, fd, p.Name)
	if lockable {
		err = f.lock()
	}
	if f.Regular && err == nil && r.Over != nil && p.Stat.Size > 0 {
		err = f.over(r, p.Stat.Size)
	}
	if err != nil {
		_ = f.File.Close()
	}
	return err
}

// lock holds the image locks of a writer until the file is closed.
func (f *File) lock() error {
	fd := int(f.Fd())
	if !imagelock.Supported(fd) {
		return nil
	}
	var l imagelock.Lock
	l.Attach(fd, f.Name())
	return l.Claim(driver.Claim{Use: driver.PermWrite | driver.PermResize, Share: driver.PermRead})
}

func (f *File) over(r Rule, size int64) error {
	head := make([]byte, headSize)
	n, err := Retry(func() (int, error) { return unix.Pread(int(f.Fd()), head, 0) })
	if err != nil {
		return err
	}
	return r.Over(head[:n], size)
}

func (f *File) empty() error {
	if !f.Regular {
		return nil
	}
	f.GiveUp()
	return f.Truncate(0)
}

// GiveUp says that the contents are of no more use, by whatever descriptor they are going to be
// changed: Close leaves an empty file.
func (f *File) GiveUp() { f.cut = f.Regular }

// Commit ends the file, which has its name when it returns. Close after it does nothing.
func (f *File) Commit() error {
	if f.done {
		return os.ErrClosed
	}
	var err error
	if f.made != nil {
		err = f.made.publish(f.File)
	}
	return errors.Join(err, f.end())
}

// Close gives the file up: what was there stays. A file that was emptied itself is left empty
// rather than half made.
func (f *File) Close() error {
	if f.done {
		return nil
	}
	var err error
	switch {
	case f.created:
		err = f.remove()
	case f.cut:
		err = f.empty()
	}
	return errors.Join(err, f.end())
}

// remove removes a file that Open made, if its name still means it.
func (f *File) remove() error {
	p, err := Find(descriptorPath(int(f.Fd())))
	if err != nil {
		return err
	}
	defer p.Close()
	path := p.place()
	if path == "" {
		return nil
	}
	return unix.Unlink(path)
}

// end closes all descriptors, which also gives up the locks.
func (f *File) end() error {
	f.done = true
	if f.unwatch != nil {
		f.unwatch()
	}
	err := f.File.Close()
	if f.made != nil {
		f.made.discard()
	}
	if f.old != nil {
		_ = f.old.Close() // it was not written
	}
	if f.released != nil {
		f.released()
	}
	return err
}

// pathError puts the name before the bare number of a system call. Other errors have words of their
// own.
func pathError(name string, err error) error {
	if no, ok := err.(unix.Errno); ok {
		return &os.PathError{Op: "open", Path: name, Err: no}
	}
	return err
}
