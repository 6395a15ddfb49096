package file_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
)

func drivers() []driver.Driver { return []driver.Driver{file.Driver} }

// temp makes a file of size bytes.
func temp(t testing.TB, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	return name
}

func options(kv ...any) *driver.Options {
	var o driver.Options
	for i := 0; i < len(kv); i += 2 {
		o.Set(kv[i].(string), kv[i+1])
	}
	return &o
}

func openDevice(t *testing.T, mode driver.Mode, o *driver.Options) *blockdev.Device {
	t.Helper()
	o.SetDefault("driver", "file")
	d, err := blockdev.Open(t.Context(), "",
		blockdev.OpenConfig{Drivers: drivers(), Options: o, Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// The words are those of qemu-io 7.2.22, but for what Go's own call chain adds.
func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := unix.Mkfifo(path("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("plain"), make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		mode driver.Mode
		opts *driver.Options
		want string
		is   error
	}{
		{"no name", driver.Mode{}, options(), "The 'file' block driver requires a file name", nil},
		{"missing", driver.Mode{}, options("filename", path("none")), "Could not open '" + path("none") + "': No such file or directory", syscall.ENOENT},
		{"directory", driver.Mode{}, options("filename", dir), "Could not open '" + dir + "': Is a directory", syscall.EISDIR},
		{"directory, read-only", driver.Mode{ReadOnly: true}, options("filename", dir), "'file' driver requires '" + dir + "' to be a regular file", nil},
		{"pipe", driver.Mode{}, options("filename", path("fifo")), "'file' driver requires '" + path("fifo") + "' to be a regular file", nil},
		{"pipe, read-only", driver.Mode{ReadOnly: true}, options("filename", path("fifo")), "'file' driver requires '" + path("fifo") + "' to be a regular file", nil},
		{"device", driver.Mode{}, options("filename", "/dev/null"), "'file' driver requires '/dev/null' to be a regular file", nil},
		{"prefix in the option", driver.Mode{}, options("filename", "file:x"), "Could not open 'file:x': No such file or directory", syscall.ENOENT},
		{"aio", driver.Mode{}, options("filename", path("plain"), "aio", "bogus"), "invalid parameter value: bogus", nil},
		{"locking", driver.Mode{}, options("filename", path("plain"), "locking", "bogus"), "invalid parameter value: bogus", nil},
		{"native needs direct", driver.Mode{}, options("filename", path("plain"), "aio", "native"), "aio=native was specified, but it requires cache.direct=on, which was not specified.", nil},
		{"no O_DIRECT", driver.Mode{ReadOnly: true, Direct: true}, options("filename", "/proc/version"), "Could not open '/proc/version': filesystem does not support O_DIRECT", syscall.EINVAL},
		{"no length", driver.Mode{ReadOnly: true}, options("filename", "/proc/version"), "Could not refresh total sector count: Invalid argument", syscall.EINVAL},
		{"unknown option", driver.Mode{}, options("filename", path("plain"), "nonsense", "1"), "Block protocol 'file' doesn't support the option 'nonsense'", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.Set("driver", "file")
			d, err := blockdev.Open(t.Context(), "",
				blockdev.OpenConfig{Drivers: drivers(), Options: c.opts, Mode: c.mode})
			if err == nil {
				d.Close()
				t.Fatal("opened")
			}
			if err.Error() != c.want {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%#v is not %v", err, c.is)
			}
		})
	}
}

func TestNamePrefix(t *testing.T) {
	name := temp(t, 1024)
	for _, prefix := range []string{"", "file:", "file://"} {
		opts := options("driver", "file", "filename", name)
		if err := file.Driver.ParseName(prefix+name, opts); err != nil {
			t.Fatal(err)
		}
		if d := openDevice(t, driver.Mode{}, opts); d.Size() != 1024 {
			t.Errorf("%s: length %d", prefix, d.Size())
		}
	}
}

func TestReadWrite(t *testing.T) {
	ctx := context.Background()
	d := openDevice(t, driver.Mode{Unmap: true}, options("filename", temp(t, 1<<20)))
	data := bytes.Repeat([]byte{0xab}, 5000)
	if err := d.Write(ctx, driver.Vec{data[:1000], data[1000:]}, 4000, 0); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5002)
	if err := d.Read(ctx, driver.Vec{got}, 3999, 0); err != nil {
		t.Fatal(err)
	}
	if want := append(append([]byte{0}, data...), 0); !bytes.Equal(got, want) {
		t.Error("read something else than was written")
	}
}
