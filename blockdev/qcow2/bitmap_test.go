package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// withBitmaps is an image of 1 MiB, half of it written, with the dirty bitmaps b0 and b1.
func withBitmaps(t *testing.T) []byte {
	t.Helper()
	needPeers(t)
	path := filepath.Join(t.TempDir(), "bitmaps")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", path, "1M")
	d := openImage(t, path, options())
	if err := d.Write(context.Background(), driver.Vec{bytes.Repeat([]byte{1}, 512<<10)}, 0,
		0); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b0", "b1"} {
		qemuImg(t, "bitmap", "--add", path, name)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// changes are the ways to change what the guest has.
var changes = map[string]func(context.Context, *blockdev.Device) error{
	"write": func(ctx context.Context, d *blockdev.Device) error {
		return d.Write(ctx, driver.Vec{make([]byte, 512)}, 0, 0)
	},
	"compressed write": func(ctx context.Context, d *blockdev.Device) error {
		return d.Write(ctx, driver.Vec{make([]byte, 4096)}, 768<<10, driver.Compressed)
	},
	"zero":    func(ctx context.Context, d *blockdev.Device) error { return d.Zero(ctx, 0, 8192, 0) },
	"discard": func(ctx context.Context, d *blockdev.Device) error { return d.Discard(ctx, 0, 8192) },
	"grow": func(ctx context.Context, d *blockdev.Device) error {
		return d.Truncate(ctx, 2<<20, driver.PreallocOff)
	},
	"shrink": func(ctx context.Context, d *blockdev.Device) error {
		return d.Truncate(ctx, 256<<10, driver.PreallocOff)
	},
	"machine state": func(ctx context.Context, d *blockdev.Device) error {
		return d.WriteVMState(ctx, driver.Vec{make([]byte, 512)}, 0)
	},
}

// commands are what qemu-io does for each change.
var commands = map[string]string{
	"write": "write -P 0 0 512", "compressed write": "write -c -P 0 768k 4k",
	"zero": "write -z 0 8k", "discard": "discard 0 8k",
	"grow": "truncate 2M", "shrink": "truncate 256k", "machine state": "write -b -P 0 0 512",
}

// TestBitmaps makes each change with this package and with qemu-io: the bitmaps must say the same,
// and no cluster leak.
func TestBitmaps(t *testing.T) {
	image := withBitmaps(t)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			path, peer := store(t, image), store(t, image)
			for round := range 2 {
				d := openImage(t, path, options())
				// a cluster is compressed once
				if err := change(ctx, d); err != nil && name != "compressed write" {
					t.Fatal(err)
				}
				if round == 0 { // they are stored by the reopen, and nothing is left for the close
					o := &driver.Options{}
					o.Set("read-only", true)
					if err := d.Reopen(ctx, o); err != nil {
						t.Fatal(err)
					}
				}
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				if v, lines, ok := peerCheck(t, path); !ok ||
					v.Leaks+v.Corruptions+v.CheckErrors > 0 {
					t.Errorf("round %d: %+v %v %s", round, v, ok, lines)
				}
			}
			if out, err := exec.Command("qemu-io", "-c", commands[name],
				peer).CombinedOutput(); err != nil {
				t.Fatalf("qemu-io: %v %s", err, out)
			}
			if v, lines, ok := peerCheck(t, path); !ok || v.Leaks+v.Corruptions+v.CheckErrors > 0 {
				t.Errorf("%+v %v %s", v, ok, lines)
			}
			if got, want := bitmapsOf(readImage(t, path)), bitmapsOf(
				readImage(t, peer)); !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, qemu-io has %+v", got, want)
			}
		})
	}
}

