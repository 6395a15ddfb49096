package raw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/mem"
	"github.com/blksh/blksh/blockdev/null"
)

// magic is a format that knows itself by its first bytes; it only serves to be guessed.
var magic = driver.Driver{
	Name:     "magic",
	Kind:     driver.Format,
	Resolves: driver.OverProtocol,
	Probe: func(head []byte, _ string) int {
		if bytes.HasPrefix(head, []byte("MAGIC")) {
			return 100
		}
		return 0
	},
}

var testDrivers = []driver.Driver{magic, probedMemory(), null.Co, Driver}

// probedMemory is memory whose format is guessed, as that of a file would be.
func probedMemory() driver.Driver {
	d := mem.Driver
	d.Scratch = false
	return d
}

func options(given ...string) *driver.Options {
	var o driver.Options
	for i := 0; i < len(given); i += 2 {
		o.Set(given[i], given[i+1])
	}
	return &o
}

// openMem opens a raw image in a memory disk.
func openMem(t *testing.T, size string, given ...string) (*blockdev.Device, error) {
	t.Helper()
	given = append(given, "driver", "raw", "file.driver", "mem", "file.size", size)
	return blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: testDrivers, Options: options(given...), Mode: driver.Mode{Unmap: true},
		LikeQEMU: true,
	})
}

