package mem

import (
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
)

func TestSuite(t *testing.T) {
	blockdevtest.Run(t, blockdevtest.Subject{
		Driver: Driver,
		Options: func(_ testing.TB, size int64) *blockdev.Options {
			var o blockdev.Options
			o.Set("size", size)
			return &o
		},
	})
}
