// Package imagelock takes QEMU's locks on image files, so that two programs do not damage an image
// that neither expects the other to use.
//
// A lock is a set of single bytes of the file, held by open-file-description read locks, which
// never conflict by themselves. Byte 100+n says that permission n is in use, byte 200+n that its
// holder does not want others to use it. Who wants a permission first takes its own bytes and then
// looks whether somebody holds the bytes that stand against them. (Measured with strace on qemu-io
// 7.2.22.)
package imagelock

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

const (
	usedByte     = 100
	unsharedByte = 200
)

var permNames = [...]string{"consistent read", "write", "write unchanged", "resize"}

// Lock is the image lock of one open file. The zero value holds nothing and locks nothing until
// Attach. It may be used from several goroutines.
type Lock struct {
	mu   sync.Mutex
	fd   int
	on   bool
	name string
	held byteSet
	move *move // nil unless Move was called
}

// move is a change of descriptors that is prepared.
type move struct {
	fd    int
	held  byteSet // there
	extra byteSet // what was taken on the old descriptor meanwhile
}

// byteSet is the bytes held, as permissions in use and permissions denied to others.
type byteSet struct{ used, denied driver.Perm }

func bytesOf(c driver.Claim) byteSet {
	return byteSet{used: c.Use & driver.PermAll, denied: driver.PermAll &^ c.Share}
}

func (b byteSet) without(o byteSet) byteSet {
	return byteSet{b.used &^ o.used, b.denied &^ o.denied}
}

func (b byteSet) with(o byteSet) byteSet { return byteSet{b.used | o.used, b.denied | o.denied} }

// each calls do for the bytes of b, those in use counted from used on and those denied from denied
// on, with the permission that each is about.
func (b byteSet) each(
	used, denied int64, do func(at int64, perm string, denied bool) error,
) error {
	for n, perm := range permNames {
		bit := driver.Perm(1) << n
		if b.used&bit != 0 {
			if err := do(used+int64(n), perm, false); err != nil {
				return err
			}
		}
		if b.denied&bit != 0 {
			if err := do(denied+int64(n), perm, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// Supported says whether the file behind fd knows open-file-description locks.
func Supported(fd int) bool {
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &unix.Flock_t{Type: unix.F_RDLCK}) == nil
}

// Attach makes the lock work on fd, which was opened by name.
func (l *Lock) Attach(fd int, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fd, l.name, l.on = fd, name, true
}

// Claim changes what is held from the claim before to c. Either all of it is had, or the error is
// an *InUseError or that of the system and the claim before stays in force.
func (l *Lock) Claim(c driver.Claim) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.on {
		return nil
	}
	want := bytesOf(c)
	if l.move != nil {
		return l.claimMoving(want)
	}
	if _, err := l.take(want); err != nil {
		return err
	}
	err := set(l.fd, l.held.without(want), unix.F_UNLCK)
	l.held = want
	return err
}

// take adds to what is held what want has more, and looks whether others stand against it. If it
// fails nothing is added.
func (l *Lock) take(want byteSet) (extra byteSet, err error) {
	extra = want.without(l.held)
	if err = set(l.fd, extra, unix.F_RDLCK); err == nil {
		err = l.check(want)
	}
	if err != nil {
		_ = set(l.fd, extra, unix.F_UNLCK)
		return byteSet{}, err
	}
	return extra, nil
}

// claimMoving takes want on the new descriptor. The old one holds what is taken as well and gives
// nothing up, so that nobody can come in between; while others are looked for, the new one holds
// nothing, for it would look like one of them.
func (l *Lock) claimMoving(want byteSet) error {
	m := l.move
	_ = set(m.fd, m.held, unix.F_UNLCK)
	extra, err := l.take(want)
	if err == nil {
		if err = set(m.fd, want, unix.F_RDLCK); err != nil {
			_ = set(m.fd, want, unix.F_UNLCK)
			_ = set(l.fd, extra, unix.F_UNLCK)
		}
	}
	if err != nil {
		// the old descriptor holds the same, which is what counts until Moved
		_ = set(m.fd, m.held, unix.F_RDLCK)
		return err
	}
	l.held = l.held.with(extra)
	m.held, m.extra = want, m.extra.with(extra)
	return nil
}

// Drop gives up all locks of a descriptor that is about to be closed. Closing does that as well,
// but only when the kernel has let go of the file, and an io_uring that knew it may take its time.
func Drop(fd int) {
	// a length of 0 is all of the file
	_ = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK})
}