func mustOpenMem(t *testing.T, size string, given ...string) *blockdev.Device {
	t.Helper()
	d, err := openMem(t, size, given...)
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

// windowTests has the answers of qemu-io 7.2.22 for files of 1 MiB and of 1000 bytes.
var windowTests = []struct {
	file, offset, size string
	length             int64
	err                string
}{
	{"1M", "", "", 1 << 20, ""},
	{"1M", "513", "", 1<<20 - 512, ""},
	{"1M", "512", "", 1<<20 - 512, ""},
	{"1M", "1000", "512", 512, ""},
	{"1M", "1M", "", 0, ""},
	{"1M", "0", "0", 0, ""},
	{"1M", "2M", "", 0, "Offset (2097152) cannot be greater than size of the containing file (1048576)"},
	{"1M", "2M", "0", 0, "Offset (2097152) cannot be greater than size of the containing file (1048576)"},
	{"1M", "", "513", 0, "Specified size is not multiple of 512"},
	{"1M", "", "2M", 0, "The sum of offset (0) and size (2097152) has to be smaller or equal to the  actual size of the containing file (1048576)"},
	{"1M", "512", "1M", 0, "The sum of offset (512) and size (1048576) has to be smaller or equal to the  actual size of the containing file (1048576)"},
	{"1M", "", "9223372036854775807", 0, "The sum of offset (0) and size (9223372036854775807) has to be smaller or equal to the  actual size of the containing file (1048576)"},
	{"1M", "9223372036854775296", "512", 0, "Offset (9223372036854775296) cannot be greater than size of the containing file (1048576)"},
	{"1M", "", "x", 0, "Parameter 'size' expects a non-negative number below 2^64"},
	{"1000", "512", "", 512, ""},
	{"1000", "1024", "", 0, ""},
	{"1000", "", "1000", 0, "Specified size is not multiple of 512"},
	{"1000", "", "1024", 1024, ""},
}

// windowOptions is the options offset and size, as far as they are given.
func windowOptions(offset, size string) []string {
	var given []string
	if offset != "" {
		given = append(given, "offset", offset)
	}
	if size != "" {
		given = append(given, "size", size)
	}
	return given
}

func TestWindow(t *testing.T) {
	for _, c := range windowTests {
		d, err := openMem(t, c.file, windowOptions(c.offset, c.size)...)
		if err != nil {
			if err.Error() != c.err {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if c.err != "" || d.Size() != c.length {
			t.Errorf("%+v: length %d", c, d.Size())
		}
	}
}

// TestPeer asks the original for the texts that TestWindow compares with.
func TestPeer(t *testing.T) {
	peer := blockdevtest.Peer(t, "qemu-io", "qemu-utils")
	dir := t.TempDir()
	for name, size := range map[string]int64{"1M": 1 << 20, "1000": 1000} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range windowTests {
		args := "driver=raw,file.driver=file,file.filename=" + filepath.Join(dir, c.file)
		given := windowOptions(c.offset, c.size)
		for i := 0; i < len(given); i += 2 {
			args += "," + given[i] + "=" + given[i+1]
		}
		out, _ := exec.Command(peer, "-r", "--image-opts", args, "-c", "quit").CombinedOutput()
		got, failed := strings.CutPrefix(string(out), "qemu-io: can't open: ")
		if c.err == "" && failed || !strings.HasPrefix(got, c.err) {
			t.Errorf("%+v: qemu-io says %q", c, out)
		}
	}
}

func TestShift(t *testing.T) {
	ctx := context.Background()
	d := mustOpenMem(t, "1M", "offset", "64k", "size", "64k")
	file := d.Top().Primary().Primary()
	if err := d.Write(ctx, driver.Vec{[]byte("hello")}, 1000, 0); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if err := file.ReadVec(ctx, driver.Vec{got}, 64<<10+1000, 0); err != nil ||
		string(got) != "hello" {
		t.Errorf("in the file: %q, %v", got, err)
	}
	if err := d.Read(ctx, driver.Vec{got}, 1000, 0); err != nil || string(got) != "hello" {
		t.Errorf("in the image: %q, %v", got, err)
	}
	if e, err := d.Status(ctx, 512, 1024); err != nil || e.Off != 512 || e.HostOff != 64<<10+512 ||
		!e.Data || !e.Allocated {
		t.Errorf("status: %+v, %v", e, err)
	}
	if err := d.Zero(ctx, 1000, 2, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Discard(ctx, 1004, 1); err != nil {
		t.Fatal(err)
	}
	if err := file.ReadVec(ctx, driver.Vec{got}, 64<<10+1000, 0); err != nil ||
		string(got) != "\x00\x00ll\x00" {
		t.Errorf("zeroed in the file: %q, %v", got, err)
	}
}

// TestBounds asks the node itself, without the device in front, as a format above it may.
func TestBounds(t *testing.T) {
	ctx := context.Background()
	d := mustOpenMem(t, "1M", "offset", "64k", "size", "64k")
	n := d.Top().Primary().(*image)
	const size = 64 << 10
	buf := driver.Vec{make([]byte, 512)}
	for _, off := range []int64{size - 511, size, 1 << 62} {
		for op, c := range map[string]struct {
			err  error
			want syscall.Errno
		}{
			"read":    {n.ReadVec(ctx, buf, off, 0), syscall.EINVAL},
			"write":   {n.WriteVec(ctx, buf, off, 0), syscall.ENOSPC},
			"zero":    {n.Zero(ctx, off, 512, 0), syscall.ENOSPC},
			"discard": {n.Discard(ctx, off, 512, 0), syscall.ENOSPC},
		} {
			if !errors.Is(c.err, c.want) {
				t.Errorf("%s at %d: %v, want %v", op, off, c.err, c.want)
			}
		}
	}
	if err := n.WriteVec(ctx, buf, 1<<63-1000, 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("offset that overflows: %v", err)
	}
}

func TestTruncate(t *testing.T) {
	ctx := context.Background()
	d := mustOpenMem(t, "1M", "offset", "64k")
	if err := d.Truncate(ctx, 128<<10, driver.PreallocOff); err != nil || d.Size() != 128<<10 {
		t.Errorf("length %d, %v", d.Size(), err)
	}
	if size := d.Top().Primary().Primary().Info().Size; size != 192<<10 {
		t.Errorf("file is %d bytes", size)
	}
	fixed := mustOpenMem(t, "1M", "size", "64k")
	err := fixed.Truncate(ctx, 64<<10, driver.PreallocOff)
	var r *driver.Refusal
	if !errors.As(err, &r) || r.Text != "Cannot resize fixed-size raw disks" ||
		!errors.Is(err, syscall.ENOTSUP) {
		t.Errorf("fixed size: %v", err)
	}
	image := d.Top().Primary()
	if err := image.Truncate(ctx, 1<<63-1, driver.PreallocOff, 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("offset and size that overflow: %v", err)
	}
}

func TestReopen(t *testing.T) {
	ctx := context.Background()
	d := mustOpenMem(t, "1M", "offset", "64k", "size", "64k")
	for _, c := range []struct {
		change []string
		length int64
		err    string
	}{
		{[]string{"size", "32k"}, 32 << 10, ""},
		{[]string{"offset", "128k"}, 32 << 10, ""},
		{[]string{"size", "513"}, 32 << 10, "Specified size is not multiple of 512"},
		{[]string{"offset", "4M"}, 32 << 10, "Offset (4194304) cannot be greater than size of the containing file (1048576)"},
		{[]string{"offset", "0", "size", "1M"}, 1 << 20, ""},
	} {
		err := d.Reopen(ctx, options(c.change...))
		if fmt.Sprint(err) != c.err && (err != nil || c.err != "") {
			t.Errorf("%v: %v, want %s", c.change, err, c.err)
		}
		if d.Size() != c.length {
			t.Errorf("%v: length %d, want %d", c.change, d.Size(), c.length)
		}
	}
}

// TestProbed keeps a guest from turning an image that was guessed to be raw into one of another
// format.
func TestProbed(t *testing.T) {
	ctx := context.Background()
	d, err := blockdev.Open(ctx, "mem:1M", blockdev.OpenConfig{Drivers: testDrivers})
	if err != nil {
		t.Fatal(err)
	}
	if name := d.Info().Driver; name != "raw" {
		t.Fatalf("probed %s", name)
	}
	evil := append([]byte("MAGIC"), make([]byte, 1019)...)
	if err := d.Write(ctx, driver.Vec{evil}, 0, 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("whole header: %v", err)
	}
	// Piecemeal: the guard completes the sector, so the last piece is what is refused.
	if err := d.Write(ctx, driver.Vec{[]byte("AGIC")}, 1, 0); err != nil {
		t.Errorf("harmless part: %v", err)
	}
	if err := d.Write(ctx, driver.Vec{[]byte("M")}, 0, 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("last letter: %v", err)
	}
	if err := d.Write(ctx, driver.Vec{evil}, 512, 0); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
	got := make([]byte, 5)
	if err := d.Read(ctx, driver.Vec{got}, 0, 0); err != nil || string(got) != "\x00AGIC" {
		t.Errorf("head is %q, %v", got, err)
	}

	given := mustOpenMem(t, "1M")
	if err := given.Write(ctx, driver.Vec{evil}, 0, 0); err != nil {
		t.Errorf("format given: %v", err)
	}
}

// TestProbedTail writes to the end of an image that was guessed to be raw, amid a sector. It stays
// as long as it is, whichever of its parts are written.
func TestProbedTail(t *testing.T) {
	ctx := context.Background()
	for _, size := range []int64{1, 511, 700, 2*driver.SectorSize + 1} {
		name := filepath.Join(t.TempDir(), "disk")
		want := make([]byte, size)
		if err := os.WriteFile(name, want, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := blockdev.Open(ctx, name, blockdev.OpenConfig{
			Drivers: append([]driver.Driver{file.Driver}, testDrivers...),
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, off := range []int64{0, size / 2, size - 1} {
			for j := range want[off:] {
				want[off:][j] = byte(i + 1)
			}
			err = errors.Join(err, d.Write(ctx, driver.Vec{want[off:]}, off, 0))
		}
		clear(want[size/3:])
		err = errors.Join(err, d.Zero(ctx, size/3, size-size/3, 0), d.Close())
		got, readErr := os.ReadFile(name)
		if err = errors.Join(err, readErr); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %v, and %d bytes are there", size, err, len(got))
		}
	}
}

func TestStatusOfNull(t *testing.T) {
	ctx := context.Background()
	for zeroes, want := range map[string]bool{"on": true, "off": false} {
		d, err := blockdev.Open(ctx, "", blockdev.OpenConfig{
			Drivers: testDrivers,
			Options: options("driver", "raw", "file.driver", "null-co", "file.read-zeroes",
				zeroes),
		})
		if err != nil {
			t.Fatal(err)
		}
		if e, err := d.Status(ctx, 0, d.Size()); err != nil || e.Allocated != want {
			t.Errorf("read-zeroes=%s: %+v, %v", zeroes, e, err)
		}
	}
}
