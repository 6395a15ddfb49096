package luks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/luks"
	"github.com/blksh/blksh/blockdev/raw"
)

var drivers = []driver.Driver{file.Driver, raw.Driver, luks.Driver}

// secrets are what options refer to.
var secrets = map[string]any{
	"s": driver.Secret("open sesame"), "other": driver.Secret("other"),
	"binary": driver.Secret("\xff\xfe"),
	"number": 7,
}

func object(id string) any { return secrets[id] }

// newImage makes an image of size bytes. Opening takes as little as can be.
func newImage(t testing.TB, size int64, options map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.luks")
	if err := makeImage(path, size, options); err != nil {
		t.Fatal(err)
	}
	return path
}

func makeImage(path string, size int64, options map[string]string) error {
	o := &driver.Options{}
	o.Set("key-secret", "s")
	o.Set("iter-time", "1")
	for k, v := range options {
		o.Set(k, v)
	}
	return blockdev.Create(context.Background(), path, blockdev.CreateConfig{
		Drivers: drivers, Format: "luks", Options: o, Size: size, Object: object,
	})
}

// optionsFor open an image.
func optionsFor(path, secret string) *driver.Options {
	o := &driver.Options{}
	o.Set("driver", "luks")
	o.Set("key-secret", secret)
	o.Set("file.driver", "file")
	o.Set("file.filename", path)
	return o
}

func openImage(t testing.TB, o *driver.Options) *blockdev.Device {
	t.Helper()
	d, err := blockdev.Open(context.Background(), "",
		blockdev.OpenConfig{Drivers: drivers, Options: o, Object: object})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var version2 = map[string]string{"version": "2", "pbkdf": "pbkdf2", "sector-size": "4096"}

func TestSuite(t *testing.T) {
	for name, options := range map[string]map[string]string{
		"xts":             {"cipher-alg": "aes-128"},
		"cbc":             {"cipher-alg": "aes-256", "cipher-mode": "cbc", "ivgen-alg": "essiv"},
		"sectors of 4096": version2,
	} {
		t.Run(name, func(t *testing.T) {
			size := int64(1 << 20)
			image := zeroImage(t, size, options)
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver: luks.Driver, More: []driver.Driver{file.Driver}, Persistent: true,
				Noise: true,
				Size:  size, Object: object, Mode: driver.Mode{Unmap: true, NoFlush: true},
				Child: "file",
				Row:   blockdevtest.Row{Zero: blockdevtest.Refused, Discard: blockdevtest.Refused},
				Options: func(t testing.TB, size int64) *driver.Options {
					path := filepath.Join(t.TempDir(), "image")
					must(t, os.WriteFile(path, image[:int64(len(image))-(1<<20)+size], 0o600))
					return optionsFor(path, "s")
				},
			})
		})
	}
}

// zeroImage is an image in which zeroes were written everywhere.
func zeroImage(t *testing.T, size int64, options map[string]string) []byte {
	t.Helper()
	path := newImage(t, size, options)
	d := openImage(t, optionsFor(path, "s"))
	must(t, d.Zero(context.Background(), 0, size, 0))
	must(t, d.Close())
	image, err := os.ReadFile(path)
	must(t, err)
	return image
}

// TestClear: what is written stands nowhere in the file.
func TestClear(t *testing.T) {
	path := newImage(t, 1<<20, nil)
	d := openImage(t, optionsFor(path, "s"))
	data := bytes.Repeat([]byte("in the clear"), 1000)
	must(t, d.Write(context.Background(), driver.Vec{bytes.Clone(data)}, 12345, 0))
	must(t, d.Close())
	image, err := os.ReadFile(path)
	must(t, err)
	if bytes.Contains(image, []byte("in the clear")) ||
		bytes.Contains(image, []byte("open sesame")) {
		t.Error("the data or the passphrase stands in the file")
	}
	d = openImage(t, optionsFor(path, "s"))
	got := make([]byte, len(data))
	must(t, d.Read(context.Background(), driver.Vec{got}, 12345, 0))
	must(t, d.Close())
	if !bytes.Equal(got, data) {
		t.Error("the data is not what was written")
	}
}

