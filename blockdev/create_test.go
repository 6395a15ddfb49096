package blockdev_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/drivers"
)

const before = "what was there before"

func createOptions(pairs ...string) *blockdev.Options {
	o := &blockdev.Options{}
	for i := 0; i < len(pairs); i += 2 {
		o.Set(pairs[i], pairs[i+1])
	}
	return o
}

// forms are the ways to name a file of which each must be treated alike.
func forms(path string) []string {
	return []string{path, "file:" + path, "json:{'driver':'file','filename':'" + path + "'}"}
}

// What cannot be made changes nothing and leaves nothing, however the file is named.
func TestCreateRefusedLeavesNothing(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for what, c := range map[string]struct {
		ctx  context.Context
		cfg  blockdev.CreateConfig
		name string
	}{
		"format":            {cfg: blockdev.CreateConfig{Format: "vmdk", Size: 1 << 20}},
		"unknown option":    {cfg: blockdev.CreateConfig{Format: "qcow2", Size: 1 << 20, Options: createOptions("nothing", "1")}},
		"option of qcow2":   {cfg: blockdev.CreateConfig{Format: "qcow2", Size: 1 << 20, Options: createOptions("cluster_size", "3")}},
		"two options":       {cfg: blockdev.CreateConfig{Format: "qcow2", Size: 1 << 20, Options: createOptions("compat", "0.10", "extended_l2", "on")}},
		"preallocation":     {cfg: blockdev.CreateConfig{Format: "raw", Size: 1 << 20, Options: createOptions("preallocation", "metadata")}},
		"no size":           {cfg: blockdev.CreateConfig{Format: "raw", Size: -1}},
		"size of raw":       {cfg: blockdev.CreateConfig{Format: "raw", Size: math.MaxInt64}},
		"size of qcow2":     {cfg: blockdev.CreateConfig{Format: "qcow2", Size: math.MaxInt64 - 511}},
		"size of tables":    {cfg: blockdev.CreateConfig{Format: "qcow2", Size: 1 << 40, Options: createOptions("cluster_size", "512")}},
		"size of vdi":       {cfg: blockdev.CreateConfig{Format: "vdi", Size: 1 << 60}},
		"backing of vdi":    {cfg: blockdev.CreateConfig{Format: "vdi", Size: 1 << 20, Backing: "base", BackingFormat: "raw"}},
		"backing of raw":    {cfg: blockdev.CreateConfig{Format: "raw", Size: 1 << 20, Backing: "base", BackingFormat: "raw"}},
		"no backing file":   {cfg: blockdev.CreateConfig{Format: "qcow2", Size: 1 << 20, Backing: "none", BackingFormat: "raw"}},
		"backing not qcow2": {cfg: blockdev.CreateConfig{Format: "qcow2", Size: 1 << 20, Backing: "base", BackingFormat: "qcow2"}},
		"no backing format": {cfg: blockdev.CreateConfig{Format: "qcow2", Size: 1 << 20, Backing: "base"}},
		"stopped":           {ctx: stopped, cfg: blockdev.CreateConfig{Format: "raw", Size: 1 << 30, Options: createOptions("preallocation", "full")}},
		"stopped qcow2":     {ctx: stopped, cfg: blockdev.CreateConfig{Format: "qcow2", Size: 1 << 30, Options: createOptions("preallocation", "full")}},
	} {
		for _, there := range []bool{false, true} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "base"), make([]byte, 1<<20),
				0o600); err != nil {
				t.Fatal(err)
			}
			image := filepath.Join(dir, "image")
			for _, name := range forms(image) {
				if there {
					if err := os.WriteFile(image, []byte(before), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				cfg := c.cfg
				cfg.Drivers, cfg.Force = drivers.All(), true
				ctx := c.ctx
				if ctx == nil {
					ctx = t.Context()
				}
				// relative to what has no folder
				if cfg.Backing != "" && strings.HasPrefix(name, "json:") {
					cfg.Backing = filepath.Join(dir, cfg.Backing)
				}
				if err := blockdev.Create(ctx, name, cfg); err == nil {
					t.Errorf("%s, %s: no error", what, name)
				}
				got, err := os.ReadFile(image)
				if there && (err != nil || string(got) != before) || !there &&
					!errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s, %s: there %v, now it holds %d bytes, %v", what, name, there,
						len(got), err)
				}
				want := 1
				if there {
					want++
				}
				if entries, err := os.ReadDir(dir); err != nil || len(entries) != want {
					t.Errorf("%s, %s: the folder has %v, %v", what, name, entries, err)
				}
			}
		}
	}
}