// Move begins to move what is held to fd, another descriptor of the same file. Claims are for fd
// from here on. Both descriptors hold their locks until Moved or Stay is called, for the read locks
// that these are never conflict by themselves.
func (l *Lock) Move(fd int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.on {
		return nil
	}
	if err := set(fd, l.held, unix.F_RDLCK); err != nil {
		return driver.Refuse("Could not take locks on new fd: %w", err)
	}
	l.move = &move{fd: fd, held: l.held}
	return nil
}

// Moved ends a Move: the new descriptor is the one that counts. What the old one holds goes with
// Drop.
func (l *Lock) Moved() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.move; m != nil {
		l.fd, l.held, l.move = m.fd, m.held, nil
	}
}

// Stay undoes a Move and all claims since: the old descriptor holds what it held before. What the
// new one holds goes with Drop.
func (l *Lock) Stay() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.move; m != nil {
		_ = set(l.fd, m.extra, unix.F_UNLCK)
		l.held, l.move = l.held.without(m.extra), nil
	}
}

// set locks (F_RDLCK) or unlocks (F_UNLCK) the bytes b.
func set(fd int, b byteSet, kind int16) error {
	return b.each(usedByte, unsharedByte, func(at int64, _ string, _ bool) error {
		if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK,
			&unix.Flock_t{Type: kind, Start: at, Len: 1}); err != nil {
			return &RefusedError{Byte: at, Err: err}
		}
		return nil
	})
}

// check looks for bytes of others that stand against b.
func (l *Lock) check(b byteSet) error { return b.each(unsharedByte, usedByte, l.probe) }

func (l *Lock) probe(at int64, perm string, shared bool) error {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1}
	if err := unix.FcntlFlock(uintptr(l.fd), unix.F_OFD_GETLK, &lk); err != nil {
		return &RefusedError{Byte: at, Err: err}
	}
	if lk.Type == unix.F_UNLCK {
		return nil
	}
	e := &InUseError{Image: l.name, Perm: perm, Shared: shared, at: at}
	var st unix.Stat_t
	if unix.Fstat(l.fd, &st) == nil {
		e.dev, e.ino = uint64(st.Dev), st.Ino
	}
	return e
}

// RefusedError is the system's refusal to lock a byte at all.
type RefusedError struct {
	Byte int64
	Err  error
}

func (e *RefusedError) Error() string { return fmt.Sprintf("Failed to lock byte %d", e.Byte) }

// Unwrap is the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// InUseError says that another program stands in the way. Its words are QEMU's.
type InUseError struct {
	Image string
	Perm  string // "write" and the like
	// Shared: the permission cannot be denied to others since somebody uses it already. Otherwise
	// it cannot be had since somebody denies it.
	Shared bool

	dev, ino uint64
	at       int64
}

var (
	_ driver.Hinter = (*InUseError)(nil)
	_ driver.Held   = (*InUseError)(nil)
)

func (e *InUseError) Error() string {
	if e.Shared {
		return fmt.Sprintf("Failed to get shared %q lock", e.Perm)
	}
	return fmt.Sprintf("Failed to get %q lock", e.Perm)
}

// Unwrap is EAGAIN, as a refused lock has it.
func (e *InUseError) Unwrap() error { return unix.EAGAIN }

// Hint says where to look.
func (e *InUseError) Hint() string {
	return fmt.Sprintf("Is another process using the image [%s]?\n", e.Image)
}

// Holder finds the process that stands in the way. The kernel names none for locks of this kind, so
// it is looked up in /proc, as far as that may be read; the error says that nothing was found.
func (e *InUseError) Holder() (driver.Process, error) {
	if e.ino == 0 {
		return driver.Process{}, errors.New("the image could not be identified")
	}
	return holder(e.dev, e.ino, e.at)
}
