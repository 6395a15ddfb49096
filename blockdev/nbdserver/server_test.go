package nbdserver_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

// open opens a disk by its name.
func open(t testing.TB, name string, mode blockdev.Mode) *blockdev.Device {
	t.Helper()
	d, err := blockdev.Open(context.Background(), name, blockdev.OpenConfig{
		Drivers: drivers.All(), Format: "raw", Mode: mode,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// serve starts s on a socket, and ends it with the test. It returns the path.
func serve(t testing.TB, s *nbdserver.Server) string {
	t.Helper()
	return serveOn(t, s, func(l net.Listener) net.Listener { return l })
}

// serveOn is serve with a listener around that of the socket.
func serveOn(t testing.TB, s *nbdserver.Server, on func(net.Listener) net.Listener) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l = on(l)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return path
}

// TestSuite runs the suite of all drivers over our own client and server.
func TestSuite(t *testing.T) {
	blockdevtest.Run(t, blockdevtest.Subject{
		Driver: nbd.Driver,
		Options: func(t testing.TB, size int64) *driver.Options {
			var disk driver.Options
			disk.Set("driver", "mem")
			disk.Set("size", size)
			d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
				Drivers: drivers.All(), Options: &disk, Mode: blockdev.Mode{Unmap: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.Close() })
			s := &nbdserver.Server{Exports: []nbdserver.Export{{Name: "disk", Disk: d}}}
			var o driver.Options
			o.Set("path", serve(t, s))
			o.Set("export", "disk")
			o.Set("connections", int64(2))
			return &o
		},
		Row: blockdevtest.Row{Truncate: blockdevtest.Refused},
	})
}

// TestUnnamed has an export whose name is empty, which is another than the first.
func TestUnnamed(t *testing.T) {
	first := open(t, image(t, 1<<20), blockdev.Mode{})
	second := open(t, image(t, 2<<20), blockdev.Mode{})
	for _, c := range []struct {
		exports []nbdserver.Export
		want    int64
	}{
		{[]nbdserver.Export{{Name: "a", Disk: first}, {Disk: second}}, 2 << 20},
		{[]nbdserver.Export{{Disk: first}, {Name: "a", Disk: second}}, 1 << 20},
		{[]nbdserver.Export{{Name: "a", Disk: first}, {Name: "b", Disk: second}}, 1 << 20},
	} {
		path := serve(t, &nbdserver.Server{Exports: c.exports})
		d := open(t, "nbd+unix:///?socket="+path, blockdev.Mode{ReadOnly: true})
		if d.Size() != c.want {
			t.Errorf("%s, %s: %d bytes", c.exports[0].Name, c.exports[1].Name, d.Size())
		}
	}
}

// TestCutShort has a file cut while it is served. Clients that come later see as many bytes as
// those before, of which some cannot be read.
func TestCutShort(t *testing.T) {
	const size, left = 2 << 20, 1 << 20
	name := image(t, size)
	path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{
		Disk: open(t, name, blockdev.Mode{ReadOnly: true}),
	}}})
	read := func(off int64) error {
		d := open(t, "nbd+unix:///?socket="+path, blockdev.Mode{ReadOnly: true})
		if d.Size() != size {
			t.Errorf("%d bytes", d.Size())
		}
		return d.Read(t.Context(), driver.Vec{make([]byte, 512)}, off, 0)
	}
	if err := errors.Join(read(0), read(left), os.Truncate(name, left)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first shows that the file is shorter
		if err := read(left); !errors.Is(err, syscall.EIO) {
			t.Errorf("what is cut off: %v", err)
		}
	}
	if err := read(0); err != nil {
		t.Error(err)
	}
}
