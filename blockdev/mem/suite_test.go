package mem

import (
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

func TestSuite(t *testing.T) {
	blockdevtest.Run(t, blockdevtest.Subject{
		Driver: Driver,
		Options: func(_ testing.TB, size int64) *driver.Options {
			var o driver.Options
			o.Set("size", size)
			return &o
		},
	})
}
