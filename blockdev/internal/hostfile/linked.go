package hostfile

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/target"
)

// find follows path. What an image names must be stored somewhere: it is no door to the kernel or
// to what a process has open.
func (f *File) find(path string) (*target.Pin, error) {
	if f.from == "" || path != f.name {
		return target.Find(path)
	}
	pin, err := target.FindStored(path)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, driver.Refuse(
			"'%s' names it, and an image may not name what a process has open", f.from)
	case err != nil:
		return nil, err
	case !pin.Stored():
		pin.Close()
		return nil, driver.Refuse(
			"'%s' names it, and an image may not name what the kernel makes up", f.from)
	}
	return pin, nil
}
