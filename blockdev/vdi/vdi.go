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
	"fmt"
	"math"
	"syscall"

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
	word := binary.LittleEndian.AppendUint32(nil, n)
	err := v.Primary().WriteVec(ctx, driver.Vec{word}, offAllocated, 0)
	if err == nil {
		v.allocated = n
	}
	return err
}

// maxMessages bounds what a check remembers to say; the numbers are right in any case.
const maxMessages = 1000

// Check looks for blocks that two entries share or that cannot be, and counts them. It repairs
// nothing. The lines are QEMU's.
func (v *image) Check(ctx context.Context, fix driver.Fix) (res driver.CheckResult, err error) {
	if fix != 0 {
		return res, format.Advise(
			&driver.Refusal{Text: "VDI images cannot be repaired", Err: syscall.ENOTSUP},
			"check without -r tells what is wrong; a new image can take over what can still be read\n",
		)
	}
	if err := v.Lock(ctx); err != nil {
		return res, err
	}
	defer v.Unlock()
	if err := v.WaitIdle(ctx, 0, math.MaxInt64); err != nil {
		return res, err
	}
	say := func(text string, args ...any) {
		res.Corruptions++
		if len(res.Messages) < maxMessages {
			res.Messages = append(res.Messages, fmt.Sprintf("ERROR: "+text, args...))
		}
	}
	taken := make([]uint64, (int64(v.blocks)+63)/64)
	count := uint32(0)
	err = v.EachEntry(ctx, func(block, e uint32) {
		switch {
		case e >= zeroBlock:
			return
		case e >= v.blocks:
			say("block index %d too large, is %d", block, e)
			return
		case taken[e/64]>>(e%64)&1 != 0:
			say("block index %d also used by %d", e, e)
		}
		count++
		taken[e/64] |= 1 << (e % 64)
		res.ImageEnd = max(res.ImageEnd, int64(v.dataOff)+int64(e+1)*blockSize)
	})
	if err == nil && count != v.allocated {
		say("allocated blocks mismatch, is %d, should be %d", count, v.allocated)
	}
	if err != nil {
		res.CheckErrors++
		err = fmt.Errorf("read the block map: %w", err)
	}
	return res, err
}
