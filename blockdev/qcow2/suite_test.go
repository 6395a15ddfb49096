package qcow2_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

func TestSuite(t *testing.T) {
	for name, o := range map[string]*driver.Options{
		"v3":             options(),
		"small clusters": options("cluster_size", "512"),
		"v2":             options("compat", "0.10", "cluster_size", "4k"),
		"extended":       options("extended_l2", "on", "cluster_size", "16k"),
		"lazy": options("lazy_refcounts", "on", "refcount_bits", "8", "cluster_size",
			"1k"),
	} {
		t.Run(name, func(t *testing.T) {
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver: qcow2.Driver, More: []driver.Driver{file.Driver}, Persistent: true,
				Exact: true,
				Mode:  driver.Mode{Unmap: true, NoFlush: true},
				Options: func(t testing.TB, size int64) *driver.Options {
					path := filepath.Join(t.TempDir(), "image.qcow2")
					err := blockdev.Create(context.Background(), path, blockdev.CreateConfig{
						Drivers: testDrivers, Format: "qcow2", Options: o, Size: size,
					})
					if err != nil {
						t.Fatal(err)
					}
					return options("file.driver", "file", "file.filename", path)
				},
			})
		})
	}
}
