package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// passphrases are the secrets that options refer to.
func passphrases(id string) any {
	switch id {
	case "s":
		return driver.Secret("open sesame")
	case "other":
		return driver.Secret("another one")
	}
	return nil
}

const (
	sesame  = "secret,id=s,data=open sesame"
	another = "secret,id=other,data=another one"
)

// newEncrypted makes an encrypted image that is opened quickly.
func newEncrypted(t testing.TB, format string, size int64, more ...any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.qcow2")
	o := options(append([]any{
		"encrypt.format", format, "encrypt.key-secret", "s", "encrypt.iter-time", "1",
	}, more...)...)
	err := blockdev.Create(context.Background(), path, blockdev.CreateConfig{
		Drivers: testDrivers, Format: "qcow2", Options: o, Size: size, Object: passphrases,
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func tryEncrypted(o *driver.Options, like bool) (*blockdev.Device, error) {
	return blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: testDrivers, Format: "qcow2", Options: o,
		Mode:   driver.Mode{Unmap: true, NoFlush: true},
		Object: passphrases, LikeQEMU: like,
	})
}

func openEncrypted(t testing.TB, o *driver.Options) *blockdev.Device {
	t.Helper()
	d, err := tryEncrypted(o, false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// keyed are the options of an image with a key.
func keyed(path string, more ...any) *driver.Options {
	return options(append([]any{
		"file.driver", "file", "file.filename", path, "encrypt.key-secret", "s",
	}, more...)...)
}

func TestEncryptedSuite(t *testing.T) {
	for _, format := range []string{"luks", "aes"} {
		t.Run(format, func(t *testing.T) {
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver: qcow2.Driver, More: []driver.Driver{file.Driver}, Object: passphrases,
				Persistent: true, Child: "file", Mode: driver.Mode{Unmap: true, NoFlush: true},
				Options: func(t testing.TB, size int64) *driver.Options {
					return keyed(newEncrypted(t, format, size))
				},
			})
		})
	}
}

// TestEncryptedPeer writes pieces of clusters over an encrypted backing file with another key, and
// has QEMU compare.
func TestEncryptedPeer(t *testing.T) {
	ctx := context.Background()
	for _, format := range []string{"luks", "aes"} {
		t.Run(format, func(t *testing.T) {
			const size = 1 << 20
			want := make([]byte, size)
			base := newEncrypted(t, format, size, "encrypt.key-secret", "other")
			d := openEncrypted(t, keyed(base, "encrypt.key-secret", "other"))
			put := func(off int, b byte, n int) {
				p := bytes.Repeat([]byte{b}, n)
				copy(want[off:], p)
				must(t, d.Write(ctx, driver.Vec{p[:n/3], p[n/3:]}, int64(off), 0))
			}
			put(100, 1, 200_000)
			must(t, d.Close())
			path := newEncrypted(t, format, size)
			qemuImg(t, "rebase", "-u", "-F", "qcow2", "-b", base, "--object", sesame,
				"--image-opts",
				"driver=qcow2,encrypt.key-secret=s,file.filename="+path)
			d = openEncrypted(t, keyed(path, "backing.encrypt.key-secret", "other"))
			put(5000, 2, 3)
			put(130_000, 3, 140_001)
			must(t, d.Zero(ctx, 70_000, 20_000, 0))
			clear(want[70_000:90_000])
			must(t, d.Close())
			plain := filepath.Join(t.TempDir(), "plain")
			must(t, os.WriteFile(plain, want, 0o600))
			qemuImg(t, "compare", "--object", sesame, "--object", another, "--image-opts",
				"driver=qcow2,encrypt.key-secret=s,backing.encrypt.key-secret=other,file.filename="+
					path,
				"driver=raw,file.filename="+plain)
			qemuImg(t, "check", "--object", sesame, "--object", another, "--image-opts",
				"driver=qcow2,encrypt.key-secret=s,backing.encrypt.key-secret=other,file.filename="+
					path)
			image, err := os.ReadFile(path)
			must(t, err)
			if bytes.Contains(image, bytes.Repeat([]byte{3}, 64)) {
				t.Error("data is in the clear")
			}
		})
	}
}

// TestEncryptedPacked reads compressed clusters, which QEMU stores in the clear, and writes none.
func TestEncryptedPacked(t *testing.T) {
	ctx := context.Background()
	path := newEncrypted(t, "luks", 1<<20)
	qemuIO(t, "--object", sesame, "--image-opts",
		"driver=qcow2,encrypt.key-secret=s,file.filename="+path,
		"-c", "write -c -P 0x77 64k 64k")
	d := openEncrypted(t, keyed(path))
	got := make([]byte, 64<<10)
	must(t, d.Read(ctx, driver.Vec{got}, 64<<10, 0))
	if !bytes.Equal(got, bytes.Repeat([]byte{0x77}, len(got))) {
		t.Error("read something else than was written")
	}
	err := d.Write(ctx, driver.Vec{got}, 0, driver.Compressed)
	if err == nil || !strings.Contains(err.Error(), "would be in the clear") {
		t.Errorf("compressed: %v", err)
	}
	must(t, d.Close())
}

// TestEncryptedRefused: the words are QEMU's.
func TestEncryptedRefused(t *testing.T) {
	path := newEncrypted(t, "luks", 1<<20)
	sound, err := os.ReadFile(path)
	must(t, err)
	ext := bytes.Index(sound[:1024], []byte{0x05, 0x37, 0xbe, 0x77})
	for _, c := range []struct {
		change map[int][]byte
		more   []any
		want   string
	}{
		{nil, []any{"encrypt.key-secret", "other"}, "Invalid password, cannot unlock any keyslot"},
		{nil, []any{"encrypt.key-secret", ""}, "Parameter 'encrypt.key-secret' is required for cipher"},
		{nil, []any{"encrypt.format", "aes"}, "Header reported 'luks' encryption format but options specify 'aes'"},
		{map[int][]byte{35: {0}}, []any{"encrypt.format", "luks"}, "No encryption in image header, but options specified format 'luks'"},
		{map[int][]byte{35: {1}}, nil, "CRYPTO header extension only expected with LUKS encryption method"},
		{map[int][]byte{35: {3}}, nil, "Unsupported encryption method 3"},
		{map[int][]byte{ext: {0, 0, 0, 0}}, nil, "Missing CRYPTO header for crypt method 2"},
		{map[int][]byte{ext + 7: {8}}, nil, "CRYPTO header extension size 8, but expected size 16"},
		{map[int][]byte{ext + 15: {1}}, nil, "Encryption header offset '262145' is not a multiple of cluster size '65536'"},
		{map[int][]byte{ext + 16: binary.BigEndian.AppendUint64(nil, 100)}, nil, "Request for data outside of extension header"},
	} {
		b := bytes.Clone(sound)
		for at, p := range c.change {
			copy(b[at:], p)
		}
		path := filepath.Join(t.TempDir(), "damaged")
		must(t, os.WriteFile(path, b, 0o600))
		d, err := tryEncrypted(keyed(path, c.more...), true)
		if err == nil {
			must(t, d.Close())
		}
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%v %v: %v, want %s", c.change, c.more, err, c.want)
		}
	}
}

