package null

import (
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

func TestSuite(t *testing.T) {
	const refused = blockdevtest.Refused
	blockdevtest.Run(t, blockdevtest.Subject{
		Driver: Co,
		Options: func(_ testing.TB, size int64) *driver.Options {
			var o driver.Options
			o.Set("size", size)
			return &o
		},
		Row:      blockdevtest.Row{Zero: refused, Discard: refused, Truncate: refused},
		Volatile: true,
	})
}
