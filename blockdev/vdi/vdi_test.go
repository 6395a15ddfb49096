package vdi_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/raw"
	"github.com/blksh/blksh/blockdev/vdi"
)

var drivers = []driver.Driver{file.Driver, raw.Driver, vdi.Driver}

// newImage makes an image of size bytes.
func newImage(t testing.TB, size int64, options ...any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.vdi")
	o := &driver.Options{}
	for i := 0; i < len(options); i += 2 {
		o.Set(options[i].(string), options[i+1])
	}
	err := blockdev.Create(context.Background(), path, blockdev.CreateConfig{
		Drivers: drivers, Format: "vdi", Options: o, Size: size,
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func openImage(t testing.TB, path string) *blockdev.Device {
	t.Helper()
	d, err := blockdev.Open(context.Background(), path, blockdev.OpenConfig{Drivers: drivers})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSuite(t *testing.T) {
	for name, static := range map[string]bool{"dynamic": false, "static": true} {
		t.Run(name, func(t *testing.T) {
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver: vdi.Driver, More: []driver.Driver{file.Driver}, Persistent: true,
				Exact: true,
				Size:  5 << 20,
				Row: blockdevtest.Row{
					Zero: blockdevtest.Refused, Discard: blockdevtest.Refused,
					Truncate: blockdevtest.Refused,
				},
				Mode: driver.Mode{Unmap: true, NoFlush: true},
				Options: func(t testing.TB, size int64) *driver.Options {
					o := &driver.Options{}
					o.Set("file.driver", "file")
					o.Set("file.filename", newImage(t, size, "static", static))
					return o
				},
			})
		})
	}
}

// qemuImg runs qemu-img and returns what it printed and whether it was content.
func qemuImg(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	out, err := exec.Command(blockdevtest.Peer(t, "qemu-img", "qemu-utils"),
		args...).CombinedOutput()
	return string(out), err == nil
}

// TestPeer writes one image in many places, and lets QEMU judge and read it.
func TestPeer(t *testing.T) {
	ctx := context.Background()
	path := newImage(t, 40<<20+512)
	plain := filepath.Join(t.TempDir(), "plain.raw")
	want := make([]byte, 40<<20+512)
	d := openImage(t, path)
	for i, at := range []int64{
		39 << 20, 5<<20 + 100, 5<<20 + 90000, 7<<20 - 3, 40 << 20, 0,
		12<<20 + 1,
	} {
		p := []byte(strings.Repeat(string(rune('a'+i)), 512))
		copy(want[at:], p)
		if err := d.Write(ctx, driver.Vec{p[:min(512, len(want)-int(at))]}, at, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain, want, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, ok := qemuImg(t, "check", path); !ok {
		t.Errorf("check: %s", out)
	}
	if out, ok := qemuImg(t, "compare", "-f", "vdi", "-F", "raw", path, plain); !ok {
		t.Errorf("compare: %s", out)
	}
}

// TestDamage sets words of a sound image, and asks QEMU what it says of each: to open it, and to
// check it.
func TestDamage(t *testing.T) {
	ctx := context.Background()
	sound := newImage(t, 5<<20)
	d := openImage(t, sound)
	for _, at := range []int64{1 << 20, 3 << 20} {
		if err := d.Write(ctx, driver.Vec{[]byte("data")}, at, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(sound)
	if err != nil {
		t.Fatal(err)
	}
	for name, words := range map[string]map[int]uint32{
		"sound":               {},
		"signature":           {0x40: 1},
		"version":             {0x44: 0x00010002},
		"map offset":          {0x154: 513},
		"data offset":         {0x158: 1025},
		"sector size":         {0x168: 4096},
		"block size":          {0x178: 2 << 20},
		"size above blocks":   {0x170: 6 << 20},
		"odd size":            {0x170: 5<<20 - 100},
		"huge size":           {0x174: 0x00200000},
		"link":                {0x1a8: 1},
		"parent":              {0x1b8: 1},
		"too many blocks":     {0x180: 0x20000000},
		"entry too large":     {512: 99},
		"entry twice":         {512: 1},
		"entry zero":          {512: 0xfffffffe},
		"fewer counted":       {0x184: 1},
		"all at once":         {512: 1, 520: 77, 0x184: 9},
		"entry for a hole":    {512: 4},
		"entry behind blocks": {512: 5},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "damaged.vdi")
			b := append([]byte(nil), image...)
			for at, w := range words {
				binary.LittleEndian.PutUint32(b[at:], w)
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			out, _ := qemuImg(t, "check", "-f", "vdi", path)
			d, err := blockdev.Open(ctx, path, blockdev.OpenConfig{
				Drivers: drivers, Format: "vdi", Mode: driver.Mode{ReadOnly: true},
			})
			if err != nil {
				if !strings.Contains(out, err.Error()) {
					t.Errorf("we say %q, qemu-img %q", err, out)
				}
				return
			}
			defer d.Close()
			c, _ := driver.Find[driver.Checker](d.Top())
			res, err := c.Check(ctx, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range res.Messages {
				if strings.Contains(line, "the file ends") { // which qemu-img does not look at
					res.Corruptions--
					continue
				}
				if !strings.Contains(out, line+"\n") {
					t.Errorf("we say %q, qemu-img %q", line, out)
				}
			}
			if n := strings.Count(out, "ERROR"); int64(n) != res.Corruptions {
				t.Errorf("we count %d, qemu-img %d: %s", res.Corruptions, n, out)
			}
		})
	}
}

// TestRepair has the count of blocks mended, for which the blocks have to be the first ones of the
// file. The guest reads what it did, and qemu-img finds nothing wrong. Other damage is left alone.
func TestRepair(t *testing.T) {
	ctx := context.Background()
	sound := newImage(t, 5<<20)
	d := openImage(t, sound)
	for i := range byte(5) {
		block := bytes.Repeat([]byte{i + 1}, 1<<20)
		if err := d.Write(ctx, driver.Vec{block}, int64(4-i)<<20, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(sound)
	if err != nil {
		t.Fatal(err)
	}
	const none = 0xffffffff
	for _, c := range []struct {
		name   string
		words  map[int]uint32
		reads  [5]byte // of each block
		mended bool
	}{
		{"counted once more", map[int]uint32{0x184: 6}, [5]byte{5, 4, 3, 2, 1}, true},
		{"holes", map[int]uint32{512 + 16: none, 512 + 8: none}, [5]byte{5, 4, 0, 2, 0}, true},
		{"none left", map[int]uint32{
			512: none, 516: none, 520: none, 524: none, 528: none,
		}, [5]byte{}, true},
		{"two have one", map[int]uint32{512: 2, 0x184: 7}, [5]byte{3, 4, 3, 2, 1}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "damaged.vdi")
			b := append([]byte(nil), image...)
			for at, w := range c.words {
				binary.LittleEndian.PutUint32(b[at:], w)
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			d := openImage(t, path)
			check, _ := driver.Find[driver.Checker](d.Top())
			res, err := check.Check(ctx, driver.FixLeaks)
			if err != nil || (res.CorruptionsFixed == 1) != c.mended {
				t.Errorf("%+v, %v", res, err)
			}
			p := make([]byte, 5<<20)
			if err := d.Read(ctx, driver.Vec{p}, 0, 0); err != nil {
				t.Fatal(err)
			}
			for i, want := range c.reads {
				if n := bytes.Count(p[i<<20:][:1<<20], []byte{want}); n != 1<<20 {
					t.Errorf("%d bytes of block %d are %d", n, i, want)
				}
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !c.mended {
				if !bytes.Equal(after, b) {
					t.Error("what cannot be mended was changed")
				}
				return
			}
			count := binary.LittleEndian.Uint32(after[0x184:])
			for at := 512; at < 512+20; at += 4 {
				if e := binary.LittleEndian.Uint32(after[at:]); e != none && e >= count {
					t.Errorf("block %d of %d", e, count)
				}
			}
			if out, ok := qemuImg(t, "check", "-f", "vdi", path); !ok {
				t.Error(out)
			}
		})
	}
}

// TestSharedCount opens an image whose header counts too few blocks: a new block must not land on
// one in use.
func TestSharedCount(t *testing.T) {
	ctx := context.Background()
	path := newImage(t, 4<<20)
	d := openImage(t, path)
	if err := d.Write(ctx, driver.Vec{[]byte("first")}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 4), 0x184); err != nil {
		t.Fatal(err)
	}
	f.Close()
	d = openImage(t, path)
	if err := d.Write(ctx, driver.Vec{[]byte("other")}, 2<<20, 0); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if err := d.Read(ctx, driver.Vec{got}, 0, 0); err != nil || string(got) != "first" {
		t.Errorf("read %q, %v", got, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzHeader(f *testing.F) {
	image, err := os.ReadFile(newImage(f, 3<<20))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(image)
	f.Fuzz(func(t *testing.T, image []byte) {
		path := filepath.Join(t.TempDir(), "fuzz.vdi")
		if err := os.WriteFile(path, image, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		d, err := blockdev.Open(ctx, path,
			blockdev.OpenConfig{Drivers: drivers, Format: "vdi", Mode: driver.Mode{NoFlush: true}})
		if err != nil {
			return
		}
		defer d.Close()
		p := make([]byte, 3)
		for _, at := range []int64{0, 1 << 20, d.Size() - 3} {
			if at >= 0 && at <= d.Size()-3 {
				_ = d.Read(ctx, driver.Vec{p}, at, 0)
				_, _ = d.Status(ctx, at, 1<<30)
			}
		}
	})
}
