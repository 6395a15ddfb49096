package hostdevice_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/hostdevice"
)

func options(path string) *driver.Options {
	var o driver.Options
	o.Set("filename", path)
	return &o
}

func open(t *testing.T, name, path string, m driver.Mode) (*blockdev.Device, error) {
	t.Helper()
	d, err := blockdev.Open(t.Context(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{hostdevice.Driver, hostdevice.CDROM}, Options: options(path),
		Format: name, Mode: m,
	})
	if err == nil {
		t.Cleanup(func() { d.Close() })
	}
	return d, err
}

var sectors = []int{512, 4096}

// overLoops runs a test for each size of sectors, buffered and direct.
func overLoops(t *testing.T, test func(t *testing.T, path string, m driver.Mode)) {
	for _, sector := range sectors {
		for _, direct := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d direct=%v", sector, direct), func(t *testing.T) {
				path := blockdevtest.Loop(t, 1<<20, sector, false)
				test(t, path, driver.Mode{Direct: direct, Unmap: true})
			})
		}
	}
}

func TestSuite(t *testing.T) {
	const size = 256 << 10
	for _, c := range []struct {
		sector int
		direct bool
	}{{512, false}, {4096, true}} {
		t.Run(fmt.Sprintf("%d direct=%v", c.sector, c.direct), func(t *testing.T) {
			path := blockdevtest.Loop(t, size, c.sector, false)
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver: hostdevice.Driver, Mode: driver.Mode{Direct: c.direct}, Size: size,
				Persistent: true, Exact: true,
				Row: blockdevtest.Row{Truncate: blockdevtest.Refused},
				Options: func(t testing.TB, _ int64) *driver.Options {
					wipe(t, path, size)
					return options(path)
				},
			})
		})
	}
}

// wipe makes all of a device of ours zero.
func wipe(t testing.TB, path string, size int64) {
	t.Helper()
	if err := os.WriteFile(path, make([]byte, size), 0); err != nil {
		t.Fatal(err)
	}
}

func TestAlignment(t *testing.T) {
	for _, sector := range sectors {
		path := blockdevtest.Loop(t, 1<<20, sector, false)
		d, err := open(t, "host_device", path, driver.Mode{Direct: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Info().RequestAlign; got != int64(sector) {
			t.Errorf("requests aligned to %d on sectors of %d", got, sector)
		}
		if !d.Info().NeedsZeroInit {
			t.Error("a fresh device is taken for zero")
		}
	}
}

// Zeroing and discarding reach the device: the file behind it loses its blocks or reads as zeroes.
func TestZeroAndDiscard(t *testing.T) {
	ctx := context.Background()
	overLoops(t, func(t *testing.T, path string, m driver.Mode) {
		d, err := open(t, "host_device", path, m)
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.Repeat([]byte{7}, 1<<20)
		check := func(what string, err error, off, n int) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			clear(data[off : off+n])
			got := make([]byte, len(data))
			if err := d.Read(ctx, driver.Vec{got}, 0, 0); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, data) {
				t.Errorf("%s: something else than %d zeroes at %d", what, n, off)
			}
		}
		check("write", d.Write(ctx, driver.Vec{data}, 0, 0), 0, 0)
		check("zero", d.Zero(ctx, 8192, 65536, 0), 8192, 65536)
		check("zero and unmap", d.Zero(ctx, 131072, 65536, driver.MayUnmap), 131072, 65536)
		check("zero parts of sectors", d.Zero(ctx, 300_001, 4099, 0), 300_001, 4099)
		check("discard", d.Discard(ctx, 262144, 8192), 262144, 8192)
		if err := d.Top().Zero(ctx, 0, 4096,
			driver.NoFallback); !errors.Is(err, driver.ErrNotSupported) {
			t.Errorf("zero without a fallback: %v", err)
		}
	})
}

