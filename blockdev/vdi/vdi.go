// Package vdi reads and writes VirtualBox's disk images of version 1.1, as QEMU does.
//
// An image is a header, a map with a 32-bit entry for each block of the guest, and the blocks of 1
// MiB, in the order in which they were first written. An entry is the number of the block in the
// file, or says that there is none yet.
//
//	guest offset ─▶ map entry ─▶ data offset + number × 1 MiB
//
// Reading and writing are format.BlockMap's; here are the header, the making of images and their
// check. Sizes and messages are those of QEMU 7.2.22.
package vdi

import (
	"context"
	"encoding/binary"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// Driver reads and writes VDI images.
var Driver = driver.Driver{
	Name:         "vdi",
	Doc:          "VirtualBox's disk images",
	Kind:         driver.Format,
	Resolves:     driver.OverProtocol,
	Config:       config{},
	Probe:        probe,
	Open:         open,
	CreateConfig: createConfig{},
	CheckCreate:  checkCreate,
	Create:       create,
}

type config struct {
	File driver.Child `option:"file" help:"where the image is stored"`
}

const (
	blockSize = 1 << 20
	entrySize = 4
	noBlock   = 0xffffffff // never written
	zeroBlock = 0xfffffffe // written and discarded
)

// image is an open VDI image.
type image struct {
	*format.BlockMap
	header
}

var (
	_ driver.Node    = (*image)(nil)
	_ driver.Checker = (*image)(nil)
)

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	file, err := format.OpenFile(ctx, o, o.Config.(*config).File)
	if err != nil {
		return nil, err
	}
	v := &image{}
	if v.header, err = readHeader(ctx, file); err != nil {
		return nil, err
	}
	v.BlockMap = format.NewBlockMap(format.BlockMapConfig{
		Name: "vdi", File: file, ReadOnly: o.Mode.ReadOnly, Size: v.guestSize(),
		Off: int64(v.mapOff), Blocks: v.blocks, Block: blockSize, Data: int64(v.dataOff),
		None: noBlock, Zero: zeroBlock, Count: v.count, Notify: o.Notify,
	})
	return v, nil
}

// count writes the number of blocks in the file into the header, if it grew.
func (v *image) count(ctx context.Context, n uint32) error {
	if n <= v.allocated {
		return nil
	}
	return v.setCount(ctx, n)
}

func (v *image) setCount(ctx context.Context, n uint32) error {
	word := binary.LittleEndian.AppendUint32(nil, n)
	err := v.Primary().WriteVec(ctx, driver.Vec{word}, offAllocated, 0)
	if err == nil {
		v.allocated = n
	}
	return err
}

// Check looks for blocks that two entries share, that cannot be, or that were lost, and counts
// them. It can mend the count, which is too high after a crash. The lines are QEMU's.
func (v *image) Check(ctx context.Context, fix driver.Fix) (res driver.CheckResult, err error) {
	if err := v.Lock(ctx); err != nil {
		return res, err
	}
	defer v.Unlock()
	count, err := v.CheckEntries(ctx, &res)
	if err != nil || count == v.allocated {
		return res, err
	}
	mendable := fix != 0 && res.Corruptions == 0
	format.Wrong(&res, "ERROR: allocated blocks mismatch, is %d, should be %d", count, v.allocated)
	if mendable {
		if err = v.Compact(ctx, v.setCount); err == nil { // QEMU puts the next block behind so many
			res.CorruptionsFixed++
		}
	}
	return res, err
}
