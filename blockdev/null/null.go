// Package null is a protocol that stores nothing: writes go nowhere, and reads leave the memory as
// it was, or fill it with zeroes with read-zeroes=on. It measures the layers above it, and with
// latency-ns it is a slow device on purpose.
//
// It exists under two names, null-co and null-aio, as in QEMU, where they take different roads
// inside. Here they are one.
package null

import (
	"context"
	"math"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

const doc = "a device that stores nothing and answers at once or late"

// Co is the driver under its first name.
var Co = driver.Driver{
	Name: "null-co", Doc: doc, Kind: driver.Protocol, Config: config{}, Scratch: true,
	Schemes:   []string{"null-co"},
	ParseName: func(given string, _ *driver.Options) error { return only("null-co", given) },
	Open: func(_ context.Context, o *driver.Opening) (
		driver.Node, error,
	) {
		return openDevice("null-co", o)
	},
}

// Aio is the driver under its second name.
var Aio = driver.Driver{
	Name: "null-aio", Doc: doc, Kind: driver.Protocol, Config: config{}, Scratch: true,
	Schemes:   []string{"null-aio"},
	ParseName: func(given string, _ *driver.Options) error { return only("null-aio", given) },
	Open: func(_ context.Context, o *driver.Opening) (
		driver.Node, error,
	) {
		return openDevice("null-aio", o)
	},
}

type config struct {
	Size       driver.Bytes `option:"size" default:"1G" help:"length of the device in bytes"`
	Latency    int64        `option:"latency-ns" default:"0" help:"time that each read, write and flush takes, in nanoseconds"`
	ReadZeroes bool         `option:"read-zeroes" default:"off" help:"reads give zeroes instead of leaving the memory as it was"`
}

// only refuses a file name that says anything but which driver is meant.
func only(name, given string) error {
	if allowed := name + "://"; given != allowed {
		return driver.Refuse("The only allowed filename for this driver is '%s'", allowed)
	}
	return nil
}

func openDevice(name string, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*config)
	if c.Latency < 0 {
		return nil, driver.Refuse("latency-ns is invalid")
	}
	return &device{
		name: name,
		// there is no end inside a sector where nothing is stored
		size:       driver.WholeSectors(min(c.Size.Int(), math.MaxInt64-driver.SectorSize+1)),
		latency:    time.Duration(c.Latency),
		readZeroes: c.ReadZeroes,
	}, nil
}

type device struct {
	driver.Leaf
	name       string
	size       int64
	latency    time.Duration
	readZeroes bool
}

var _ driver.Node = (*device)(nil)

func (d *device) Info() driver.Info {
	return driver.Info{Driver: d.name, Limits: driver.Limits{Size: d.size, WriteTakes: driver.FUA}}
}

// pass takes the latency, or fails when ctx ends first.
func (d *device) pass(ctx context.Context) error {
	return wait.Pass(ctx, d.name, d.latency)
}

func (d *device) ReadVec(ctx context.Context, v driver.Vec, _ int64, _ driver.Flags) error {
	if err := d.pass(ctx); err != nil {
		return err
	}
	if d.readZeroes {
		v.Clear()
	}
	return nil
}

func (d *device) WriteVec(ctx context.Context, _ driver.Vec, _ int64, _ driver.Flags) error {
	return d.pass(ctx)
}

func (d *device) Flush(ctx context.Context) error { return d.pass(ctx) }

// Status knows of zeroes with read-zeroes=on, and otherwise of nothing at all: not even that the
// range is allocated.
func (d *device) Status(_ context.Context, off, n int64) (driver.Extent, error) {
	return driver.Extent{
		Off: off, Len: n, Allocated: d.readZeroes, Zero: d.readZeroes,
		Node: d.name, HostOff: off,
	}, nil
}
