package file

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/target"
)

// place finds the place of a new image: a file without a name beside the one that is there, if
// there is one.
func place(p *driver.Placing) (*driver.Place, error) {
	name := p.Options.String("filename")
	f, err := target.Prepare(name, target.Rule{
		Perm: 0o644, Durable: true,
		Admit: func(f driver.HostFile) (func(), error) {
			if err := mustBeRegular(f); err != nil {
				return nil, err
			}
			return p.Admit(f)
		},
		Over: func([]byte, int64) error {
			if p.Force {
				return nil
			}
			return driver.RefuseAs(unix.EEXIST, "is there already")
		},
	})
	if err != nil {
		return nil, err
	}
	var o driver.Options
	o.Set("driver", driverName)
	o.Set("filename", fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	o.Set("locking", "off") // f has the locks
	return &driver.Place{
		Options: &o, Admitted: true, GiveUp: f.GiveUp, Publish: f.Commit, Discard: f.Close,
	}, nil
}

func mustBeRegular(f driver.HostFile) error {
	var st unix.Stat_t
	if err := unix.Fstat(f.FD, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return driver.Refuse("'%s' driver requires '%s' to be a regular file", driverName, f.Name)
	}
	return nil
}
