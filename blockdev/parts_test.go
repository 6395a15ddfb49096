package blockdev_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/drivers"
)

type partedConfig struct {
	File driver.Child `option:"file"`
	Data driver.Child `option:"data"`
	Key  string       `option:"key"`
}

type partedCreate struct {
	Data string `option:"data"`
}

// parted is a format with a sector of zeroes and the name of its data file in it, which holds the
// guest's bytes.
var parted = driver.Driver{
	Name: "parted", Kind: driver.Format, Resolves: driver.OverProtocol,
	Config: partedConfig{},
	Open: func(ctx context.Context, o *driver.Opening) (driver.Node, error) {
		file, err := o.Child(ctx, o.Config.(*partedConfig).File, driver.RoleFile)
		if err != nil {
			return nil, err
		}
		name := make([]byte, driver.SectorSize)
		if err := file.ReadVec(ctx, driver.Vec{name}, driver.SectorSize, 0); err != nil {
			return nil, err
		}
		if key := o.Config.(*partedConfig).Key; key != "" {
			if _, err := o.Secret(key); err != nil {
				return nil, err
			}
		}
		data, err := o.Named(ctx, o.Config.(*partedConfig).Data,
			driver.Link{Name: o.Beside(strings.TrimRight(string(name), "\x00"))}, driver.RoleFile)
		return driver.Filter{Next: data}, err
	},
	CreateConfig: partedCreate{},
	CheckCreate: func(c *driver.Creating) error {
		c.Parts = []driver.Part{{Name: c.Beside(c.Config.(*partedCreate).Data)}}
		return nil
	},
	Create: func(ctx context.Context, c *driver.Creating) error {
		name, data := c.Config.(*partedCreate).Data, c.Parts[0].File
		if err := data.Truncate(ctx, c.Size, driver.PreallocOff, 0); err != nil {
			return err
		}
		head := make([]byte, 2*driver.SectorSize)
		copy(head[driver.SectorSize:], name)
		if name == "fails" {
			return syscall.EIO
		}
		return c.File.WriteVec(ctx, driver.Vec{head}, 0, 0)
	},
}

func makeParted(t *testing.T, dir, data string, force bool) error {
	t.Helper()
	var o blockdev.Options
	o.Set("data", data)
	return blockdev.Create(t.Context(), filepath.Join(dir, "image"), blockdev.CreateConfig{
		Drivers: append(drivers.All(), parted), Format: "parted", Options: &o, Size: 1 << 20,
		Force: force,
	})
}

func mustBeThere(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%v, %v, want %v", names, err, want)
	}
}

// The parts of an image get their names with it, or none does, and what is there is not overwritten
// unasked.
func TestCreateParts(t *testing.T) {
	dir := t.TempDir()
	if err := makeParted(t, dir, "fails", false); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	mustBeThere(t, dir)
	if err := makeParted(t, dir, "image", false); err == nil ||
		!strings.Contains(err.Error(), "two files of an image") {
		t.Error(err)
	}
	mustBeThere(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "data"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeParted(t, dir, "data", false); !errors.Is(err, syscall.EEXIST) {
		t.Error(err)
	}
	mustBeThere(t, dir, "data")
	if err := makeParted(t, dir, "data", true); err != nil {
		t.Error(err)
	}
	mustBeThere(t, dir, "data", "image")
}

// A part is opened as the image is, once the gate agrees.
func TestOpenParts(t *testing.T) {
	dir := t.TempDir()
	if err := makeParted(t, dir, "data", true); err != nil {
		t.Fatal(err)
	}
	var asked []blockdev.Link
	cfg := blockdev.OpenConfig{
		Drivers: append(drivers.All(), parted), Format: "parted",
		Gate: func(l blockdev.Link) error { asked = append(asked, l); return nil },
	}
	image, data := filepath.Join(dir, "image"), filepath.Join(dir, "data")
	d, err := blockdev.Open(t.Context(), image, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt([]byte("guest"), 4096); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if len(asked) != 1 || asked[0].From != image || asked[0].Name != data || !asked[0].Part {
		t.Errorf("asked %+v", asked)
	}
	if got, err := os.ReadFile(data); err != nil || string(got[4096:4101]) != "guest" {
		t.Error(err)
	}
	no := errors.New("no")
	cfg.Gate = func(blockdev.Link) error { return no }
	if _, err := blockdev.Open(t.Context(), image, cfg); !errors.Is(err, no) {
		t.Error(err)
	}
}

// The name of a part is the name of a file and nothing else.
func TestPartsHavePlainNames(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	for _, name := range []string{`json:{"driver":"null-co"}`, "null-co://"} {
		head := make([]byte, 2*driver.SectorSize)
		copy(head[driver.SectorSize:], name)
		if err := os.WriteFile(image, head, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := blockdev.Open(t.Context(), image,
			blockdev.OpenConfig{Drivers: append(drivers.All(), parted), Format: "parted"})
		if !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Secrets are found by their id, and are not shown.
func TestSecret(t *testing.T) {
	dir := t.TempDir()
	if err := makeParted(t, dir, "data", false); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		object any
		want   string
	}{
		{driver.Secret("x"), ""}, {nil, "No secret with id 's'"}, {1, "Object with id 's' is not a secret"},
	} {
		var o blockdev.Options
		o.Set("key", "s")
		d, err := blockdev.Open(t.Context(), filepath.Join(dir, "image"), blockdev.OpenConfig{
			Drivers: append(drivers.All(), parted), Format: "parted", Options: &o,
			Object: func(string) any { return tt.object },
		})
		if err == nil {
			err = d.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}
