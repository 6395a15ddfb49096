package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// dirtyImage is an image with lazy refcounts whose writer was cut off: its data is flushed, its
// refcounts are not.
func dirtyImage(t *testing.T) []byte {
	t.Helper()
	ctx := context.Background()
	d, o := newDisk("dirty", seeds(t)["zstd"])
	dev := openDisk(t, o, shape{})
	data := bytes.Repeat([]byte{0x5a}, 30000)
	if err := errors.Join(dev.Write(ctx, driver.Vec{data}, 100000, 0), dev.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(d.data)
}

// A dirty image that is opened read-only and then reopened for writing must be repaired before the
// first write: clusters in use would be taken for free ones.
func TestReopenDirty(t *testing.T) {
	ctx := context.Background()
	d, o := newDisk("reopened", dirtyImage(t))
	dev, err := blockdev.Open(ctx, "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, qcow2.Driver}, Format: "qcow2", Options: o,
		Mode: driver.Mode{ReadOnly: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Reopen(ctx, options("read-only", false)); err != nil {
		t.Fatal(err)
	}
	if err := dev.Write(ctx, driver.Vec{bytes.Repeat([]byte{1}, 50000)}, 0, 0); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 30000)
	if err := dev.Read(ctx, driver.Vec{got}, 100000, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, bytes.Repeat([]byte{0x5a}, 30000)) {
		t.Error("a write went over data")
	}
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	if binary.BigEndian.Uint64(d.data[72:])&1 != 0 {
		t.Error("still dirty")
	}
	again := openDisk(t, options("file.driver", "test-disk", "file.name", "reopened"), shape{})
	defer again.Close()
	c, _ := driver.Find[driver.Checker](again.Top())
	if r, err := c.Check(ctx, 0); err != nil || r.Corruptions+r.Leaks > 0 {
		t.Errorf("%v %+v", err, r)
	}
}

// Options given later overrule earlier ones about the same thing, as measured with qemu-io 7.2.22.
func TestReopenOptions(t *testing.T) {
	ctx := context.Background()
	_, o := newDisk("options", seeds(t)["v3"])
	dev := openDisk(t, o, shape{})
	defer dev.Close()
	for _, c := range []struct {
		key, value, want string
	}{
		{"overlap-check", "constant", ""},
		{"overlap-check.template", "all", ""},
		{"overlap-check", "blubb", "Unsupported value 'blubb' for qcow2 option 'overlap-check'. Allowed are any of the following: none, constant, cached, all"},
		{"l2-cache-size", "64k", ""},
		{"refcount-cache-size", "64k", ""},
		{"cache-size", "1M", ""},
		{"l2-cache-size", "8k", ""},
		{"l2-cache-entry-size", "33", "L2 cache entry size must be a power of two between 512 and the cluster size (512)"},
		{"lazy-refcounts", "blubb", "Parameter 'lazy-refcounts' expects 'on' or 'off'"},
		{"lazy-refcounts", "on", ""},
		{"lazy-refcounts", "off", ""},
		{"nosuch", "1", "Cannot change the option 'nosuch'"},
	} {
		got := ""
		if err := dev.Reopen(ctx, options(c.key, c.value)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s=%s: %q, not %q", c.key, c.value, got, c.want)
		}
		if err := dev.Write(ctx, driver.Vec{make([]byte, 3000)}, 5000, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// lockedImage is an image in a file with contents, and a function that opens it.
func lockedImage(
	t *testing.T, contents []byte,
) (path string, open func(readOnly bool) (*blockdev.Device, error)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, contents, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func(readOnly bool) (*blockdev.Device, error) {
		return blockdev.Open(t.Context(), path, blockdev.OpenConfig{
			Drivers: testDrivers, Format: "qcow2",
			Mode: driver.Mode{ReadOnly: readOnly, NoFlush: true},
		})
	}
}

// Who opens a dirty image while another has it must not repair it under the other's hands.
func TestDirtyIsLockedBeforeRepair(t *testing.T) {
	dirty := dirtyImage(t)
	path, open := lockedImage(t, dirty)
	first, err := open(true)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := open(false); err == nil || err.Error() != `Failed to get "write" lock` {
		t.Errorf("second opener: %v, %v", d, err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, dirty) {
		t.Errorf("the refused opener changed the image (%v)", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	repaired, err := open(false)
	if err != nil {
		t.Fatal(err)
	}
	defer repaired.Close()
	if now, err := os.ReadFile(path); err != nil || now[79]&1 != 0 {
		t.Errorf("the only opener did not repair (%v)", err)
	}
}

// A reader that another reader keeps from writing stays a reader, and the image its own.
func TestReopenRefusedByLock(t *testing.T) {
	ctx := t.Context()
	path, open := lockedImage(t, seeds(t)["v3"])
	d, err := open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	other, err := open(true)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func() error { return d.Write(ctx, driver.Vec{[]byte("x")}, 100000, 0) }
	if err := d.Reopen(ctx, options("read-only", false)); err == nil ||
		err.Error() != `Failed to get "write" lock` {
		t.Fatalf("got %v", err)
	}
	if err := write(); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("wrote beside a reader: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if other, err = open(true); err != nil {
		t.Fatalf("a refused reopen keeps its claim: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, before) {
		t.Errorf("the image changed (%v)", err)
	}
	if err := d.Reopen(ctx, options("read-only", false)); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Error(err)
	}
	if err := d.Reopen(ctx, options("read-only", true)); err != nil {
		t.Fatal(err)
	}
	if other, err = open(true); err != nil {
		t.Errorf("beside one who only reads again: %v", err)
	} else if err := other.Close(); err != nil {
		t.Error(err)
	}
}

// A dirty image that cannot be repaired wholly is repaired as far as it goes, once: a check between
// writes would take what they use for leaks.
func TestDirtyAndDamaged(t *testing.T) {
	ctx := context.Background()
	image := dirtyImage(t)
	be := binary.BigEndian
	l2 := be.Uint64(image[be.Uint64(image[40:]):]) &^ (1 << 63)
	entry := image[l2+8*(100000/4096):]
	be.PutUint64(entry, be.Uint64(entry)|1<<1) // a reserved bit, which no repair takes away
	_, o := newDisk("damaged", image)
	told := 0
	dev, err := blockdev.Open(ctx, "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, qcow2.Driver}, Format: "qcow2", Options: o,
		Notify: func(n driver.Notice) {
			if w, ok := n.(driver.CheckNote); ok && strings.Contains(w.Text, "reserved bits") {
				told++
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	atOpen := told
	for i := range int64(3) {
		data := bytes.Repeat([]byte{byte(i + 1)}, 5000)
		got := make([]byte, len(data))
		if err := errors.Join(dev.Write(ctx, driver.Vec{data}, 8192*i, 0),
			dev.Read(ctx, driver.Vec{got}, 8192*i, 0)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, data) {
			t.Errorf("write %d did not stay", i)
		}
	}
	if atOpen == 0 || told > atOpen {
		t.Errorf("told %d times at the open and %d times later", atOpen, told-atOpen)
	}
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
}
