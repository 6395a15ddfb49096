// Package compress is a filter that has everything written through it stored compressed, by a
// format below that can do that.
//
// Compression works on whole clusters, so the filter asks for requests of that alignment. A format
// may refuse to write over what it has compressed already; the filter does not help with that.
package compress

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Driver is the filter.
var Driver = driver.Driver{
	Name:     "compress",
	Doc:      "stores what is written compressed",
	Kind:     driver.FilterKind,
	Resolves: driver.OverFormat,
	Config:   config{},
	Open:     open,
}

type config struct {
	File driver.Child `option:"file" help:"an image of a format that can compress"`
}

type filter struct{ driver.Filter }

var _ driver.Node = (*filter)(nil)

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	file, err := o.Child(ctx, o.Config.(*config).File, driver.RoleFiltered)
	if err != nil {
		return nil, err
	}
	if below := file.Info(); below.WriteTakes&driver.Compressed == 0 {
		return nil, driver.Refuse("Compression is not supported for underlying format: %s",
			below.Driver)
	}
	return &filter{driver.Filter{Next: file}}, nil
}

// Info asks for whole clusters. It takes no flags for writes: asking for compression twice is
// refused, as in QEMU, and durability is had by a flush.
func (f *filter) Info() driver.Info {
	info := f.Next.Info()
	info.Driver = Driver.Name
	info.RequestAlign = max(1, info.Cluster)
	info.WriteTakes = 0
	return info
}

func (f *filter) WriteVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	return f.Next.WriteVec(ctx, v, off, fl|driver.Compressed)
}
