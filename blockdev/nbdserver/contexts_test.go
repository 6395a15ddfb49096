package nbdserver_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

const overlaySize = 4 << 20

// overlay makes an image with bitmaps on top of another that has data and zeroes of its own, and
// returns its path.
func overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	base, top := filepath.Join(dir, "base"), filepath.Join(dir, "top")
	create := func(name string, cfg blockdev.CreateConfig) {
		cfg.Drivers, cfg.Format, cfg.Size = drivers.All(), "qcow2", overlaySize
		if err := blockdev.Create(context.Background(), name, cfg); err != nil {
			t.Fatal(err)
		}
	}
	create(base, blockdev.CreateConfig{})
	change(t, base, func(d *blockdev.Device) error {
		return errorsOf(
			d.Write(t.Context(), driver.Vec{bytes.Repeat([]byte{7}, 1<<20)}, 512<<10, 0),
			d.Zero(t.Context(), 2<<20, 128<<10, 0))
	})
	create(top, blockdev.CreateConfig{Backing: base, BackingFormat: "qcow2"})
	change(t, top, func(d *blockdev.Device) error {
		return errorsOf(
			d.AddBitmap(t.Context(), blockdev.Bitmap{
				Name: "fine", Granularity: 4096,
				Enabled: true,
			}),
			d.AddBitmap(t.Context(), blockdev.Bitmap{Name: "b 1: ä", Enabled: true}),
			d.Write(t.Context(), driver.Vec{bytes.Repeat([]byte{9}, 70<<10)}, 640<<10, 0),
			d.Zero(t.Context(), 768<<10, 64<<10, 0))
	})
	return top
}

func errorsOf(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

func openImage(t testing.TB, name string, mode blockdev.Mode) *blockdev.Device {
	t.Helper()
	d, err := blockdev.Open(context.Background(), name, blockdev.OpenConfig{
		Drivers: drivers.All(), Mode: mode,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func change(t *testing.T, name string, do func(*blockdev.Device) error) {
	t.Helper()
	d := openImage(t, name, blockdev.Mode{})
	if err := errorsOf(do(d), d.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestBitmaps writes through a client and asks what is dirty, of the client and of the image: they
// agree at each step of a walk, whatever is written amid it.
func TestBitmaps(t *testing.T) {
	disk := openImage(t, overlay(t), blockdev.Mode{Unmap: true})
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	bitmaps := []string{"fine", "b 1: ä"}
	path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk, Bitmaps: bitmaps}}})
	client := open(t, "nbd+unix:///?socket="+path, blockdev.Mode{})
	list, err := client.Bitmaps(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != bitmaps[0] || list[1].Name != bitmaps[1] {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := client.ClearBitmap(t.Context(), "fine"); err == nil {
		t.Error("a bitmap of a server was cleared")
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	var walk [2]int64
	for range 2000 {
		i := rnd.IntN(2)
		if rnd.IntN(4) == 0 {
			off, n := rnd.Int64N(overlaySize/512)*512, 512*(1+rnd.Int64N(64))
			n = min(n, overlaySize-off)
			if err := client.Write(t.Context(), driver.Vec{make([]byte, n)}, off, 0); err != nil {
				t.Fatal(err)
			}
		}
		if rnd.IntN(50) == 0 {
			if err := disk.ClearBitmap(t.Context(), bitmaps[i]); err != nil {
				t.Fatal(err)
			}
			walk[i] = 0 // where somebody else changed something, only a new walk shows it
		}
		if walk[i] >= overlaySize {
			walk[i] = rnd.Int64N(overlaySize)
		}
		n := 1 + rnd.Int64N(overlaySize-walk[i])
		end, dirty, err := client.DirtyRun(t.Context(), bitmaps[i], walk[i], n)
		wantEnd, want, wantErr := disk.DirtyRun(t.Context(), bitmaps[i], walk[i], n)
		if errorsOf(err, wantErr) != nil || end != wantEnd || dirty != want {
			t.Fatalf("%d bytes at %d in '%s': up to %d %v, %v; it is %d %v, %v", n, walk[i],
				bitmaps[i], end, dirty, err, wantEnd, want, wantErr)
		}
		walk[i] = end
	}
}

// TestContexts holds what nbdinfo hears from us against what it hears from qemu-nbd.
func TestContexts(t *testing.T) {
	nbdinfo := blockdevtest.Peer(t, "nbdinfo", "libnbd-bin")
	blockdevtest.Peer(t, "qemu-nbd", "qemu-utils")
	image := overlay(t)
	server, err := nbd.StartServer([]string{
		"qemu-nbd", "-r", "-t", "-e", "0", "-f", "qcow2", "-A", "-B", "fine", "-B", "b 1: ä", image,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	theirs := server.Address().Path
	disk := openImage(t, image, blockdev.Mode{ReadOnly: true})
	t.Cleanup(func() { _ = disk.Close() })
	ours := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{
		{Disk: disk, Bitmaps: []string{"fine", "b 1: ä"}},
	}})
	for _, name := range []string{
		"base:allocation", "qemu:allocation-depth", "qemu:dirty-bitmap:fine",
		"qemu:dirty-bitmap:b 1: ä",
	} {
		hear := func(path string) string {
			out, err := exec.Command(nbdinfo, "--map="+name, "nbd+unix:///?socket="+path).Output()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return string(out)
		}
		if got, want := hear(ours), hear(theirs); got != want {
			t.Errorf("%s:\n%s\nqemu-nbd:\n%s", name, got, want)
		}
	}
}
