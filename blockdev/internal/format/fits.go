package format

import (
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// Fits refuses what does not fit in storage that an image is to be made in, before anything is
// written there: n bytes in what cannot grow, which is not empty.
func Fits(file driver.Node, n int64) error {
	if have := file.Info().Size; have > 0 && have < n {
		return driver.RefuseAs(syscall.ENOSPC, "The image takes %d bytes, and there are %d", n, have)
	}
	return nil
}
