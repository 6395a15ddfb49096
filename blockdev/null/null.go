// Package null is a protocol that stores nothing: writes go nowhere, and reads leave the memory as it was, or fill it with zeroes with
// read-zeroes=on. It measures the layers above it, and with latency-ns it is a slow device on purpose.
//
// It exists under two names, null-co and null-aio, as in QEMU, where they take different roads inside. Here they are one.
package null

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/blksh/blksh/blockdev"
)

// Co and Aio are the driver under its two names.
var (
	Co  = driver("null-co")
	Aio = driver("null-aio")
)

func driver(name string) blockdev.Driver {
	return blockdev.Driver{
		Name: name,
		Doc:  "a device that stores nothing and answers at once or late",
		Kind: blockdev.Protocol,
		Keys: []blockdev.Key{
			{Name: "size", Type: blockdev.Size, Default: "1G", Help: "length of the device in bytes"},
			{Name: "latency-ns", Type: blockdev.Int, Default: "0", Help: "time that each read, write and flush takes, in nanoseconds"},
			{Name: "read-zeroes", Type: blockdev.Bool, Default: "off", Help: "reads give zeroes instead of leaving the memory as it was"},
		},
		Scratch: true,
		Schemes: []string{name},
		ParseName: func(given string, _ *blockdev.Options) error {
			if only := name + "://"; given != only {
				return blockdev.Refuse("The only allowed filename for this driver is '%s'", only)
			}
			return nil
		},
		Open: func(_ context.Context, o *blockdev.Opening) (blockdev.Node, error) {
			latency := o.Values.Int("latency-ns")
			if latency < 0 {
				return nil, blockdev.Refuse("latency-ns is invalid")
			}
			return &device{
				name:       name,
				size:       wholeSectors(o.Values.Int("size")),
				latency:    time.Duration(latency),
				readZeroes: o.Values.Bool("read-zeroes"),
			}, nil
		},
	}
}

// wholeSectors rounds up: there is no end inside a sector where nothing is stored.
func wholeSectors(n int64) int64 {
	n = min(n, math.MaxInt64-blockdev.SectorSize+1)
	return (n + blockdev.SectorSize - 1) / blockdev.SectorSize * blockdev.SectorSize
}

type device struct {
	blockdev.Leaf
	name       string
	size       int64
	latency    time.Duration
	readZeroes bool
}

var _ blockdev.Node = (*device)(nil)

func (d *device) Info() blockdev.Info {
	return blockdev.Info{Driver: d.name, Limits: blockdev.Limits{Size: d.size, WriteTakes: blockdev.FUA}}
}

// pass takes the latency, or fails when ctx ends first.
func (d *device) pass(ctx context.Context) error {
	if d.latency == 0 {
		return nil
	}
	t := time.NewTimer(d.latency)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: waiting for %v: %w", d.name, d.latency, context.Cause(ctx))
	}
}

func (d *device) ReadVec(ctx context.Context, v blockdev.Vec, _ int64, _ blockdev.Flags) error {
	if err := d.pass(ctx); err != nil {
		return err
	}
	if d.readZeroes {
		v.Clear()
	}
	return nil
}

func (d *device) WriteVec(ctx context.Context, _ blockdev.Vec, _ int64, _ blockdev.Flags) error {
	return d.pass(ctx)
}

func (d *device) Flush(ctx context.Context) error { return d.pass(ctx) }

// Status knows of zeroes with read-zeroes=on, and otherwise of nothing at all: not even that the range is allocated.
func (d *device) Status(_ context.Context, off, n int64) (blockdev.Extent, error) {
	return blockdev.Extent{Off: off, Len: n, Allocated: d.readZeroes, Zero: d.readZeroes, Node: d.name, HostOff: off}, nil
}
