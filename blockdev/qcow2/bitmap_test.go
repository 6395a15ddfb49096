package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// withBitmaps is an image of 1 MiB, half of it written, with the dirty bitmaps b0 and b1.
func withBitmaps(t *testing.T) []byte {
	t.Helper()
	needPeers(t)
	path := filepath.Join(t.TempDir(), "bitmaps")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", path, "1M")
	d := openImage(t, path, options())
	if err := d.Write(context.Background(), blockdev.Vec{bytes.Repeat([]byte{1}, 512<<10)}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b0", "b1"} {
		qemuImg(t, "bitmap", "--add", path, name)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// changes are the ways to change what the guest has.
var changes = map[string]func(context.Context, *blockdev.Device) error{
	"write": func(ctx context.Context, d *blockdev.Device) error {
		return d.Write(ctx, blockdev.Vec{make([]byte, 512)}, 0, 0)
	},
	"compressed write": func(ctx context.Context, d *blockdev.Device) error {
		return d.Write(ctx, blockdev.Vec{make([]byte, 4096)}, 768<<10, blockdev.Compressed)
	},
	"zero":    func(ctx context.Context, d *blockdev.Device) error { return d.Zero(ctx, 0, 8192, 0) },
	"discard": func(ctx context.Context, d *blockdev.Device) error { return d.Discard(ctx, 0, 8192) },
	"grow": func(ctx context.Context, d *blockdev.Device) error {
		return d.Truncate(ctx, 2<<20, blockdev.PreallocOff)
	},
	"shrink": func(ctx context.Context, d *blockdev.Device) error {
		return d.Truncate(ctx, 256<<10, blockdev.PreallocOff)
	},
	"machine state": func(ctx context.Context, d *blockdev.Device) error {
		return d.WriteVMState(ctx, blockdev.Vec{make([]byte, 512)}, 0)
	},
}

// The first change of the guest's data says that bitmaps become untrue, which they are marked as; and no cluster of theirs leaks.
func TestBitmapsRetired(t *testing.T) {
	image := withBitmaps(t)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			path := store(t, image)
			for round, want := range []string{"b0 b1", ""} { // the second time there is nothing left to say
				var said []string
				d, err := blockdev.Open(ctx, path, blockdev.OpenConfig{
					Drivers: testDrivers, Format: "qcow2", Mode: blockdev.Mode{Unmap: true},
					Notify: func(n blockdev.Notice) {
						said = append(said, n.(blockdev.BitmapsRetired).Names...)
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Read(ctx, blockdev.Vec{make([]byte, 512)}, 0, 0); err != nil || len(said) > 0 {
					t.Fatalf("reading: %v, %q", err, said)
				}
				if err := change(ctx, d); err != nil && round == 0 {
					t.Fatal(err)
				}
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				if all := strings.Join(said, " "); all != want {
					t.Errorf("round %d: %q", round, all)
				}
			}
			if v, lines, ok := peerCheck(t, path); !ok || v.Leaks+v.Corruptions+v.CheckErrors > 0 {
				t.Errorf("%+v %v %s", v, ok, lines)
			}
			if info := qemuImg(t, "info", path); strings.Count(info, "in-use") != 2 {
				t.Errorf("%s", info)
			}
		})
	}
}

// Whatever of the writes a crash leaves: if a bitmap says that it is true, nothing of the guest's data has changed. Without the flush behind the
// mark that would not be so.
func TestCrashBeforeBitmapsAreRetired(t *testing.T) {
	image := withBitmaps(t)
	const flush = "(*image).retireBitmaps"
	missed := 0
	for name, change := range changes {
		if name == "grow" || name == "shrink" || name == "machine state" {
			continue // they change no data that the guest has
		}
		if wrong, retired := crashRetiring(t, image, change, ""); wrong != "" || retired == 0 {
			t.Errorf("%s: %q; bitmaps were retired by %d crashes", name, wrong, retired)
		}
		if wrong, _ := crashRetiring(t, image, change, flush); wrong != "" {
			missed++
		}
	}
	if missed == 0 { // where there is another flush before data changes it is not missed
		t.Errorf("nobody misses the flush in %s", flush)
	}
}

// crashRetiring cuts the power at every moment of a change. wrong is what is wrong with the first image that is.
func crashRetiring(t *testing.T, image []byte, change func(context.Context, *blockdev.Device) error, deaf string) (wrong string, retired int) {
	t.Helper()
	before := make([]byte, 1<<20)
	copy(before, bytes.Repeat([]byte{1}, 512<<10))
	disk, o := newDisk("bitmaps", image)
	defer disks.Delete("bitmaps")
	disk.deaf = deaf
	r := &crashRun{name: "bitmaps", disk: disk}
	d := openDisk(t, o, shape{})
	if err := errors.Join(change(context.Background(), d), d.Close()); err != nil {
		t.Fatal(err)
	}
	r.crashes(rand.New(rand.NewPCG(1, 8)), 40, func(image []byte, _ int) bool {
		if trueBitmaps(image) == 0 {
			retired++
			return true
		}
		wrong = guestDiffers(image, before)
		return wrong == ""
	})
	return wrong, retired
}

// trueBitmaps is how many bitmaps of an image count as true.
func trueBitmaps(image []byte) int {
	if autoclear(image)&bitmapsBit == 0 {
		return 0
	}
	be := binary.BigEndian
	n, at := 0, newLayout(image).bitmaps
	for at != 0 && at+24 <= len(image) && be.Uint64(image[at:]) != 0 {
		if be.Uint32(image[at+12:])&1 == 0 {
			n++
		}
		at += (24 + int(be.Uint16(image[at+18:])) + 7) &^ 7
	}
	return n
}

func guestDiffers(image, want []byte) string {
	_, o := newDisk("bitmaps-crashed", image)
	defer disks.Delete("bitmaps-crashed")
	d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []blockdev.Driver{diskDriver, qcow2.Driver, file.Driver}, Format: "qcow2", Options: o, Mode: blockdev.Mode{ReadOnly: true},
	})
	if err != nil {
		return err.Error()
	}
	defer d.Close()
	got := make([]byte, len(want))
	if err := d.Read(context.Background(), blockdev.Vec{got}, 0, 0); err != nil {
		return err.Error()
	}
	if !bytes.Equal(got, want) {
		return fmt.Sprintf("%d bitmaps count as true, and the guest's data has changed", trueBitmaps(image))
	}
	return ""
}
