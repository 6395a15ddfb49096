package blockdevtest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/drivers"
)

// A file that others make shorter does not become zeroes, whatever stands on it and whoever asks:
// not at once, and not later either, when its new length is known.
func TestShrunkFile(t *testing.T) {
	ctx := t.Context()
	for name, stack := range map[string]map[string]string{
		"file":     {"driver": "file", "filename": "@"},
		"direct":   {"driver": "file", "filename": "@", "cache.direct": "on"},
		"raw":      {"driver": "raw", "file.driver": "file", "file.filename": "@"},
		"window":   {"driver": "raw", "offset": "65536", "file.driver": "file", "file.filename": "@"},
		"blkdebug": {"driver": "raw", "file.driver": "blkdebug", "file.image.driver": "file", "file.image.filename": "@"},
		"qcow2":    {"driver": "qcow2", "file.driver": "file", "file.filename": "@"},
		"vdi":      {"driver": "vdi", "file.driver": "file", "file.filename": "@"},
		"on raw":   {"driver": "qcow2", "file.driver": "raw", "file.file.driver": "file", "file.file.filename": "@"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			format := map[string]string{"qcow2": "qcow2", "vdi": "vdi"}[stack["driver"]]
			if format == "" {
				format = "raw"
			}
			cfg := blockdev.CreateConfig{Drivers: drivers.All(), Format: format, Size: 4 << 20}
			if err := blockdev.Create(ctx, path, cfg); err != nil {
				t.Fatal(err)
			}
			var o driver.Options
			for key, value := range stack {
				if value == "@" {
					value = path
				}
				o.Set(key, value)
			}
			d, err := blockdev.Open(ctx, "",
				blockdev.OpenConfig{Drivers: drivers.All(), Options: &o})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close() // may fail: the file is damaged
			length := d.Size()
			data := bytes.Repeat([]byte{7}, int(length))
			if err := errors.Join(d.Write(ctx, driver.Vec{data}, 0, 0), d.Flush(ctx)); err != nil {
				t.Fatal(err)
			}
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, st.Size()-(2<<20)); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, 4096)
			for _, again := range []string{"at once", "again"} {
				for _, off := range []int64{length - 4096, length - (1 << 20)} {
					if err := d.Read(ctx, driver.Vec{p}, off, 0); !errors.Is(err, syscall.EIO) {
						t.Errorf("%s, at %d: %v", again, off, err)
					}
				}
			}
			if err := d.Read(ctx, driver.Vec{p}, 0, 0); err != nil || !bytes.Equal(p, data[:4096]) {
				t.Errorf("what is left: %v", err)
			}
			if format == "raw" && d.Size() != length-(2<<20) {
				t.Errorf("%d bytes long, was %d", d.Size(), length)
			}
		})
	}
}

// A hole at the end of a file is one up to the end that the file has now.
func TestShrunkHole(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "image")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 4<<20)); err != nil {
		t.Fatal(err)
	}
	var o driver.Options
	o.Set("filename", path)
	d, err := blockdev.Open(ctx, "",
		blockdev.OpenConfig{Drivers: drivers.All(), Options: &o, Format: "file"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.Truncate(path, 1<<20); err != nil {
		t.Fatal(err)
	}
	if e, err := d.Status(ctx, 0, 4<<20); !errors.Is(err, syscall.EIO) {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := d.Status(ctx, 0, 4<<20); err != nil || e.Len != 1<<20 || d.Size() != 1<<20 {
		t.Errorf("%+v, %v, %d bytes long", e, err, d.Size())
	}
	if _, err := d.Status(ctx, 2<<20, 512); !errors.Is(err, syscall.EIO) {
		t.Errorf("what is gone: %v", err)
	}
	if e, err := d.Status(ctx, 4<<20, 512); err != nil || e.Len != 0 {
		t.Errorf("behind the end: %+v, %v", e, err)
	}
}
