package luks

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// measure is the header and all of the disk: there is nothing that would take no room.
func measure(_ context.Context, m *driver.Measuring) (driver.Measured, error) {
	cfg, err := m.Config.(*createConfig).header()
	if err != nil {
		return driver.Measured{}, err
	}
	n := cfg.PayloadOff() + m.Size
	return driver.Measured{Required: n, FullyAllocated: n}, nil
}