// TestEncryptedLife keeps the key through snapshots, other headers, resizing and new key slots.
func TestEncryptedLife(t *testing.T) {
	ctx := context.Background()
	path := newEncrypted(t, "luks", 1<<20)
	d := openEncrypted(t, keyed(path))
	old := bytes.Repeat([]byte("old"), 20_000)
	must(t, d.Write(ctx, driver.Vec{bytes.Clone(old)}, 1000, 0))
	if _, err := d.CreateSnapshot(ctx, "before", time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	must(t, d.Write(ctx, driver.Vec{bytes.Repeat([]byte("new"), 30_000)}, 500, 0))
	must(t, d.Truncate(ctx, 3<<20, driver.PreallocOff))
	slot, err := d.AddKey(ctx,
		driver.NewKey{Slot: -1, Passphrase: driver.Secret("another one"), Time: time.Millisecond})
	if err != nil || slot != 1 {
		t.Fatalf("slot %d, %v", slot, err)
	}
	must(t, d.RemoveKey(ctx, 0))
	must(t, d.Close())
	if _, err := tryEncrypted(keyed(path), false); err == nil {
		t.Error("an erased key opens the image")
	}
	d = openEncrypted(t, keyed(path, "encrypt.key-secret", "other"))
	if _, err := d.ApplySnapshot(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(old))
	must(t, d.Read(ctx, driver.Vec{got}, 1000, 0))
	if !bytes.Equal(got, old) {
		t.Error("the snapshot has something else than was written")
	}
	must(t, d.Close())
	qemuImg(t, "check", "--object", another, "--image-opts",
		"driver=qcow2,encrypt.key-secret=other,file.filename="+path)
}

// TestEncryptedState keeps machine state, in whole sectors, through a snapshot.
func TestEncryptedState(t *testing.T) {
	ctx := context.Background()
	for _, format := range []string{"luks", "aes"} {
		d := openEncrypted(t, keyed(newEncrypted(t, format, 1<<20)))
		state := bytes.Repeat([]byte{7}, 1024)
		must(t, d.WriteVMState(ctx, driver.Vec{state}, 512))
		if err := d.WriteVMState(ctx, driver.Vec{state[:100]},
			512); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: part of a sector: %v", format, err)
		}
		if _, err := d.CreateSnapshot(ctx, "s", time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		must(t, d.WriteVMState(ctx, driver.Vec{make([]byte, 1024)}, 512))
		if _, err := d.ApplySnapshot(ctx, "s"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 1024)
		must(t, d.ReadVMState(ctx, driver.Vec{got}, 512))
		if !bytes.Equal(got, state) {
			t.Errorf("%s: the machine state of the snapshot is another", format)
		}
		must(t, d.Close())
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// qemuIO runs qemu-io. Without one the test is skipped.
func qemuIO(t testing.TB, args ...string) {
	t.Helper()
	blockdevtest.Peer(t, "qemu-io", "qemu-utils")
	if out, err := exec.Command("qemu-io", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-io %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