// peer runs a program with a passphrase in a file called key, and says what it printed.
func peer(t testing.TB, args ...string) (string, bool) {
	t.Helper()
	blockdevtest.Peer(t, args[0], "qemu-utils")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	return string(out), err == nil
}

const secretObject = "secret,id=s,data=open sesame"

// kinds are what QEMU can make, a value of each option at least once.
var kinds = []map[string]string{
	{},
	{"cipher-alg": "aes-192", "hash-alg": "sha512"},
	{"cipher-alg": "aes-128", "cipher-mode": "cbc", "ivgen-alg": "essiv", "hash-alg": "sha1"},
	{"cipher-alg": "aes-256", "cipher-mode": "ctr", "ivgen-alg": "plain", "hash-alg": "md5"},
	{"cipher-alg": "aes-256", "cipher-mode": "ecb", "hash-alg": "sha224"},
	{"cipher-alg": "serpent-256", "hash-alg": "sha384"},
	{"cipher-alg": "serpent-192", "cipher-mode": "xts", "hash-alg": "ripemd160"},
	{"cipher-alg": "serpent-128", "cipher-mode": "cbc", "ivgen-alg": "essiv", "ivgen-hash-alg": "md5"},
	{"cipher-alg": "twofish-256", "cipher-mode": "cbc", "ivgen-alg": "essiv"},
	{"cipher-alg": "twofish-192"},
	{"cipher-alg": "twofish-128", "cipher-mode": "ctr"},
	{"cipher-alg": "cast5-128", "cipher-mode": "cbc", "ivgen-alg": "essiv", "ivgen-hash-alg": "md5"},
	{"cipher-alg": "cast5-128", "cipher-mode": "ecb", "ivgen-alg": "plain"},
}

// TestQEMUReadsOurs has QEMU compare our images with what is in them.
func TestQEMUReadsOurs(t *testing.T) {
	for _, options := range kinds {
		t.Run(describe(options), func(t *testing.T) {
			path := newImage(t, 1<<20, options)
			plain := make([]byte, 1<<20)
			d := openImage(t, optionsFor(path, "s"))
			must(t, d.Zero(context.Background(), 0, int64(len(plain)), 0))
			for i, off := range []int64{0, 511, 70_000, 1<<20 - 300_000} {
				part := bytes.Repeat([]byte{byte(i + 1)}, 100_000+i)
				copy(plain[off:], part)
				must(t, d.Write(context.Background(), driver.Vec{part}, off, 0))
			}
			must(t, d.Close())
			other := filepath.Join(t.TempDir(), "plain")
			must(t, os.WriteFile(other, plain, 0o600))
			out, ok := peer(t, "qemu-img", "compare", "--object", secretObject, "--image-opts",
				"driver=luks,key-secret=s,file.filename="+path, "driver=raw,file.filename="+other)
			if !ok {
				t.Error(out)
			}
		})
	}
}

// TestOursReadsQEMU reads images that QEMU made.
func TestOursReadsQEMU(t *testing.T) {
	kinds := kinds
	if !blockdevtest.Thorough() {
		kinds = kinds[2:3] // QEMU measures for seconds, whatever it is asked for
	}
	for _, options := range kinds {
		t.Run(describe(options), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			list := "key-secret=s,iter-time=10"
			for _, k := range slices.Sorted(maps.Keys(options)) {
				list += "," + k + "=" + options[k]
			}
			out, ok := peer(t, "qemu-img", "create", "-f", "luks", "--object", secretObject, "-o",
				list, path, "1M")
			if strings.Contains(out, "accurate CPU usage") {
				t.Skip("QEMU cannot measure on this kernel")
			}
			if !ok {
				t.Fatal(out)
			}
			out, ok = peer(t, "qemu-io", "--object", secretObject, "--image-opts",
				"driver=luks,key-secret=s,file.filename="+path, "-c", "write -P 0x5a 1000 300000")
			if !ok {
				t.Fatal(out)
			}
			d := openImage(t, optionsFor(path, "s"))
			got := make([]byte, 300_000)
			must(t, d.Read(context.Background(), driver.Vec{got[:7], got[7:999], got[999:]}, 1000,
				0))
			must(t, d.Close())
			if !bytes.Equal(got, bytes.Repeat([]byte{0x5a}, len(got))) {
				t.Error("read something else than QEMU wrote")
			}
		})
	}
}