// TestBitmapsOfRandomChanges compares the bits with those of a model, over several openings and a
// reopen.
func TestBitmapsOfRandomChanges(t *testing.T) {
	image := withBitmaps(t)
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(9, 9))
	path := store(t, image)
	const granule = 4 << 10 // QEMU takes that of the clusters
	set := make([]bool, (1<<20)/granule)
	for range 10 {
		d := openImage(t, path, options())
		for range 5 {
			off := rng.Int64N(1<<20) &^ 511
			n := min(rng.Int64N(100<<10)&^511+512, 1<<20-off)
			if rng.IntN(3) == 0 {
				for _, ro := range []bool{true, false} {
					o := &driver.Options{}
					o.Set("read-only", ro)
					if err := d.Reopen(ctx, o); err != nil {
						t.Fatal(err)
					}
				}
			}
			var err error
			switch rng.IntN(3) {
			case 0:
				err = d.Write(ctx, driver.Vec{bytes.Repeat([]byte{7}, int(n))}, off, 0)
			case 1:
				err = d.Zero(ctx, off, n, driver.MayUnmap)
			default: // parts of clusters stay as they are
				const cluster = 4 << 10
				end := (off + n) &^ (cluster - 1)
				off = (off + cluster - 1) &^ (cluster - 1)
				if n = end - off; n <= 0 {
					continue
				}
				err = d.Discard(ctx, off, n)
			}
			if err != nil {
				t.Fatal(err)
			}
			for g := off / granule; g <= (off+n-1)/granule; g++ {
				set[g] = true
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		for _, b := range bitmapsOf(readImage(t, path)) {
			for g, want := range set {
				if got := b.Bits[g/8]>>(g%8)&1 != 0; got != want {
					t.Fatalf("%s: granule %d is %v", b.Name, g, got)
				}
			}
			if b.Flags != 2 {
				t.Fatalf("%s has the flags %#x", b.Name, b.Flags)
			}
		}
	}
	if v, lines, ok := peerCheck(t, path); !ok || v.Leaks+v.Corruptions+v.CheckErrors > 0 {
		t.Errorf("%+v %v %s", v, ok, lines)
	}
}

// Whatever of the writes a crash leaves: the image is sound, and a bitmap that says that it is true
// has a bit for each change. Without the flush behind the mark, or the one behind what the header
// then refers to, that would not be so.
func TestCrashOfBitmaps(t *testing.T) {
	image := withBitmaps(t)
	missed := map[string]int{"(*image).trackBitmaps": 0, "(*image).placeDirectory": 0}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		if name == "grow" || name == "shrink" || name == "machine state" {
			continue // they change no data that the guest has
		}
		change := changes[name]
		tries := blockdevtest.Rounds(3, 40)
		if wrong, inUse := crashTracking(t, image, change, "", tries); wrong != "" || inUse == 0 {
			t.Errorf("%s: %q; bitmaps were in use after %d crashes", name, wrong, inUse)
		}
		for flush, n := range missed {
			if n > 0 {
				continue
			}
			if wrong, _ := crashTracking(t, image, change, flush, 40); wrong != "" {
				missed[flush]++
			}
		}
	}
	for flush, n := range missed {
		if n == 0 { // where there is another flush before data changes it is not missed
			t.Errorf("nobody misses the flush in %s", flush)
		}
	}
}

// crashTracking cuts the power at every moment of a change, so many times. wrong is what is wrong
// with the first image that is.
func crashTracking(
	t *testing.T, image []byte, change func(context.Context, *blockdev.Device) error, deaf string,
	tries int,
) (wrong string, inUse int) {
	t.Helper()
	before := make([]byte, 1<<20)
	copy(before, bytes.Repeat([]byte{1}, 512<<10))
	disk, o := newDisk("bitmaps", image)
	defer disks.Delete("bitmaps")
	disk.deaf = deaf
	r := &crashRun{name: "bitmaps", disk: disk}
	d := openDisk(t, o, shape{})
	if err := errors.Join(change(context.Background(), d), d.Close()); err != nil {
		t.Fatal(err)
	}
	r.crashes(rand.New(rand.NewPCG(1, 8)), tries, func(image []byte, _ int) bool {
		got, err := guestOf(image)
		if err != nil {
			wrong = err.Error()
			return false
		}
		for _, b := range bitmapsOf(image) {
			if b.Flags&1 != 0 {
				inUse++
			} else if wrong = unrecorded(got, before, b); wrong != "" {
				return false
			}
		}
		return true
	})
	return wrong, inUse
}

// storedBitmap is a bitmap as the file has it.
type storedBitmap struct {
	Name  string
	Flags uint32
	Shift uint // log2 of the bytes of a bit
	Bits  []byte
}

// bitmapsOf reads the bitmaps of an image of clusters of 4 KiB, none if they do not count.
func bitmapsOf(image []byte) []storedBitmap {
	if autoclear(image)&bitmapsBit == 0 {
		return nil
	}
	be := binary.BigEndian
	var list []storedBitmap
	at := newLayout(image).bitmaps
	for at != 0 && at+24 <= len(image) && be.Uint64(image[at:]) != 0 {
		e := image[at:]
		b := storedBitmap{
			Flags: be.Uint32(e[12:]), Shift: uint(e[17]),
			Name: string(e[24:][:be.Uint16(e[18:])]),
		}
		table, n := image[be.Uint64(e):], int(be.Uint32(e[8:]))
		for i := range n {
			part := make([]byte, 4096)
			switch w := be.Uint64(table[8*i:]); {
			case w&0xfffffffffffe00 != 0:
				copy(part, image[w&0xfffffffffffe00:])
			case w&1 != 0:
				for k := range part {
					part[k] = 0xff
				}
			}
			b.Bits = append(b.Bits, part...)
		}
		list = append(list, b)
		at += (24 + len(b.Name) + 7) &^ 7
	}
	return list
}

