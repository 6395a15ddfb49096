package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// openWatched opens the image in a file, with watch asked about each request for the file.
func openWatched(
	t *testing.T, path string, mode driver.Mode, watch func(blockdevtest.Request) error,
) *blockdev.Device {
	t.Helper()
	mode.Unmap = true
	d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{qcow2.Driver, blockdevtest.Faulty(watch), file.Driver},
		Format:  "qcow2", Mode: mode,
		Options: options("file.driver", blockdevtest.FaultyName, "file.file.driver", "file",
			"file.file.filename", path),
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return d
}

// store writes an image to a new file.
func store(t *testing.T, image []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func checkDevice(
	ctx context.Context, d *blockdev.Device, fix driver.Fix,
) (driver.CheckResult, error) {
	c, _ := driver.Find[driver.Checker](d.Top())
	return c.Check(ctx, fix)
}

// scattered is an image with every other cluster of many refcount blocks in use, so that looking
// for two in a row is long. With 512-byte clusters a refcount block counts 256.
func scattered(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scattered")
	err := blockdev.Create(context.Background(), path, blockdev.CreateConfig{
		Drivers: testDrivers, Format: "qcow2", Options: options("cluster_size", "512"),
		Size: 4 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	d := openImage(t, path, options())
	if err := d.Write(ctx, driver.Vec{bytes.Repeat([]byte{1}, 2<<20)}, 0, 0); err != nil {
		t.Fatal(err)
	}
	for off := int64(0); off < 2<<20; off += 1024 {
		if err := d.Discard(ctx, off, 512); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// Whatever is long ends soon after its request was cancelled, at any moment; and what it leaves is
// sound.
func TestInterrupted(t *testing.T) {
	sound := scattered(t)
	uncounted := bytes.Clone(sound) // its refcounts must be rebuilt
	binary.BigEndian.PutUint64(uncounted[binary.BigEndian.Uint64(uncounted[48:])+8:], 0)
	truncate := func(size int64, p driver.Prealloc) func(context.Context, *blockdev.Device) error {
		return func(ctx context.Context, d *blockdev.Device) error {
			return d.Truncate(ctx, size, p)
		}
	}
	repair := driver.FixErrors | driver.FixLeaks
	for _, c := range []struct {
		name  string
		image []byte
		mode  driver.Mode
		do    func(context.Context, *blockdev.Device) error
	}{
		{"search", sound, driver.Mode{}, func(ctx context.Context, d *blockdev.Device) error {
			return d.Write(ctx, driver.Vec{make([]byte, 64<<10)}, 3<<20, 0)
		}},
		{"preallocation=metadata", sound, driver.Mode{}, truncate(16<<20, driver.PreallocMetadata)},
		{"preallocation=falloc", sound, driver.Mode{}, truncate(16<<20, driver.PreallocFalloc)},
		{"preallocation=full", sound, driver.Mode{}, truncate(16<<20, driver.PreallocFull)},
		{"shrink", sound, driver.Mode{}, truncate(1<<20, driver.PreallocOff)},
		{"check", sound, driver.Mode{}, func(ctx context.Context, d *blockdev.Device) error {
			_, err := checkDevice(ctx, d, 0)
			return err
		}},
		{
			"rebuild", uncounted,
			driver.Mode{Check: true},
			func(ctx context.Context, d *blockdev.Device) error {
				_, err := checkDevice(ctx, d, repair)
				return err
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cancelled := 0
			for at, seen := 0, 1; at < seen; at += 1 + at/8 {
				path := store(t, c.image)
				ctx, cancel := context.WithCancel(context.Background())
				counting, behind := false, 0
				seen = 0
				d := openWatched(t, path, c.mode, func(blockdevtest.Request) error {
					if !counting {
						return nil
					}
					if seen == at {
						cancel()
					} else if seen > at {
						behind++
					}
					seen++
					return nil
				})
				counting = true
				err := c.do(ctx, d)
				counting = false
				cancel()
				if errors.Is(err, context.Canceled) {
					cancelled++
				} else if err != nil {
					t.Fatalf("cancelled at request %d: %v", at, err)
				}
				const patience = 300 // requests: to take back what was begun
				if behind > patience {
					t.Errorf("cancelled at request %d: %d more of them", at, behind)
				}
				if err := d.Close(); err != nil {
					t.Errorf("cancelled at request %d: close: %v", at, err)
				}
				soundButLeaks(t, path, fmt.Sprintf("cancelled at request %d", at), c.mode.Check &&
					errors.Is(err, context.Canceled))
			}
			if cancelled == 0 {
				t.Error("it was never cancelled")
			}
		})
	}
}

// soundButLeaks looks at an image that may leak clusters. One whose repair was cut short may need
// it once more.
func soundButLeaks(t *testing.T, path, when string, again bool) {
	t.Helper()
	d := openWatched(t, path, driver.Mode{Check: true},
		func(blockdevtest.Request) error { return nil })
	defer d.Close()
	fix := driver.FixLeaks
	if again {
		fix |= driver.FixErrors
	}
	res, err := checkDevice(context.Background(), d, fix)
	if err != nil || res.Corruptions+res.CheckErrors > 0 {
		t.Errorf("%s: %v, %+v", when, err, res)
	}
}

// fullTable is an image whose refcount table is as long as may be. All of its entries refer to the
// same block, of one bit for each cluster, which is filled with a pattern.
func fullTable(pattern byte) []byte {
	const bits, cluster, tableClusters = 16, 1 << 16, 8 << 20 >> 16
	be := binary.BigEndian
	image := make([]byte, (3+tableClusters)*cluster)
	head := be.AppendUint32(nil, 0x514649fb)
	head = be.AppendUint32(head, 3)
	head = append(head, make([]byte, 12)...) // no backing file
	head = be.AppendUint32(head, bits)
	head = be.AppendUint64(head, 1<<30)
	head = be.AppendUint32(head, 0)
	head = be.AppendUint32(head, 2) // L1 entries
	head = be.AppendUint64(head, (2+tableClusters)*cluster)
	head = be.AppendUint64(head, cluster)
	head = be.AppendUint32(head, tableClusters)
	head = append(head, make([]byte, 4+8+3*8)...) // no snapshots, no features
	head = be.AppendUint32(head, 0)               // refcounts of one bit
	head = be.AppendUint32(head, 112)
	copy(image, head)
	block := (1 + tableClusters) * cluster
	for at := cluster; at < block; at += 8 {
		be.PutUint64(image[at:], uint64(block))
	}
	for at := block; at < block+cluster; at++ {
		image[at] = pattern
	}
	for c := range len(image) / cluster {
		image[block+c/8] |= 1 << (c % 8)
	}
	return image
}

// A search for free clusters goes through 2^39 clusters without a result, and says so.
func TestNoFreeCluster(t *testing.T) {
	for _, c := range []struct {
		name    string
		pattern byte
		n       int
	}{
		{"none", 0xff, 512},
		{"none in a row", 0x55, 128 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			reads := 0
			d := openWatched(t, store(t, fullTable(c.pattern)), driver.Mode{},
				func(r blockdevtest.Request) error {
					if r.Kind == "read" {
						reads++
					}
					return nil
				})
			defer d.Close()
			reads = 0
			// An L2 table is needed first, which takes a single cluster if there is one.
			err := d.Write(context.Background(), driver.Vec{make([]byte, c.n)}, 0, 0)
			if !errors.Is(err, syscall.EFBIG) {
				t.Errorf("%v, not EFBIG", err)
			}
			if reads > 10 {
				t.Errorf("%d reads", reads)
			}
		})
	}
}

// A file that ends in a hole of an exabyte is cut like any other.
func TestHoleBehindImage(t *testing.T) {
	ctx := context.Background()
	for _, p := range []driver.Prealloc{driver.PreallocOff, driver.PreallocFalloc} {
		path := store(t, seeds(t)["v3"])
		size := int64(1) << 60
		for os.Truncate(path, size) != nil { // as much as the file system takes
			size >>= 1
		}
		d := openWatched(t, path, driver.Mode{}, func(blockdevtest.Request) error { return nil })
		to := d.Size() / 2
		if p != driver.PreallocOff {
			to = d.Size() * 2
		}
		if err := errors.Join(d.Truncate(ctx, to, p), d.Close()); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}
