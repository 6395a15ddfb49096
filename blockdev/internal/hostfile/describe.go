package hostfile

import (
	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/inuse"
)

// sectorOfStat is the unit of st_blocks in bytes, whatever the blocks of the file system are.
const sectorOfStat = 512

// Occupied is how many bytes a regular file takes on its file system.
func (f *File) Occupied() (int64, error) {
	var st unix.Stat_t
	err := f.With(func(fd int) error { return unix.Fstat(fd, &st) })
	return st.Blocks * sectorOfStat, err
}

// DescribeUses tells who else uses the file or device, as far as that shows without trying to have
// it alone. What cannot be found out is not told.
func (f *File) DescribeUses() []driver.Detail {
	var uses []driver.Detail
	_ = f.With(func(fd int) error {
		known, err := inuse.Known(f.name, fd)
		for _, u := range known {
			uses = append(uses, driver.Detail{Value: u.String()})
		}
		return err
	})
	if len(uses) == 0 {
		return nil
	}
	return []driver.Detail{{Key: "in use", Sub: uses}}
}
