package qcow2_test

import (
	"bytes"
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

// What Close cannot write or sync it tells: each write and each flush that it makes fails once
// here.
func TestCloseTellsWhatFails(t *testing.T) {
	ctx := context.Background()
	images := seeds(t)
	for name, change := range map[string]func(d *blockdev.Device) error{
		"write": func(d *blockdev.Device) error {
			return d.Write(ctx, driver.Vec{bytes.Repeat([]byte{1}, 40<<10)}, 100<<10, 0)
		},
		"compressed": func(d *blockdev.Device) error {
			return d.Write(ctx, driver.Vec{make([]byte, d.Info().Cluster)}, 128<<10,
				driver.Compressed)
		},
		"zero":    func(d *blockdev.Device) error { return d.Zero(ctx, 0, 16<<10, driver.MayUnmap) },
		"discard": func(d *blockdev.Device) error { return d.Discard(ctx, 0, 16<<10) },
	} {
		for shape, image := range images {
			if name == "compressed" && (shape == "data file" || shape == "raw data") {
				continue // a data file holds what the guest wrote
			}
			run := func(fault *blockdevtest.Fault) error {
				closing := false
				d := openWatched(t, store(t, image), driver.Mode{},
					func(r blockdevtest.Request) error {
						if !closing {
							return nil
						}
						return fault.Fail(r)
					})
				if err := change(d); err != nil {
					t.Fatalf("%s of %s: %v", name, shape, err)
				}
				closing = true
				return d.Close()
			}
			kinds := []string{"write", "flush"}
			all := &blockdevtest.Fault{At: -1, Kinds: kinds}
			rests := shape == "raw data" // where no table changes
			if err := run(all); err != nil || all.Seen() == 0 && !rests {
				t.Fatalf("%s of %s: %d requests at the end, %v", name, shape, all.Seen(), err)
			}
			for at := range all.Seen() {
				f := &blockdevtest.Fault{At: at, Err: syscall.EIO, Stays: true, Kinds: kinds}
				if err := run(f); !errors.Is(err, syscall.EIO) {
					t.Errorf("%s of %s: request %d of %d fails, and Close says %v", name, shape, at,
						all.Seen(), err)
				}
			}
		}
	}
}