func describe(options map[string]string) string {
	words := []string{}
	for _, k := range slices.Sorted(maps.Keys(options)) {
		words = append(words, options[k])
	}
	return strings.Join(append(words, "luks"), " ")
}

// TestDamage changes bytes of a sound header, and asks QEMU what it says of each.
func TestDamage(t *testing.T) {
	path := newImage(t, 64<<10, nil)
	image, err := os.ReadFile(path)
	must(t, err)
	slot := func(i int) int { return 208 + 48*i }
	for name, change := range map[string]map[int]string{
		"sound":                {},
		"magic":                {0: "X"},
		"version 2":            {6: "\x00\x02"},
		"version 3":            {6: "\x00\x03"},
		"cipher":               {8: "idea"},
		"cipher of 32 letters": {8: strings.Repeat("a", 32)},
		"mode":                 {40: "lrw-plain64"},
		"mode without iv":      {40: "xts\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		"essiv without hash":   {40: "cbc-essiv\x00\x00\x00"},
		"odd iv":               {40: "xts-plain99"},
		"odd iv hash":          {40: "cbc-essiv:foo"},
		"long mode":            {40: strings.Repeat("m", 32)},
		"hash":                 {72: "sha257"},
		"long hash":            {72: strings.Repeat("h", 32)},
		"payload in header":    {104: "\x00\x00\x00\x01"},
		"payload at 0":         {104: "\x00\x00\x00\x00"},
		"payload over slots":   {104: "\x00\x00\x00\xff"},
		"payload behind file":  {104: "\x7f\xff\xff\xff"},
		"key length":           {108: "\x00\x00\x00\x41"},
		"huge key length":      {108: "\xff\xff\xff\xff"},
		"no iterations":        {164: "\x00\x00\x00\x00"},
		"wrong digest":         {112: "x"},
		"slot state":           {slot(2): "\x00\x00\x00\x01"},
		"slot iterations":      {slot(0) + 4: "\x00\x00\x00\x00"},
		"slot offset":          {slot(3) + 40: "\x00\x00\x00\x01"},
		"slot behind payload":  {slot(3) + 40: "\x00\x00\xff\x00"},
		"slots overlap":        {slot(4) + 40: string(image[slot(3)+40:][:4])},
		"stripes":              {slot(1) + 44: "\x00\x00\x0f\xa1"},
		"no slot":              {slot(0): "\x00\x00\xde\xad"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "damaged")
			b := bytes.Clone(image)
			for at, text := range change {
				copy(b[at:], text)
			}
			must(t, os.WriteFile(path, b, 0o600))
			out, _ := peer(t, "qemu-io", "-r", "--object", secretObject, "--image-opts",
				"driver=luks,key-secret=s,file.filename="+path, "-c", "quit")
			want := strings.TrimPrefix(strings.TrimSpace(out), "qemu-io: can't open: ")
			o := optionsFor(path, "s")
			d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
				Drivers: drivers, Options: o, Object: object, LikeQEMU: true,
				Mode: driver.Mode{ReadOnly: true},
			})
			got := ""
			if err == nil {
				must(t, d.Close())
			} else {
				got = err.Error()
			}
			if got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// TestSecrets asks for what is not there.
func TestSecrets(t *testing.T) {
	path := newImage(t, 64<<10, nil)
	for id, want := range map[string]string{
		"":       "Parameter 'key-secret' is required for cipher",
		"none":   "No secret with id 'none'",
		"other":  "Invalid password, cannot unlock any keyslot",
		"binary": "Data from secret binary is not valid UTF-8",
		"number": "Object with id 'number' is not a secret",
	} {
		o := optionsFor(path, id)
		_, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
			Drivers: drivers, Options: o, Object: object, LikeQEMU: true,
		})
		if err == nil || err.Error() != want {
			t.Errorf("secret %q: %v, want %s", id, err, want)
		}
	}
}

