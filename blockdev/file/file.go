// Package file is the protocol of regular files of the host.
//
// It reads and writes with plain positioned calls, gives space back by punching holes, tells holes
// from data by SEEK_HOLE and SEEK_DATA, and takes QEMU's image locks.
package file

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/hostfile"
)

const driverName = "file"

// Driver opens regular files.
var Driver = driver.Driver{
	Name:      driverName,
	Doc:       "a regular file of the host",
	Kind:      driver.Protocol,
	Config:    hostfile.Options{},
	Schemes:   []string{"file"},
	ParseName: parseName,
	Place:     place,
	Open: func(_ context.Context, o *driver.Opening) (driver.Node, error) {
		n, err := open(o, hostfile.Config{})
		if err != nil {
			return nil, err
		}
		return n, nil
	},
}

// parseName takes "file:PATH". As in QEMU the rest is a path and not a URI.
func parseName(name string, o *driver.Options) error {
	o.Set("filename", strings.TrimPrefix(name, "file:"))
	return nil
}

// node is an open regular file.
type node struct {
	*hostfile.File
	zero hostfile.Ability // to zero a range in place
	hole hostfile.Ability // to punch holes
	// length is held shared by writes behind the end, and alone by what sets the length: set to
	// less than a write has reached meanwhile, it would cut that off.
	length sync.RWMutex
	known  knownData
}

var _ interface {
	driver.Node
	driver.Queuer
	hostfile.Node
} = (*node)(nil)

func open(o *driver.Opening, cfg hostfile.Config) (*node, error) {
	cfg.Accept = func(st *unix.Stat_t) error {
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return fmt.Errorf("'%s' driver requires '%s' to be a regular file", o.Driver.Name,
				o.Config.(*hostfile.Options).Filename)
		}
		return nil
	}
	f, err := hostfile.Open(o, cfg)
	if err != nil {
		return nil, err
	}
	n := &node{File: f}
	if err := n.Measure(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return n, nil
}

// Info adds what zeroing takes.
func (n *node) Info() driver.Info {
	i := n.File.Info()
	i.ZeroTakes, i.Serial = driver.MayUnmap|driver.NoFallback, n.Buffered()
	return i
}

// WriteVec also grows the file.
func (n *node) WriteVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	end := off + v.Len()
	if end > n.Size() {
		n.length.RLock()
		defer n.length.RUnlock()
	}
	if err := n.File.WriteVec(ctx, v, off, f); err != nil {
		return err
	}
	n.Grow(end)
	return nil
}

// Wrote is told by the batch queue how far the file reaches now.
func (n *node) Wrote(end int64) { n.Grow(end) }

// NewQueue makes a batch queue.
func (n *node) NewQueue(ctx context.Context, depth, size int) (driver.Queue, error) {
	return n.BatchQueue(ctx, n, depth, size)
}
