package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/inuse"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// admission decides about the files and devices of the host that an image lies on: devices are
// written to only if that was asked for, and neither are written to while others use them.
type admission struct {
	s     *Session
	write bool // to devices was asked for
	inUse bool // also while others use them
	// apart: nothing is written to that this session has open already, under whatever name
	apart bool
	// devices are those that may be written to.
	devices []hostDevice
}

// hostDevice is a block or character device. The number tells devices apart, whatever path leads to
// them.
type hostDevice struct {
	path   string
	number uint64
}

// errDeviceNeedsAsking says that a device would have been opened for writing though nobody asked
// for that.
var errDeviceNeedsAsking = errors.New("devices are written to only with -w")

// InUseError says who uses a file or device that was to be written to.
type InUseError struct {
	Path   string
	Uses   []inuse.Use
	Advice string // a line without its end
}

func (e *InUseError) Error() string {
	var uses []string
	for _, u := range e.Uses {
		if u.Device == e.Path { // whoever shows this names it
			u.Device = "it"
		}
		uses = append(uses, u.String())
	}
	return strings.Join(uses, ", ")
}

// Unwrap is EBUSY, which the system answers to whoever wants such a device for itself.
func (*InUseError) Unwrap() error { return syscall.EBUSY }

// Hint says what to do.
func (e *InUseError) Hint() string { return e.Advice + "\n" }

// What to do about an image that others use, if it lies on a device or in a file.
const (
	adviceDevice = "writing to it would damage what is there; without -w it is only read, --in-use writes all the same"
	adviceFile   = "writing to it would damage what is there; with -r it is only read, --in-use writes all the same"
)

// usedHereError is errOpenHere about an image.
type usedHereError struct{ *RefusedError }

// Unwrap is EBUSY, as that of InUseError.
func (usedHereError) Unwrap() error { return syscall.EBUSY }

// readOnlyError is blockdev.ErrReadOnly with what to do about it.
type readOnlyError struct {
	error
	advice string
}

func (r readOnlyError) Unwrap() error { return r.error }

// Hint says what to do.
func (r readOnlyError) Hint() string { return r.advice + "\n" }

// explain adds to the error of an image that may not be written to why that is so, and what to do.
func (im *Image) explain(err error) error {
	switch {
	case !errors.Is(err, blockdev.ErrReadOnly), errors.As(err, new(driver.Hinter)):
		return err
	case im.snapshot != "":
		return readOnlyError{err, "a snapshot is only read"}
	case im.guarded:
		return readOnlyError{err, "-r was asked for; 'reopen -w' allows writing"}
	case !im.admission.write:
		return readOnlyError{err, "a device is written to only with -w; 'reopen -w' allows it too"}
	}
	return readOnlyError{err, "'reopen -w' allows writing"}
}

// admit is blockdev.OpenConfig.Admit. It is called on the session goroutine.
func (a *admission) admit(f blockdev.HostFile, write bool) (release func(), err error) {
	st, err := statOf(f)
	if err != nil {
		return nil, err
	}
	if write && isDevice(st) && !a.write {
		return nil, errDeviceNeedsAsking
	}
	if write && a.apart {
		if err := notHere(f); err == errOpenHere {
			return nil, usedHereError{errOpenHere}
		} else if err != nil {
			return nil, err
		}
	}
	uses, err := a.s.uses(f, st)
	switch {
	case !write && err == nil && len(uses) > 0:
		busy := event.DeviceBusy{Path: f.Name}
		for _, u := range uses {
			busy.Uses = append(busy.Uses, u.String())
		}
		a.s.Emit(busy)
		return nil, nil
	case !write:
		return nil, nil // what cannot be found out does not keep anybody from reading
	case a.inUse:
	// a file is written to as ever where the tables of the system may not be read
	case err != nil && isDevice(st):
		return nil, err
	case len(uses) > 0 && isDevice(st):
		return nil, &InUseError{f.Name, uses, adviceDevice}
	case len(uses) > 0:
		return nil, &InUseError{f.Name, uses, adviceFile}
	case st.Mode&unix.S_IFMT == unix.S_IFBLK:
		if release, err = a.s.reserve(f, st.Rdev); err != nil {
			return nil, err
		}
	}
	if isDevice(st) {
		a.devices = append(a.devices, hostDevice{f.Name, st.Rdev})
	}
	return release, nil
}

