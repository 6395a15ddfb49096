// Package drivers lists the block drivers. It is the only package that imports them all: a program that wants fewer makes a list of
// its own.
package drivers

import (
	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/mem"
	"github.com/blksh/blksh/blockdev/null"
	"github.com/blksh/blksh/blockdev/raw"
)

// All is every driver, sorted by name.
func All() []blockdev.Driver {
	return []blockdev.Driver{
		mem.Driver,
		null.Aio,
		null.Co,
		raw.Driver,
	}
}
