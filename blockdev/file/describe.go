package file

import "github.com/blksh/blksh/blockdev/driver"

var (
	_ driver.Placed = (*node)(nil)
	_ driver.Stored = (*node)(nil)
)

// DiskSize is what the file takes on its file system.
func (n *node) DiskSize() (int64, error) { return n.Space() }

// DescribeStorage tells who else uses the file, such as a loop device.
func (n *node) DescribeStorage() []driver.Detail { return n.DescribeUses() }
