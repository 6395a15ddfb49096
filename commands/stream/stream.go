// Package stream moves ranges of any length between a device and a command, in constant memory.
//
// A range is cut at multiples of a piece size, so that a piece never straddles a cluster or a
// stripe that it need not touch, and several pieces are under way at a time.
//
//	Reader   pieces come in order, through a batch queue; what the device knows to be zero is not read
//	Scan     the same on several processors, where only what was found must come in order
//	Spread   requests that change something, in any order, on a few goroutines
//
// A command asks how far it came when it was stopped: both answer with the end of the part that is
// complete from the start on.
package stream

import (
	"math"

	"github.com/blksh/blksh/blockdev"
)

// inside refuses a range that is not wholly within the device, so that nothing is done of what
// could not be finished.
func inside(d *blockdev.Device, op string, off, n int64) error {
	size := d.Size()
	if off >= 0 && n >= 0 && off <= math.MaxInt64-n && off+n <= size {
		return nil
	}
	return &blockdev.Error{
		Op: op, Node: d.Info().Driver, Off: off, Len: n,
		Err: &blockdev.RangeError{Size: size},
	}
}

// boundary is the first multiple of unit behind off, end at most.
func boundary(off, unit, end int64) int64 {
	if next := off - off%unit; next <= math.MaxInt64-unit {
		return min(end, next+unit)
	}
	return end
}