func statOf(f blockdev.HostFile) (*unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.FD, &st); err != nil {
		return nil, fmt.Errorf("look at %s: %w", f.Name, err)
	}
	return &st, nil
}

func isDevice(st *unix.Stat_t) bool {
	kind := st.Mode & unix.S_IFMT
	return kind == unix.S_IFBLK || kind == unix.S_IFCHR
}

// uses is who uses a file or device besides this session.
func (s *Session) uses(f blockdev.HostFile, st *unix.Stat_t) ([]inuse.Use, error) {
	if isDevice(st) && s.reserved[st.Rdev] != nil {
		return inuse.Known(f.Name, f.FD)
	}
	return inuse.Of(f.Name, f.FD)
}

// reservation keeps a device for this session, however often it is open here.
type reservation struct {
	file *os.File
	held int
}

// reserve opens a device exclusively, which keeps the system from mounting it. It fails with EBUSY
// where that is so already.
func (s *Session) reserve(f blockdev.HostFile, number uint64) (release func(), err error) {
	r := s.reserved[number]
	if r == nil {
		file, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.FD),
			os.O_RDONLY|os.O_EXCL|syscall.O_NONBLOCK, 0)
		if err != nil {
			no := blockdev.Errno(err)
			return nil, driver.RefuseAs(no, "Could not open '%s': %s", f.Name, driver.ErrnoText(no))
		}
		r = &reservation{file: file}
		s.reserved[number] = r
	}
	r.held++
	return func() {
		if r.held--; r.held == 0 {
			r.file.Close()
			delete(s.reserved, number)
		}
	}, nil
}

// confirm asks the person who typed a command that changes a device for its name, once a device.
func (s *Session) confirm(ctx context.Context, a *admission) error {
	if s.Confirm == nil {
		return nil
	}
	for _, d := range a.devices {
		if s.confirmed[d.number] {
			continue
		}
		answer, err := s.Confirm(ctx,
			fmt.Sprintf("This changes %s. Type its name to go on: ", d.path))
		if err != nil || answer != d.path && answer != filepath.Base(d.path) {
			return event.Fail(event.NotConfirmed{Path: d.path})
		}
		s.confirmed[d.number] = true
		s.named = true
	}
	return nil
}

// Overwrite asks the person who typed the command whether a range of an image may be overwritten
// that has data in it. Nobody is asked who has just named the device.
func (s *Session) Overwrite(ctx context.Context, im *Image, op string, off, n int64) error {
	if !s.typed || s.Confirm == nil || s.named {
		return nil
	}
	var data bool
	err := s.Request(ctx, op, func(ctx context.Context) (err error) {
		data, err = hasData(ctx, im.Dev, off, n)
		return err
	})
	if err != nil || !data {
		return err
	}
	question := fmt.Sprintf("%s overwrites %s of %s, which has data. Go on? (yes/no) ", op,
		units.Size(n), im.Name)
	answer, err := s.Confirm(ctx, question)
	if err != nil || answer != "yes" && answer != "y" {
		return event.Fail(event.NotAgreed{Op: op, Image: im.Name})
	}
	return nil
}

// hasData says whether anything in a range may be other than zeroes, as far as that is known
// without reading.
func hasData(ctx context.Context, d *blockdev.Device, off, n int64) (bool, error) {
	for end := off + n; off < end; {
		if err := ctx.Err(); err != nil {
			return false, context.Cause(ctx)
		}
		e, err := d.Status(ctx, off, end-off)
		if err != nil || e.Len == 0 {
			return false, err
		}
		if !e.Zero && (e.Allocated || e.Backed) {
			return true, nil
		}
		off = e.End()
	}
	return false, nil
}

// Unconfirmed is a device that the person who typed the command is still to name before the image
// is changed, "" if there is none: for commands that ask in a way of their own.
func (s *Session) Unconfirmed(im *Image) string {
	if !s.typed || s.Confirm == nil {
		return ""
	}
	for _, d := range im.admission.devices {
		if !s.confirmed[d.number] {
			return d.path
		}
	}
	return ""
}

// Confirmed says that the person has named what Unconfirmed wanted named.
func (s *Session) Confirmed(im *Image) {
	for _, d := range im.admission.devices {
		s.confirmed[d.number] = true
	}
}