// A file that is there and not empty is overwritten only by Force, however it is named.
func TestCreateNeedsForce(t *testing.T) {
	for _, format := range []string{"raw", "qcow2", "vdi"} {
		dir := t.TempDir()
		image, link, hard := filepath.Join(dir, "image"), filepath.Join(dir, "link"),
			filepath.Join(dir, "hard")
		if err := os.Symlink(image, link); err != nil {
			t.Fatal(err)
		}
		for _, name := range append(forms(image), forms(link)...) {
			_ = os.Remove(hard)
			for _, names := range []int{1, 2} {
				if err := os.WriteFile(image, []byte(before), 0o640); err != nil {
					t.Fatal(err)
				}
				if names == 2 {
					if err := os.Link(image, hard); err != nil {
						t.Fatal(err)
					}
				}
				cfg := blockdev.CreateConfig{Drivers: drivers.All(), Format: format, Size: 1 << 20}
				if err := blockdev.Create(t.Context(), name, cfg); !errors.Is(err, os.ErrExist) {
					t.Errorf("%s: %v", name, err)
				}
				if got, err := os.ReadFile(image); err != nil || string(got) != before {
					t.Errorf("%s: now it holds %q, %v", name, got, err)
				}
				cfg.Force = true
				if err := blockdev.Create(t.Context(), name, cfg); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				d, err := blockdev.Open(t.Context(), image,
					blockdev.OpenConfig{Drivers: drivers.All(), Format: format})
				if err != nil || d.Size() != 1<<20 {
					t.Fatalf("%s: %v", name, err)
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
				if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
					t.Errorf("%s: the link is %v, %v", name, info.Mode(), err)
				}
			}
		}
	}
}

