package raw

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

type createConfig struct {
	Preallocation string `option:"preallocation" values:"off,falloc,full" default:"off" help:"what to do with the space of a fresh image"`
}

// create makes the file as long as the image.
func create(ctx context.Context, c *driver.Creating) error {
	// the key admits nothing else
	mode, _ := driver.ParsePrealloc(c.Config.(*createConfig).Preallocation)
	return c.File.Truncate(ctx, c.Size, mode, 0)
}

// measure is the length: where nothing is written may be a hole or not. It counts whole sectors, as
// qemu-img does.
func measure(_ context.Context, m *driver.Measuring) (driver.Measured, error) {
	n := driver.WholeSectors(m.Size)
	return driver.Measured{Required: n, FullyAllocated: n}, nil
}
