package file_test

import (
	"errors"
	"os"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

func TestReopen(t *testing.T) {
	ctx := t.Context()
	name := temp(t, 4096)
	d := openDevice(t, driver.Mode{}, options("filename", name))
	write := func() error { return d.Write(ctx, driver.Vec{[]byte("x")}, 5, 0) }
	if err := write(); err != nil {
		t.Fatal(err)
	}
	// The name means another file from here on; the device must stay with its own.
	if err := os.Rename(name, name+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	reopen := func(kv ...any) {
		t.Helper()
		if err := d.Reopen(ctx, options(kv...)); err != nil {
			t.Fatal(err)
		}
	}
	reopen("read-only", "on")
	if write() == nil || !d.ReadOnly() {
		t.Error("wrote to a read-only device")
	}
	reopen("read-only", "off", "cache.direct", "on")
	if d.Info().RequestAlign < 512 {
		t.Errorf("direct, and aligned to %d", d.Info().RequestAlign)
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	reopen("cache.direct", "off")
	if d.Info().RequestAlign != 1 {
		t.Errorf("buffered, and aligned to %d", d.Info().RequestAlign)
	}
	got := make([]byte, 7)
	if err := d.Read(ctx, driver.Vec{got}, 4, 0); err != nil ||
		string(got) != "\x00x\x00\x00\x00\x00\x00" {
		t.Errorf("read %q, %v", got, err)
	}
	for _, c := range []struct{ key, value, want string }{
		{"aio", "io_uring", "Cannot change the option 'aio'"},
		{"locking", "off", "Cannot change the option 'locking'"},
		{"filename", "/dev/null", "Cannot change the option 'filename'"},
	} {
		if err := d.Reopen(ctx, options(c.key, c.value)); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v", c.key, err)
		}
	}
	if err := write(); err != nil {
		t.Errorf("after refused changes: %v", err)
	}
}

// The locks go over to the new descriptor.
func TestReopenKeepsLocks(t *testing.T) {
	name := temp(t, 4096)
	alone := driver.Claim{Use: driver.PermRead | driver.PermWrite, Share: driver.PermRead}
	open := func(c driver.Claim) (*blockdev.Device, error) {
		return blockdev.Open(t.Context(), "", blockdev.OpenConfig{
			Drivers: drivers(), Options: options("driver", "file", "filename", name), Claim: c,
		})
	}
	d, err := open(alone)
	if err != nil {
		t.Fatal(err)
	}
	for _, direct := range []string{"on", "off"} {
		if err := d.Reopen(t.Context(), options("cache.direct", direct)); err != nil {
			t.Fatal(err)
		}
		if _, err := open(driver.Claim{}); err == nil ||
			err.Error() != `Failed to get "write" lock` {
			t.Errorf("second opener: %v", err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, err = open(alone)
	if err != nil {
		t.Fatalf("after close: %v", err)
	}
	d.Close()
}

// Somebody who does not share writing keeps a reader from becoming a writer, and the reader stays
// one in every respect.
func TestReopenRefusedByLock(t *testing.T) {
	ctx := t.Context()
	name := temp(t, 4096)
	open := func(readOnly bool, share driver.Perm) *blockdev.Device {
		t.Helper()
		d, err := blockdev.Open(ctx, "", blockdev.OpenConfig{
			Drivers: drivers(), Options: options("driver", "file", "filename", name),
			Mode:  driver.Mode{ReadOnly: readOnly},
			Claim: driver.Claim{Share: share},
		})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := open(true, driver.PermAll)
	defer d.Close()
	other := open(true, driver.PermRead)
	for range 2 { // the second time shows whether anything is left of the first
		err := d.Reopen(ctx, options("read-only", "off", "cache.direct", "on"))
		if err == nil || err.Error() != `Failed to get "write" lock` {
			t.Fatalf("got %v", err)
		}
		if !d.ReadOnly() || d.Info().RequestAlign != 1 {
			t.Errorf("read-only %v, aligned to %d", d.ReadOnly(), d.Info().RequestAlign)
		}
		if err := d.Write(ctx, driver.Vec{[]byte("x")}, 0, 0); !errors.Is(err, driver.ErrReadOnly) {
			t.Errorf("a write: %v", err)
		}
		if err := d.Read(ctx, driver.Vec{make([]byte, 7)}, 0, 0); err != nil {
			t.Error(err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		other = open(true, driver.PermRead) // would fail if d had kept its claim to write
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Reopen(ctx, options("read-only", "off")); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(ctx, driver.Vec{[]byte("x")}, 0, 0); err != nil {
		t.Error(err)
	}
	_, err := blockdev.Open(ctx, "", blockdev.OpenConfig{
		Drivers: drivers(), Options: options("driver", "file", "filename", name),
		Mode:  driver.Mode{ReadOnly: true},
		Claim: driver.Claim{Share: driver.PermRead},
	})
	if err == nil || err.Error() != `Failed to get shared "write" lock` {
		t.Errorf("beside a writer: %v", err)
	}
}
