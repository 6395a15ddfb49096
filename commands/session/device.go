package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev/inuse"
	"github.com/blksh/blksh/commands/event"
)

// admission decides about the block devices of the host that an image lies on: they are written to only if that was asked for, and not
// while others use them.
type admission struct {
	s     *Session
	write bool // was asked for
	inUse bool // also while others use them
	// paths are the devices that may be written to.
	paths []string
}

// errDeviceNeedsAsking says that a device would have been opened for writing though nobody asked for that.
var errDeviceNeedsAsking = errors.New("block devices are written to only with -w")

// DeviceInUseError says who uses a device that was to be written to.
type DeviceInUseError struct {
	Path string
	Uses []inuse.Use
}

func (e *DeviceInUseError) Error() string {
	var uses []string
	for _, u := range e.Uses {
		uses = append(uses, u.String())
	}
	return strings.Join(uses, ", ")
}

// Unwrap is EBUSY, which the system answers to whoever wants such a device for itself.
func (*DeviceInUseError) Unwrap() error { return syscall.EBUSY }

// Hint says what to do.
func (*DeviceInUseError) Hint() string {
	return "writing to it would damage what is there; without -w it is only read, --in-use writes all the same\n"
}

// admit is blockdev.OpenConfig.Admit. It is called on the session goroutine.
func (a *admission) admit(path string, write bool) (release func(), err error) {
	if write && !a.write {
		return nil, errDeviceNeedsAsking
	}
	uses, err := a.s.uses(path)
	switch {
	case !write && err == nil && len(uses) > 0:
		busy := event.DeviceBusy{Path: path}
		for _, u := range uses {
			busy.Uses = append(busy.Uses, u.String())
		}
		a.s.Emit(busy)
		return nil, nil
	case !write:
		return nil, nil // what cannot be found out does not keep anybody from reading
	case a.inUse:
		a.paths = append(a.paths, path)
		return nil, nil
	case err != nil:
		return nil, err
	case len(uses) > 0:
		return nil, &DeviceInUseError{path, uses}
	}
	if release, err = a.s.reserve(path); err != nil {
		return nil, err
	}
	a.paths = append(a.paths, path)
	return release, nil
}

// uses is who uses a device besides this session.
func (s *Session) uses(path string) ([]inuse.Use, error) {
	if s.reserved[deviceNumber(path)] != nil {
		return inuse.Known(path)
	}
	return inuse.Of(path)
}

// reservation keeps a device for this session, however often it is open here.
type reservation struct {
	file *os.File
	held int
}

// reserve opens a device exclusively, which keeps the system from mounting it. It fails with EBUSY where that is so already.
func (s *Session) reserve(path string) (release func(), err error) {
	number := deviceNumber(path)
	r := s.reserved[number]
	if r == nil {
		file, err := os.OpenFile(path, os.O_RDONLY|os.O_EXCL|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
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

// deviceNumber tells devices apart, whatever path leads to them; 0 is none.
func deviceNumber(path string) uint64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Rdev
	}
	return 0
}

// confirm asks the person who typed a command that changes a device for its name, once a device.
func (s *Session) confirm(ctx context.Context, a *admission) error {
	if s.Confirm == nil {
		return nil
	}
	for _, path := range a.paths {
		number := deviceNumber(path)
		if s.confirmed[number] {
			continue
		}
		answer, err := s.Confirm(ctx, fmt.Sprintf("This changes %s. Type its name to go on: ", path))
		if err != nil || answer != path && answer != filepath.Base(path) {
			return event.Fail(event.NotConfirmed{Path: path})
		}
		s.confirmed[number] = true
	}
	return nil
}