// TestAsk has a person give the passphrase, at the third try.
func TestAsk(t *testing.T) {
	path := newImage(t, 64<<10, nil)
	answers := []string{"wrong", "also wrong", "open sesame"}
	given := []driver.Secret{}
	cfg := blockdev.OpenConfig{
		Drivers: drivers, Options: optionsFor(path, ""),
		Ask: func(_ context.Context, q driver.Question) (driver.Secret, error) {
			if q.New || q.Image != path {
				t.Errorf("asked for %+v", q)
			}
			given = append(given, driver.Secret(answers[len(given)]))
			return given[len(given)-1], nil
		},
	}
	d, err := blockdev.Open(context.Background(), "", cfg)
	must(t, err)
	must(t, d.Close())
	for i, s := range given {
		if !driver.AllZero(s) {
			t.Errorf("answer %d is still there", i)
		}
	}
}

// TestDetached keeps the header in a file of its own.
func TestDetached(t *testing.T) {
	for name, options := range map[string]map[string]string{"1": {}, "2": version2} {
		t.Run(name, func(t *testing.T) {
			options = maps.Clone(options)
			options["detached-header"] = "on"
			header := newImage(t, 0, options)
			disk := filepath.Join(t.TempDir(), "disk")
			must(t, os.WriteFile(disk, make([]byte, 1<<20), 0o600))
			o := optionsFor(disk, "s")
			o.Set("header.driver", "file")
			o.Set("header.filename", header)
			d := openImage(t, o)
			if d.Size() != 1<<20 {
				t.Errorf("%d bytes long", d.Size())
			}
			data := bytes.Repeat([]byte("abc"), 4096)
			must(t, d.Write(context.Background(), driver.Vec{bytes.Clone(data)}, 0, 0))
			must(t, d.Close())
			d = openImage(t, o)
			got := make([]byte, len(data))
			must(t, d.Read(context.Background(), driver.Vec{got}, 0, 0))
			must(t, d.Close())
			if !bytes.Equal(got, data) {
				t.Error("read something else than was written")
			}
			content, err := os.ReadFile(disk)
			must(t, err)
			if bytes.Contains(content, []byte("LUKS")) ||
				bytes.Contains(content, []byte("abcabc")) {
				t.Error("the disk shows what it is")
			}
		})
	}
}

// TestSlots adds and erases keys of an open image, and never the last one.
func TestSlots(t *testing.T) {
	ctx := context.Background()
	for name, options := range map[string]map[string]string{"1": {}, "2": version2} {
		t.Run(name, func(t *testing.T) {
			path := newImage(t, 64<<10, options)
			d := openImage(t, optionsFor(path, "s"))
			new := driver.NewKey{
				Slot: -1, Passphrase: driver.Secret("other"), KDF: "pbkdf2",
				Time: time.Millisecond,
			}
			slot, err := d.AddKey(ctx, new)
			if err != nil || slot != 1 {
				t.Fatalf("slot %d, %v", slot, err)
			}
			if i, err := d.FindKey(ctx, driver.Secret("other")); err != nil || i != 1 {
				t.Errorf("found in slot %d, %v", i, err)
			}
			new.Slot = 0
			if _, err := d.AddKey(ctx, new); err == nil ||
				!strings.Contains(err.Error(), "Refusing to overwrite active keyslot 0") {
				t.Errorf("a slot in use: %v", err)
			}
			must(t, d.RemoveKey(ctx, 0))
			if err := d.RemoveKey(ctx, 0); err == nil ||
				!strings.HasSuffix(err.Error(), "Given keyslot 0 is already erased (inactive)") {
				t.Errorf("a free slot: %v", err)
			}
			if err := d.RemoveKey(ctx, 1); err == nil ||
				!strings.Contains(err.Error(), "Attempt to erase the only active keyslot 1") {
				t.Errorf("the last slot: %v", err)
			}
			if err := d.RemoveKey(ctx, 99); err == nil ||
				!strings.Contains(err.Error(), "Invalid keyslot 99 specified") {
				t.Errorf("no slot: %v", err)
			}
			must(t, d.Close())
			d = openImage(t, optionsFor(path, "other"))
			must(t, d.Close())
			if _, err := blockdev.Open(ctx, "",
				blockdev.OpenConfig{
					Drivers: drivers, Options: optionsFor(path, "s"),
					Object: object,
				}); err == nil {
				t.Error("an erased key opens the image")
			}
		})
	}
}

