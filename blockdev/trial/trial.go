// Package trial is a filter that changes nothing.
package trial

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Driver is the filter.
var Driver = driver.Driver{
	Name: "trial", Doc: "changes nothing", Kind: driver.FilterKind, Resolves: driver.OverProtocol,
	Config: config{}, Open: open,
}

type config struct {
	File driver.Child `option:"file" help:"the node below"`
}

type filter struct{ driver.Filter }

var _ driver.Node = (*filter)(nil)

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	file, err := o.Child(ctx, o.Config.(*config).File, driver.RoleFiltered)
	if err != nil {
		return nil, err
	}
	return &filter{driver.Filter{Next: file}}, nil
}
