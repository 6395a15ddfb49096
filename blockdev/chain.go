package blockdev

import (
	"math"

	"github.com/blksh/blksh/blockdev/driver"
)

// Layer is one image of a backing chain.
type Layer struct {
	Driver   string
	Filename string // "" if options say everything
	Size     int64  // of its contents, in bytes
	ReadOnly bool
	// DiskSize is how many bytes it takes of disks of the host, without what it stands on; -1 if
	// that is not known.
	DiskSize int64
}

// Chain is the image and all that it stands on: the top first, then its backing file, then that
// one's. Filters are no images and left out.
func (d *Device) Chain() []Layer {
	var chain []Layer
	for n := d.tree.root; n != nil; {
		if n.driver.Kind == driver.FilterKind {
			n = n.firstChild()
			continue
		}
		chain = append(chain, Layer{
			Driver: n.driver.Name, Filename: n.filename, Size: n.guard.Info().Size,
			ReadOnly: n.guard.readOnly.Load(), DiskSize: n.diskSize(),
		})
		n = n.child(driver.RoleBacking)
	}
	return chain
}

// SameStorage says whether both are known to have their bytes on the same storage elsewhere, so
// that what is written to one may change the other: they are not if both are windows that have
// nothing in common. Files of the host have locks for that.
func (d *Device) SameStorage(other *Device) bool {
	where, begin, end := d.tree.root.location()
	there, otherBegin, otherEnd := other.tree.root.location()
	return where != "" && where == there && begin < otherEnd && otherBegin < end
}

// location is where the bytes of an image are, without what it stands on: a storage, and the part
// of it that the image may touch.
func (n *treeNode) location() (storage string, begin, end int64) {
	const all = math.MaxInt64
	for begin, end = 0, all; n.firstChild() != nil; n = n.firstChild() {
		switch node := n.guard.node.(type) {
		case driver.Windowed:
			off, size := node.Window()
			if end = min(all-off, end) + off; size >= 0 {
				end = min(end, off+size)
			}
			begin = min(all-off, begin) + off
		case driver.SameBytes:
			if !node.SameBytes() {
				begin, end = 0, all
			}
		default:
			begin, end = 0, all
		}
	}
	if located, ok := n.guard.node.(driver.Located); ok {
		return located.Location(), begin, end
	}
	return "", 0, 0
}

// diskSize adds up what the files of the node and of its children take, backing files aside. It is
// -1 if one of them does not tell.
func (n *treeNode) diskSize() int64 {
	if len(n.children) == 0 {
		placed, ok := n.guard.node.(driver.Placed)
		if !ok {
			return -1
		}
		size, err := placed.DiskSize()
		if err != nil {
			return -1
		}
		return size
	}
	var sum int64
	for _, c := range n.children {
		if c.role == driver.RoleBacking {
			continue
		}
		size := c.diskSize()
		if size < 0 {
			return -1
		}
		sum += size
	}
	return sum
}

// firstChild is what a filter filters.
func (n *treeNode) firstChild() *treeNode {
	if len(n.children) == 0 {
		return nil
	}
	return n.children[0].treeNode
}

func (n *treeNode) child(r driver.Role) *treeNode {
	for _, c := range n.children {
		if c.role == r {
			return c.treeNode
		}
	}
	return nil
}
