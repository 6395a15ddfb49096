package file

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/engine"
	"github.com/blksh/blksh/blockdev/internal/engine/enginetest"
	"github.com/blksh/blksh/blockdev/internal/hostfile"
)

// The whole suite passes on a kernel that never does what it is asked for at once.
func TestSuiteWithFaults(t *testing.T) {
	faulty := Driver
	faulty.Open = func(_ context.Context, o *driver.Opening) (driver.Node, error) {
		return open(o,
			hostfile.Config{Port: &enginetest.Faulty{Port: engine.Sync{}, Plan: []enginetest.Fault{
				enginetest.Short, enginetest.Interrupted, enginetest.Again, enginetest.None,
				enginetest.Tiny, enginetest.Short,
			}}})
	}
	blockdevtest.Run(t, blockdevtest.Subject{
		Driver: faulty, Mode: driver.Mode{NoFlush: true},
		Options: func(t testing.TB, size int64) *driver.Options {
			name := filepath.Join(t.TempDir(), "disk.img")
			if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
				t.Fatal(err)
			}
			var o driver.Options
			o.Set("filename", name)
			return &o
		},
	})
}