// TestCreateRefused names what cannot be made, in QEMU's words where it has any.
func TestCreateRefused(t *testing.T) {
	for _, c := range []struct {
		want    string
		options map[string]string
	}{
		{"Algorithm '3des' not supported", map[string]string{"cipher-alg": "3des"}},
		{"Unsupported cipher mode xts", map[string]string{"cipher-alg": "cast5-128"}},
		{"No AES cipher with key size 20 available", map[string]string{"cipher-mode": "cbc", "ivgen-alg": "essiv", "ivgen-hash-alg": "sha1"}},
		{"Cipher cast5-128 not supported with essiv", map[string]string{"cipher-alg": "cast5-128", "cipher-mode": "cbc", "ivgen-alg": "essiv"}},
		{"Parameter 'cipher-alg' does not accept value 'foo'", map[string]string{"cipher-alg": "foo"}},
		{"No secret with id 'none'", map[string]string{"key-secret": "none"}},
		{"Parameter 'key-secret' is required for cipher", map[string]string{"key-secret": ""}},
		{"LUKS version 1 knows no other key derivation than pbkdf2", map[string]string{"pbkdf": "argon2id"}},
		{"LUKS version 1 knows no other sectors than of 512 bytes", map[string]string{"sector-size": "4096"}},
	} {
		path := filepath.Join(t.TempDir(), "image")
		if err := makeImage(path, 1<<20, c.options); err == nil || err.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.options, err, c.want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%v: refused, and there is a file", c.options)
		}
	}
}

// TestMemory: a slot that takes more memory than is allowed is not tried.
func TestMemory(t *testing.T) {
	path := newImage(t, 64<<10,
		map[string]string{"version": "2", "pbkdf": "argon2id", "pbkdf-memory": "32M"})
	o := optionsFor(path, "s")
	o.Set("unlock-memory", "16M")
	_, err := blockdev.Open(context.Background(), "",
		blockdev.OpenConfig{Drivers: drivers, Options: o, Object: object})
	if err == nil ||
		!strings.Contains(fmt.Sprint(err), "takes 32 MiB of memory, and 16 MiB are allowed") {
		t.Errorf("%v", err)
	}
	d := openImage(t, optionsFor(path, "s"))
	must(t, d.Close())
}

// TestTime: what a header wants to be computed has an end, whatever it says.
func TestTime(t *testing.T) {
	path := newImage(t, 64<<10, map[string]string{"iter-time": "1"})
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	const firstIterations = 208 + 4
	_, err = f.WriteAt([]byte{0xff, 0xff, 0xff, 0xff}, firstIterations)
	must(t, err)
	must(t, f.Close())
	o := optionsFor(path, "s")
	o.Set("unlock-time", "1")
	_, err = blockdev.Open(context.Background(), "",
		blockdev.OpenConfig{Drivers: drivers, Options: o, Object: object})
	if !errors.Is(err, syscall.ETIMEDOUT) || !strings.Contains(err.Error(), "unlock-time") {
		t.Errorf("%v", err)
	}
}
