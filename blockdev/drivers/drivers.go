// Package drivers lists the block drivers. It is the only package that imports them all: a program
// that wants fewer makes a list of its own.
package drivers

import (
	"github.com/blksh/blksh/blockdev/blkdebug"
	"github.com/blksh/blksh/blockdev/compress"
	"github.com/blksh/blksh/blockdev/copyonread"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/faults"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/hostdevice"
	"github.com/blksh/blksh/blockdev/luks"
	"github.com/blksh/blksh/blockdev/mem"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/null"
	"github.com/blksh/blksh/blockdev/qcow2"
	"github.com/blksh/blksh/blockdev/raw"
	"github.com/blksh/blksh/blockdev/vdi"
)

// All is every driver, sorted by name.
func All() []driver.Driver {
	return tagged([]driver.Driver{
		blkdebug.Driver,
		compress.Driver,
		copyonread.Driver,
		faults.Driver,
		file.Driver,
		hostdevice.CDROM,
		hostdevice.Driver,
		luks.Driver,
		mem.Driver,
		nbd.Driver,
		nbd.Command,
		nbd.Remote,
		nbd.Secure,
		null.Aio,
		null.Co,
		qcow2.Driver,
		raw.Driver,
		vdi.Driver,
	})
}
