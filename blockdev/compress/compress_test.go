package compress

import (
	"context"
	"errors"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

const cluster = 512

// packer is a format that can compress: it only sees to it that it is asked to, a whole cluster at
// a time.
var packer = driver.Driver{
	Name:     "packer",
	Kind:     driver.FilterKind,
	Resolves: driver.OverFormat,
	Config:   config{},
	Open: func(ctx context.Context, o *driver.Opening) (driver.Node, error) {
		file, err := o.Child(ctx, o.Config.(*config).File, driver.RoleFiltered)
		return &packerNode{driver.Filter{Next: file}}, err
	},
}

type packerNode struct{ driver.Filter }

func (p *packerNode) Info() driver.Info {
	info := p.Next.Info()
	info.Driver, info.Cluster, info.WriteTakes = "packer", cluster, driver.Compressed|driver.FUA
	return info
}

func (p *packerNode) WriteVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	if f != driver.Compressed || off%cluster != 0 || v.Len()%cluster != 0 {
		return errors.New("no whole cluster to compress")
	}
	return p.Next.WriteVec(ctx, v, off, 0)
}

func stack(size int64) *driver.Options {
	var o driver.Options
	o.Set("file.driver", "packer")
	o.Set("file.file.driver", blockdevtest.MemoryDriver.Name)
	o.Set("file.file.size", size)
	return &o
}

func TestSuite(t *testing.T) {
	const passed = blockdevtest.Passed
	blockdevtest.Run(t, blockdevtest.Subject{
		Driver:  Driver,
		More:    []driver.Driver{packer},
		Options: func(_ testing.TB, size int64) *driver.Options { return stack(size) },
		Row: blockdevtest.Row{
			Read: passed, Write: passed, Zero: passed, Discard: passed, Status: passed,
			Truncate: passed, Flush: passed,
		},
	})
}

func openDevice(o *driver.Options) (*blockdev.Device, error) {
	return blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{Driver, packer, blockdevtest.MemoryDriver}, Options: o,
		Format: "compress",
	})
}

func TestRefusals(t *testing.T) {
	var plain driver.Options
	plain.Set("file.driver", blockdevtest.MemoryDriver.Name)
	plain.Set("file.size", "1M")
	for want, o := range map[string]*driver.Options{
		"Compression is not supported for underlying format: test-memory": &plain,
		`A block device must be specified for "file"`:                     {},
	} {
		if _, err := openDevice(o); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	d, err := openDevice(stack(1 << 20))
	if err != nil {
		t.Fatal(err)
	}
	err = d.Write(context.Background(), driver.Vec{make([]byte, cluster)}, 0, driver.Compressed)
	if !errors.Is(err, driver.ErrNotSupported) {
		t.Errorf("compressed twice: %v", err)
	}
}
