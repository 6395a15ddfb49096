package hostdevice

import (
	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

// place has an image made on a device that is there, if that was asked for. Whatever fails there
// leaves what it has written.
func place(p *driver.Placing) (*driver.Place, error) {
	name := p.Options.String("filename")
	var st unix.Stat_t
	switch err := unix.Stat(name, &st); {
	case err != nil:
		return nil, err
	case st.Mode&unix.S_IFMT != unix.S_IFBLK:
		return nil, driver.RefuseAs(unix.ENOTBLK, "an image can be made on a block device, which "+
			"this is not")
	case !p.Force:
		return nil, driver.RefuseAs(unix.EEXIST, "is a device")
	}
	o := p.Options.Clone()
	o.Set("driver", driverName)
	nothing := func() error { return nil }
	return &driver.Place{Options: o, Publish: nothing, Discard: nothing}, nil
}
