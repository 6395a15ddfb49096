package compress

import (
	"context"
	"errors"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
)

const cluster = 512

// packer is a format that can compress: it only sees to it that it is asked to, a whole cluster at a time.
var packer = blockdev.Driver{
	Name: "packer",
	Kind: blockdev.FilterKind,
	Keys: []blockdev.Key{{Name: "file", Type: blockdev.NodeRef}},
	Open: func(ctx context.Context, o *blockdev.Opening) (blockdev.Node, error) {
		file, err := o.Child(ctx, "file", blockdev.RoleFiltered)
		return &packerNode{blockdev.Filter{Next: file}}, err
	},
}

type packerNode struct{ blockdev.Filter }

func (p *packerNode) Info() blockdev.Info {
	info := p.Next.Info()
	info.Driver, info.Cluster, info.WriteTakes = "packer", cluster, blockdev.Compressed|blockdev.FUA
	return info
}

func (p *packerNode) WriteVec(ctx context.Context, v blockdev.Vec, off int64, f blockdev.Flags) error {
	if f != blockdev.Compressed || off%cluster != 0 || v.Len()%cluster != 0 {
		return errors.New("no whole cluster to compress")
	}
	return p.Next.WriteVec(ctx, v, off, 0)
}

func stack(size int64) *blockdev.Options {
	var o blockdev.Options
	o.Set("file.driver", "packer")
	o.Set("file.file.driver", blockdevtest.MemoryDriver.Name)
	o.Set("file.file.size", size)
	return &o
}

func TestSuite(t *testing.T) {
	const passed = blockdevtest.Passed
	blockdevtest.Run(t, blockdevtest.Subject{
		Driver:  Driver,
		More:    []blockdev.Driver{packer},
		Options: func(_ testing.TB, size int64) *blockdev.Options { return stack(size) },
		Row: blockdevtest.Row{
			Read: passed, Write: passed, Zero: passed, Discard: passed, Status: passed, Truncate: passed, Flush: passed,
		},
	})
}

func openDevice(o *blockdev.Options) (*blockdev.Device, error) {
	return blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []blockdev.Driver{Driver, packer, blockdevtest.MemoryDriver}, Options: o, Format: "compress",
	})
}

func TestRefusals(t *testing.T) {
	var plain blockdev.Options
	plain.Set("file.driver", blockdevtest.MemoryDriver.Name)
	plain.Set("file.size", "1M")
	for want, o := range map[string]*blockdev.Options{
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
	err = d.Write(context.Background(), blockdev.Vec{make([]byte, cluster)}, 0, blockdev.Compressed)
	if !errors.Is(err, blockdev.ErrNotSupported) {
		t.Errorf("compressed twice: %v", err)
	}
}
