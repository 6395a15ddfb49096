//go:build rbd

package drivers

import (
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/rbd"
)

// tagged adds the driver that librbd needs, which takes the names of a server's place.
func tagged(all []driver.Driver) []driver.Driver {
	for i := range all {
		if d := &all[i]; d.Name == nbd.Remote.Name {
			d.Schemes = slices.DeleteFunc(slices.Clone(d.Schemes),
				func(s string) bool { return slices.Contains(rbd.Driver.Schemes, s) })
		}
	}
	all = append(all, rbd.Driver)
	slices.SortFunc(all, func(a, b driver.Driver) int { return strings.Compare(a.Name, b.Name) })
	return all
}
