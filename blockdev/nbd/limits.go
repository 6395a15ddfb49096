package nbd

import (
	"math"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// limits are what requests to the export must be like.
func (a agreement) limits() driver.Limits {
	align, most := a.align(), int64(nbdwire.DefaultMaxPayload)
	if m := int64(a.export.Blocks.Maximum); m != 0 {
		most = min(most, m)
	}
	most = max(roundDown(most, align), align)
	l := driver.Limits{
		Size: int64(a.export.Size), RequestAlign: align, MaxTransfer: most,
		ZeroAlign: int64(a.export.Blocks.Preferred), DiscardAlign: align,
		MaxZero: most, MaxDiscard: roundDown(math.MaxInt32, align),
	}
	if a.form == nbdwire.Extended {
		l.MaxZero, l.MaxDiscard = 0, 0
	}
	if a.has(nbdwire.SendFUA) {
		l.WriteTakes, l.ZeroTakes = driver.FUA, driver.FUA
	}
	if a.has(nbdwire.SendWriteZeroes) {
		l.ZeroTakes |= driver.MayUnmap
		if a.has(nbdwire.SendFastZero) {
			l.ZeroTakes |= driver.NoFallback
		}
	}
	return l
}

// align is the alignment of requests. Where the server says nothing, one that has a size that is no
// whole number of sectors, or tells what is allocated, must take any.
func (a agreement) align() int64 {
	if m := a.export.Blocks.Minimum; m != 0 {
		return int64(m)
	}
	if _, ok := a.context(); ok || a.export.Size%driver.SectorSize != 0 {
		return 1
	}
	return driver.SectorSize
}

func roundDown(n, unit int64) int64 { return n / unit * unit }
