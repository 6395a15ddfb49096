package nbd_test

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
	"github.com/blksh/blksh/blockdev/drivers"
)

// openServed opens what a server serves, by the server's command.
func openServed(t testing.TB, command string, mode blockdev.Mode) *blockdev.Device {
	t.Helper()
	d, err := blockdev.Open(context.Background(), "[ "+command+" ]", blockdev.OpenConfig{
		Drivers: drivers.All(), Format: "raw", Mode: mode,
	})
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// TestContent reads disks that nbdkit makes up, and compares them with what nbdcopy reads of them:
// whole, in pieces of odd lengths, and where block status speaks of zeroes.
func TestContent(t *testing.T) {
	t.Parallel()
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	blockdevtest.Peer(t, "nbdcopy", "libnbd-bin")
	list := filepath.Join(t.TempDir(), "extents")
	text := "0 64k\n64k 64k hole,zero\n1M 4k zero\n3M 1M hole\n"
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, filters, plugin, arguments string }{
		{"pattern", "", "pattern 3M", ""},
		{"odd size", "", "pattern 1000003", ""},
		{"oldstyle", "-o", "pattern 1M", ""},
		{"simple replies", "--no-sr", "pattern 1M", ""},
		{"sparse-random", "", "sparse-random 16M seed=3 percent=20", ""},
		{"data", "", "data '@0x1ffff 1 2 \"end\" @0x100000 7*70000' size=3M", ""},
		{"offset", "--filter=offset", "pattern 3M", "offset=1M range=1M"},
		{"swab", "--filter=swab", "pattern 1M", "swab-bits=16"},
		{"delay", "--filter=delay", "pattern 1M", "rdelay=1ms delay-extents=1ms"},
		{"readahead", "--filter=readahead", "pattern 2M", ""},
		{
			"blocks of 4 KiB", "--filter=blocksize-policy", "pattern 2M",
			"blocksize-minimum=4096 blocksize-preferred=4096 blocksize-maximum=32k " +
				"blocksize-error-policy=error",
		},
		{
			"part of a sector", "--filter=blocksize-policy", "pattern 1000003",
			"blocksize-minimum=512 blocksize-preferred=4096 blocksize-maximum=32k",
		},
		{
			"part of a block", "--filter=blocksize-policy",
			"sparse-random 1000003 seed=3 percent=50 runlength=4096",
			"blocksize-minimum=4096 blocksize-preferred=4096 blocksize-maximum=32k",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			copied, alike := filepath.Join(t.TempDir(), "copy"), c.plugin
			if c.name == "swab" || c.name == "offset" {
				alike = c.filters + " " + c.plugin + " " + c.arguments
			}
			run(t, "sh", "-c", "nbdcopy -- [ nbdkit --exit-with-parent "+alike+" ] "+copied)
			want, err := os.ReadFile(copied)
			if err != nil {
				t.Fatal(err)
			}
			command := fmt.Sprintf("nbdkit -f %s %s %s", c.filters, c.plugin, c.arguments)
			compareContent(t, openServed(t, command, blockdev.Mode{ReadOnly: true}), want)
		})
	}
}

// compareContent holds a disk against its bytes.
func compareContent(t *testing.T, d *blockdev.Device, want []byte) {
	t.Helper()
	ctx := context.Background()
	if d.Size() < int64(len(want)) {
		t.Fatalf("%d bytes, want %d", d.Size(), len(want))
	}
	read := func(off, n int64) []byte {
		t.Helper()
		got := make([]byte, n)
		if err := d.Read(ctx, driver.Vec{got[:n/3], got[n/3:]}, off, 0); err != nil {
			t.Fatalf("%d bytes at %d: %v", n, off, err)
		}
		return got
	}
	size := int64(len(want))
	if !bytes.Equal(read(0, size), want) {
		t.Error("read at once it differs")
	}
	for off, n := int64(1), int64(1); off+n <= size; off, n = off+n, n*2+1 {
		if !bytes.Equal(read(off, n), want[off:off+n]) {
			t.Errorf("%d bytes at %d differ", n, off)
		}
	}
	for off := int64(0); off < size; {
		e, err := d.Status(ctx, off, size-off)
		if err != nil || e.Len <= 0 {
			t.Fatalf("status at %d: %+v, %v", off, e, err)
		}
		if part := want[off:min(off+e.Len, size)]; e.Zero && len(bytes.Trim(part, "\x00")) > 0 {
			t.Errorf("%d bytes at %d are said to be zero", e.Len, off)
		}
		off += e.Len
	}
}

// TestErrors lets a server fail requests of each kind, which must come out as its errors, and
// leave the connection in use.
func TestErrors(t *testing.T) {
	t.Parallel()
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	ctx := context.Background()
	buf := make([]byte, 4096)
	for kind, request := range map[string]func(*blockdev.Device) error{
		"pread":  func(d *blockdev.Device) error { return d.Read(ctx, driver.Vec{buf}, 0, 0) },
		"pwrite": func(d *blockdev.Device) error { return d.Write(ctx, driver.Vec{buf}, 0, 0) },
		"zero":   func(d *blockdev.Device) error { return d.Zero(ctx, 0, 4096, 0) },
		"trim":   func(d *blockdev.Device) error { return d.Discard(ctx, 0, 4096) },
		"extents": func(d *blockdev.Device) error {
			_, err := d.Status(ctx, 0, 4096)
			return err
		},
	} {
		for name, want := range map[string]error{
			"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "ENOMEM": syscall.ENOMEM,
			"EPERM": syscall.EPERM,
		} {
			gate := filepath.Join(t.TempDir(), "gate")
			if err := os.WriteFile(gate, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			d := openServed(t, fmt.Sprintf("nbdkit -f --filter=error memory 1M error=%s "+
				"error-%s-rate=1 error-%s-file=%s", name, kind, kind, gate),
				blockdev.Mode{Unmap: true})
			if err := request(d); !errors.Is(err, want) {
				t.Errorf("%s of %s: %v", name, kind, err)
			}
			if err := os.Remove(gate); err != nil {
				t.Fatal(err)
			}
			if err := request(d); err != nil {
				t.Errorf("after %s of %s: %v", name, kind, err)
			}
		}
	}
}
