package qcow2_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// bitmapSteps change the bitmaps of an image, one after the other.
var bitmapSteps = []func(ctx context.Context, d *blockdev.Device) error{
	func(ctx context.Context, d *blockdev.Device) error {
		return d.AddBitmap(ctx, driver.Bitmap{Name: "a", Enabled: true})
	},
	func(ctx context.Context, d *blockdev.Device) error {
		return d.Write(ctx, driver.Vec{make([]byte, 8192)}, 64<<10, 0)
	},
	func(ctx context.Context, d *blockdev.Device) error {
		return d.AddBitmap(ctx, driver.Bitmap{Name: "b", Granularity: 512})
	},
	func(ctx context.Context, d *blockdev.Device) error { return d.MergeBitmap(ctx, "b", d, "a") },
	func(ctx context.Context, d *blockdev.Device) error { return d.ClearBitmap(ctx, "a") },
	func(ctx context.Context, d *blockdev.Device) error { return d.EnableBitmap(ctx, "b", true) },
	func(ctx context.Context, d *blockdev.Device) error { return d.RemoveBitmap(ctx, "a") },
	func(ctx context.Context, d *blockdev.Device) error { return d.Flush(ctx) },
	func(ctx context.Context, d *blockdev.Device) error { return d.RemoveBitmap(ctx, "b") },
}

// TestCrashOfBitmapChanges: a crash leaves an image without corruptions whose bitmaps are as before
// or after the change, and none that can be used while its bits were in memory.
func TestCrashOfBitmapChanges(t *testing.T) {
	for _, options := range []string{"cluster_size=4k", "cluster_size=64k"} {
		if wrong := crashBitmapChanges(t, options, ""); wrong != "" {
			t.Errorf("%s: %s", options, wrong)
		}
	}
	if wrong := crashBitmapChanges(t, "cluster_size=4k",
		"qcow2.(*image).placeDirectory"); wrong == "" {
		t.Error("without the flush of the directory nothing went wrong")
	}
}

func crashBitmapChanges(t *testing.T, options, deaf string) (wrong string) {
	path := filepath.Join(t.TempDir(), "bitmaps.qcow2")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", options, path, "2M")
	contents, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	disk, o := newDisk(t.Name()+options+deaf, contents)
	disk.deaf = deaf
	d := openDisk(t, o, shape{})
	begins, names := []int{}, [][]string{nil}
	for i, step := range bitmapSteps {
		begins = append(begins, len(disk.log))
		if err := step(t.Context(), d); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		names = append(names, namesOf(t, d))
	}
	changes := len(disk.log)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	disk.log = disk.log[:changes]
	r := &crashRun{disk: disk}
	r.crashes(rand.New(rand.NewPCG(3, 4)), 30, func(image []byte, cut int) bool {
		step := 0
		for step+1 < len(begins) && cut >= begins[step+1] {
			step++
		}
		wrong = judgeBitmaps(t, image, names[step], names[step+1])
		return wrong == ""
	})
	return wrong
}

func namesOf(t *testing.T, d *blockdev.Device) (names []string) {
	list, err := d.Bitmaps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		names = append(names, b.Name)
	}
	return names
}

// judgeBitmaps says what is wrong with what a crash left.
func judgeBitmaps(t *testing.T, image []byte, before, after []string) string {
	const name = "bitmaps-crashed"
	_, o := newDisk(name, image)
	defer disks.Delete(name)
	d, err := blockdev.Open(t.Context(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, qcow2.Driver, file.Driver}, Format: "qcow2",
		Options: o, Mode: driver.Mode{ReadOnly: true},
	})
	if err != nil {
		return err.Error()
	}
	defer d.Close()
	res, err := d.Check(t.Context(), 0)
	if err != nil || res.Corruptions > 0 {
		return fmt.Sprintf("%v, %v", err, res.Messages)
	}
	list, err := d.Bitmaps(t.Context())
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, b := range list {
		names = append(names, b.Name)
		if !b.Inconsistent {
			return "bitmap " + b.Name + " is said to be true, and its bits are lost"
		}
	}
	if !slices.Equal(names, before) && !slices.Equal(names, after) {
		return fmt.Sprintf("the bitmaps are %v", names)
	}
	return ""
}