// While an image is made there is nothing to be seen of it, so that a program that is killed leaves
// nothing.
func TestCreateIsNotSeenBefore(t *testing.T) {
	for _, there := range []bool{false, true} {
		dir := t.TempDir()
		image := filepath.Join(dir, "image")
		if there {
			if err := os.WriteFile(image, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		looked := false
		format := blockdev.Driver{
			Name: "looking", Kind: driver.Format,
			Resolves: driver.OverProtocol,
			Create: func(ctx context.Context, c *driver.Creating) error {
				looked = true
				if err := c.File.WriteVec(ctx, blockdev.Vec{make([]byte, 4096)}, 0, 0); err != nil {
					return err
				}
				got, err := os.ReadFile(image)
				if there && (err != nil || string(got) != before) || !there &&
					!errors.Is(err, os.ErrNotExist) {
					t.Errorf("there %v, amid it: %d bytes, %v", there, len(got), err)
				}
				if entries, err := os.ReadDir(dir); err != nil ||
					len(entries) != len(got)/len(before) {
					t.Errorf("there %v, amid it: %v, %v", there, entries, err)
				}
				return nil
			},
		}
		err := blockdev.Create(t.Context(), image,
			blockdev.CreateConfig{
				Drivers: append(drivers.All(), format), Format: format.Name,
				Force: true,
			})
		if err != nil || !looked {
			t.Fatalf("%v, looked %v", err, looked)
		}
		if got, err := os.ReadFile(image); err != nil || len(got) != 4096 {
			t.Errorf("afterwards: %d bytes, %v", len(got), err)
		}
	}
}

// An image is never made over a layer of its own backing chain, by whatever name.
func TestCreateOnItself(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	make := func(name, backing, format string) error {
		return blockdev.Create(t.Context(), name, blockdev.CreateConfig{
			Drivers: drivers.All(), Format: "qcow2", Size: 1 << 20, Backing: backing,
			BackingFormat: format, Force: true,
		})
	}
	for _, err := range []error{
		os.WriteFile(at("base"), []byte(strings.Repeat("b", 1<<20)), 0o600),
		make(at("mid"), at("base"), "raw"), make(at("top"), at("mid"), "qcow2"),
		os.Symlink("base", at("link")), os.Link(at("mid"), at("hard")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ image, backing, format string }{
		{"base", "base", "raw"},
		{"mid", "mid", "qcow2"},
		{"link", "base", "raw"},
		{"base", "mid", "qcow2"},
		{"base", "top", "qcow2"},
		{"hard", "mid", "qcow2"},
		{"mid", "hard", "qcow2"},
		{"mid", "top", "qcow2"},
		{"link", "top", "qcow2"},
	} {
		for _, name := range forms(at(c.image)) {
			old, err := os.ReadFile(at(c.image))
			if err != nil {
				t.Fatal(err)
			}
			if err := make(name, at(c.backing), c.format); err == nil {
				t.Errorf("%s on %s: no error", name, c.backing)
			}
			if now, err := os.ReadFile(at(c.image)); err != nil || string(now) != string(old) {
				t.Fatalf("%s on %s: it was changed", name, c.backing)
			}
		}
	}
}

// A further file that is refused changes nothing of the image in whose place the new one was to
// come, though that has several names or is a device, and so is written in place.
func TestCreatePartRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("image"), []byte(before), 0o600), os.Link(at("image"), at("hard")),
		os.Symlink("image", at("link")), os.WriteFile(at("held"), []byte(before), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := errors.New("refused")
	for _, name := range forms(at("image")) {
		for _, data := range []string{"image", "hard", "link", "held", "none/data"} {
			err := blockdev.Create(t.Context(), name, blockdev.CreateConfig{
				Drivers: drivers.All(), Format: "qcow2", Size: 1 << 20, Force: true,
				Options: createOptions("data_file", at(data)),
				Admit: func(f blockdev.HostFile, _ bool) (func(), error) {
					if strings.HasSuffix(f.Name, "held") {
						return nil, refused
					}
					return nil, nil
				},
			})
			var part *blockdev.PartError
			if !errors.As(err, &part) || part.Name != at(data) ||
				data == "held" && !errors.Is(err, refused) {
				t.Errorf("%s with %s: %v", name, data, err)
			}
			for _, file := range []string{"image", "held"} {
				if got, err := os.ReadFile(at(file)); err != nil || string(got) != before {
					t.Fatalf("%s with %s: %s holds %d bytes, %v", name, data, file, len(got), err)
				}
			}
		}
	}
	mustBeThere(t, dir, "hard", "held", "image", "link")
}

// Whatever size is taken, the image opens; otherwise there is none.
func TestCreateSizes(t *testing.T) {
	var sizes []int64
	for _, bit := range []int{1, 9, 30, 43, 53, 60, 62} {
		sizes = append(sizes, 1<<bit-1, 1<<bit, 1<<bit+1)
	}
	for back := range int64(2) {
		sizes = append(sizes, math.MaxInt64-back, math.MaxInt64-511-back, math.MaxInt64-1<<30-back,
			math.MaxInt64-1<<31-back)
	}
	for format, options := range map[string][]*blockdev.Options{
		"raw":   {nil},
		"vdi":   {nil},
		"qcow2": {createOptions("cluster_size", "4k"), nil, createOptions("cluster_size", "2M", "extended_l2", "on")},
	} {
		for i, o := range options {
			made := 0
			for _, size := range sizes {
				name := filepath.Join(t.TempDir(), "image")
				err := blockdev.Create(t.Context(), name,
					blockdev.CreateConfig{
						Drivers: drivers.All(), Format: format, Options: o,
						Size: size,
					})
				what := fmt.Sprintf("%s %d of %d bytes", format, i, size)
				if err != nil {
					if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
						t.Errorf("%s: a file is left, %v", what, err)
					}
					continue
				}
				made++
				d, err := blockdev.Open(t.Context(), name,
					blockdev.OpenConfig{Drivers: drivers.All(), Format: format})
				if err != nil {
					t.Errorf("%s: made, but %v", what, err)
					continue
				}
				if d.Size() < size || d.Size() > size+511 {
					t.Errorf("%s: %d bytes long", what, d.Size())
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
			if made < 2*3 {
				t.Errorf("%s %d: only %d of %d sizes could be made", format, i, made, len(sizes))
			}
		}
	}
}

// An image stands on an encrypted one whose key nobody gives: its length is all that is asked.
func TestCreateOnEncrypted(t *testing.T) {
	t.Chdir(t.TempDir())
	create := func(name string, cfg blockdev.CreateConfig) {
		t.Helper()
		cfg.Drivers = drivers.All()
		if err := blockdev.Create(t.Context(), name, cfg); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	secret := func(string) any { return driver.Secret("sesame") }
	for _, c := range []struct {
		name, format string
		options      []string
	}{
		{"luks1", "luks", []string{"key-secret", "s", "iter-time", "1"}},
		{"luks2", "luks", []string{
			"key-secret", "s", "iter-time", "1", "version", "2", "pbkdf", "pbkdf2",
		}},
		{"inside", "qcow2", []string{
			"encrypt.format", "luks", "encrypt.key-secret", "s", "encrypt.iter-time", "1",
		}},
		{"aes", "qcow2", []string{"encrypt.format", "aes", "encrypt.key-secret", "s"}},
	} {
		create(c.name, blockdev.CreateConfig{
			Format: c.format, Size: 3 << 20, Options: createOptions(c.options...), Object: secret,
		})
		locked(t, c.name, c.format)
		create(c.name+".over", blockdev.CreateConfig{
			Format: "qcow2", Size: -1, Backing: c.name, BackingFormat: c.format,
		})
		create(c.name+".top", blockdev.CreateConfig{
			Format: "qcow2", Size: -1, Backing: c.name + ".over", BackingFormat: "qcow2",
		})
		d, err := blockdev.Open(t.Context(), c.name+".top", blockdev.OpenConfig{
			Drivers: drivers.All(), Mode: blockdev.Mode{ReadOnly: true, NoIO: true},
		})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if d.Size() != 3<<20 {
			t.Errorf("on %s: %d bytes", c.name, d.Size())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// locked opens an encrypted image without its key, which gives no data and is no key either.
func locked(t *testing.T, name, format string) {
	t.Helper()
	d, err := blockdev.Open(t.Context(), name, blockdev.OpenConfig{
		Drivers: drivers.All(), Format: format, Mode: blockdev.Mode{NoIO: true},
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	v := blockdev.Vec{make([]byte, 512)}
	if err := d.Write(t.Context(), v, 0, 0); !errors.Is(err, syscall.EACCES) {
		t.Errorf("write of %s: %v", name, err)
	}
	err = d.Read(t.Context(), v, 0, 0)
	if hole := format == "qcow2"; errors.Is(err, syscall.EACCES) == hole {
		t.Errorf("read of %s: %v", name, err)
	}
	if len(d.Describe()) == 0 {
		t.Errorf("nothing is known of %s", name)
	}
	if name != "aes" {
		if list, err := d.KeySlots(t.Context()); err != nil || !list[0].Active {
			t.Errorf("slots of %s: %v, %v", name, list, err)
		}
		_, err = d.AddKey(t.Context(), driver.NewKey{Slot: -1, Passphrase: driver.Secret("x")})
		if !errors.Is(err, syscall.EACCES) {
			t.Errorf("a new key for %s: %v", name, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestCreateOverBackingFile(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	if err := os.WriteFile(base, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"raw", "luks", "vdi"} {
		err := blockdev.Create(t.Context(), base+".over", blockdev.CreateConfig{
			Drivers: drivers.All(), Format: format, Size: 1 << 20, Backing: base,
			BackingFormat: "raw",
		})
		want := "Backing file not supported for file format '" + format + "'"
		if !errors.As(err, new(*blockdev.CreateOptionError)) || err.Error() != want {
			t.Errorf("%s: %v", format, err)
		}
	}
}
