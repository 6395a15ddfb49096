package hostfile

import (
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/inuse"
)

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