// The words are those of qemu-io 7.2.22.
func TestTruncate(t *testing.T) {
	d, err := open(t, "host_device", blockdevtest.Loop(t, 1<<20, 512, false), driver.Mode{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		size int64
		p    driver.Prealloc
		want string
	}{
		{1 << 20, driver.PreallocOff, ""},
		{1 << 19, driver.PreallocOff, ""},
		{1 << 21, driver.PreallocOff, "Cannot grow device files"},
		{1 << 21, driver.PreallocFull, "Preallocation mode 'full' unsupported for this non-regular file"},
	} {
		err := d.Top().Truncate(t.Context(), c.size, c.p, 0)
		if got := text(err); got != c.want {
			t.Errorf("truncate to %d, %v: got %q, want %q", c.size, c.p, got, c.want)
		}
		if d.Size() != 1<<20 {
			t.Fatalf("now %d bytes long", d.Size())
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestReadOnlyDevice(t *testing.T) {
	path := blockdevtest.Loop(t, 1<<20, 512, true)
	if _, err := open(t, "host_device", path,
		driver.Mode{}); text(err) != "The device is not writable: Permission denied" ||
		!errors.Is(err, syscall.EACCES) {
		t.Errorf("opened for writing: %v", err)
	}
	d, err := open(t, "host_device", path, driver.Mode{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Read(t.Context(), driver.Vec{make([]byte, 512)}, 0, 0); err != nil {
		t.Error(err)
	}
	d, err = open(t, "host_device", path, driver.Mode{AutoReadOnly: true})
	if err == nil && !d.ReadOnly() {
		t.Error("thinks that it may write")
	}
}

// A second opener that does not share writing is kept out, as with files.
func TestLock(t *testing.T) {
	path := blockdevtest.Loop(t, 1<<20, 512, false)
	if _, err := open(t, "host_device", path, driver.Mode{}); err != nil {
		t.Fatal(err)
	}
	_, err := blockdev.Open(t.Context(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{hostdevice.Driver}, Options: options(path), Format: "host_device",
		Claim: driver.Claim{Use: driver.PermRead, Share: driver.PermRead},
	})
	if text(err) != `Failed to get shared "write" lock` {
		t.Errorf("got %v", err)
	}
}

// The words are those of qemu-io 7.2.22.
func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"host_device", "host_cdrom"} {
		for _, c := range []struct {
			path string
			mode driver.Mode
			want string
		}{
			{plain, driver.Mode{}, fmt.Sprintf("'%s' driver requires '%s' to be either a character or block device", name, plain)},
			{dir, driver.Mode{ReadOnly: true}, fmt.Sprintf("'%s' driver requires '%s' to be either a character or block device", name, dir)},
			{dir, driver.Mode{}, fmt.Sprintf("Could not open '%s': Is a directory", dir)},
			{dir + "/none", driver.Mode{}, fmt.Sprintf("Could not open '%s/none': No such file or directory", dir)},
			{"", driver.Mode{}, fmt.Sprintf("The '%s' block driver requires a file name", name)},
			{"/dev/null", driver.Mode{}, ""},
		} {
			d, err := open(t, name, c.path, c.mode)
			if text(err) != c.want {
				t.Errorf("%s: got %q, want %q", name, text(err), c.want)
			}
			if err == nil && d.Size() != 0 {
				t.Errorf("%s is %d bytes long", c.path, d.Size())
			}
		}
	}
}

// A path chooses its driver by the kind of file.
func TestProbePath(t *testing.T) {
	loop := blockdevtest.Loop(t, 1<<20, 512, false)
	for _, c := range []struct {
		path          string
		device, cdrom bool
	}{
		{loop, true, false},
		{"/dev/null", true, false},
		{t.TempDir(), false, false},
		{"/none", false, false},
		{"host_device:/dev/null", false, false},
	} {
		if got := hostdevice.Driver.ProbePath(c.path) > 0; got != c.device {
			t.Errorf("host_device on %s: %v", c.path, got)
		}
		if got := hostdevice.CDROM.ProbePath(c.path) > 0; got != c.cdrom {
			t.Errorf("host_cdrom on %s: %v", c.path, got)
		}
	}
}