func readImage(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// guestOf reads the guest's data of an image that a crash left. It fails if the image is not sound.
func guestOf(image []byte) ([]byte, error) {
	ctx := context.Background()
	_, o := newDisk("bitmaps-crashed", image)
	defer disks.Delete("bitmaps-crashed")
	d, err := blockdev.Open(ctx, "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, qcow2.Driver, file.Driver}, Format: "qcow2",
		Options: o, Mode: driver.Mode{ReadOnly: true},
	})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	res, err := d.Check(ctx, 0)
	if err != nil || res.Corruptions > 0 {
		return nil, fmt.Errorf("check: %v, %v", err, res.Messages)
	}
	got := make([]byte, d.Size())
	return got, d.Read(ctx, driver.Vec{got}, 0, 0)
}

// unrecorded tells of a change of the guest's data for which a bitmap has no bit.
func unrecorded(got, before []byte, b storedBitmap) string {
	for i := range got {
		if g := i >> b.Shift; got[i] != before[i] && b.Bits[g/8]>>(g%8)&1 == 0 {
			return fmt.Sprintf(
				"the bitmap %s counts as true and has no bit for byte %d, which has changed",
				b.Name, i)
		}
	}
	return ""
}

// A reopen for reading stores bitmaps with longer tables, and counts what it gave back: nothing is
// written later.
func TestBitmapsMovedByReopen(t *testing.T) {
	ctx := context.Background()
	path := store(t, withBitmaps(t))
	d := openImage(t, path, options())
	if err := d.Truncate(ctx, 300<<20, driver.PreallocOff); err != nil {
		t.Fatal(err)
	}
	o := &driver.Options{}
	o.Set("read-only", true)
	if err := errors.Join(d.Reopen(ctx, o), d.Close()); err != nil {
		t.Fatal(err)
	}
	if v, lines, ok := peerCheck(t, path); !ok || v.Leaks+v.Corruptions+v.CheckErrors > 0 {
		t.Errorf("%+v %v %s", v, ok, lines)
	}
	for _, b := range bitmapsOf(readImage(t, path)) {
		if b.Flags != 2 || len(b.Bits) != 3*4096 {
			t.Errorf("%s has the flags %#x and %d bytes of bits", b.Name, b.Flags, len(b.Bits))
		}
	}
}

// No file can hold the bitmap of an image of no length: it stays in use, and the image can be
// opened and the bitmap removed.
func TestBitmapsOfEmptyImage(t *testing.T) {
	ctx := context.Background()
	path := store(t, withBitmaps(t))
	d := openImage(t, path, options())
	if err := errors.Join(d.Truncate(ctx, 0, driver.PreallocOff), d.Close()); err != nil {
		t.Fatal(err)
	}
	for _, b := range bitmapsOf(readImage(t, path)) {
		if b.Flags != 3 {
			t.Errorf("%s has the flags %#x", b.Name, b.Flags)
		}
		qemuImg(t, "bitmap", "--remove", path, b.Name)
	}
	if v, lines, ok := peerCheck(t, path); !ok || v.Leaks+v.Corruptions+v.CheckErrors > 0 {
		t.Errorf("%+v %v %s", v, ok, lines)
	}
}

// Where a write or a flush fails while bitmaps are stored, Close says so, the image stays sound,
// and a bitmap that says that it is true is.
func TestBitmapsNotStored(t *testing.T) {
	ctx := context.Background()
	image := withBitmaps(t)
	before, err := guestOf(image)
	if err != nil {
		t.Fatal(err)
	}
	kinds := []string{"write", "flush"}
	run := func(f *blockdevtest.Fault) (path string, err error) {
		closing := false
		path = store(t, image)
		d := openWatched(t, path, driver.Mode{}, func(r blockdevtest.Request) error {
			if !closing {
				return nil
			}
			return f.Fail(r)
		})
		if err := d.Write(ctx, driver.Vec{make([]byte, 8192)}, 0, 0); err != nil {
			t.Fatal(err)
		}
		closing = true
		return path, d.Close()
	}
	all := &blockdevtest.Fault{At: -1, Kinds: kinds}
	if _, err := run(all); err != nil {
		t.Fatal(err)
	}
	for at := range all.Seen() {
		for _, stays := range []bool{false, true} {
			f := &blockdevtest.Fault{At: at, Err: syscall.EIO, Stays: stays, Kinds: kinds}
			path, err := run(f)
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("request %d of %d fails, and Close says %v", at, all.Seen(), err)
			}
			left := readImage(t, path)
			got, err := guestOf(left)
			if err != nil {
				t.Errorf("request %d of %d fails: %v", at, all.Seen(), err)
				continue
			}
			for _, b := range bitmapsOf(left) {
				if wrong := unrecorded(got, before, b); b.Flags&1 == 0 && wrong != "" {
					t.Errorf("request %d of %d fails: %s", at, all.Seen(), wrong)
				}
			}
		}
	}
}
