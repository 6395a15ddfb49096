package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
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

// seeds are small images of each feature, by name, made without any peer.
func seeds(t testing.TB) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	list := map[string][]byte{}
	for name, o := range map[string]*driver.Options{
		"v2":       options("compat", "0.10", "cluster_size", "512"),
		"v3":       options("cluster_size", "512", "refcount_bits", "64"),
		"bits":     options("cluster_size", "1024", "refcount_bits", "1"),
		"extended": options("cluster_size", "16384", "extended_l2", "on"),
		"zstd": options("cluster_size", "4096", "compression_type", "zstd", "lazy_refcounts",
			"on"),
		"snapshots": options("cluster_size", "512"),
		"data file": options("cluster_size", "512", "data_file", filepath.Join(dir, "data")),
		"raw data": options("cluster_size", "512", "data_file", filepath.Join(dir, "raw"),
			"data_file_raw", "on"),
	} {
		path := filepath.Join(dir, name)
		err := blockdev.Create(context.Background(), path,
			blockdev.CreateConfig{
				Drivers: testDrivers, Format: "qcow2", Options: o,
				Size: 200 << 10,
			})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, path, name == "snapshots")
		if list[name], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// fill puts every kind of cluster into an image, and snapshots if it is to have some.
func fill(t testing.TB, path string, snapshots bool) {
	ctx := context.Background()
	d := openImage(t, path, options())
	c := d.Info().Cluster
	data := make([]byte, c)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	constant := make([]byte, c)
	for i := range constant {
		constant[i] = 7
	}
	for i := 0; snapshots && i < 2; i++ {
		if _, err := d.CreateSnapshot(ctx, "s", time.Unix(1, 2)); err != nil {
			t.Fatal(err)
		}
		if err := d.Write(ctx, driver.Vec{data}, c, 0); err != nil {
			t.Fatal(err)
		}
	}
	packed := driver.Compressed
	if d.Top().Info().WriteTakes&packed == 0 {
		packed = 0
	}
	for _, err := range []error{
		d.Write(ctx, driver.Vec{data}, 0, 0),
		d.Write(ctx, driver.Vec{constant}, 2*c, packed),
		d.Write(ctx, driver.Vec{constant}, 3*c, packed),
		d.Write(ctx, driver.Vec{data[:c/2]}, 4*c+c/4, 0),
		d.Zero(ctx, 5*c, c, 0),
		d.Zero(ctx, 4*c, c, driver.MayUnmap),
		d.WriteVMState(ctx, driver.Vec{data}, 0),
		d.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// abuse opens an image that may hold anything and does everything with it. Nothing may panic, hang
// or take memory by the image's word; all else is allowed.
func abuse(name string, image []byte) {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	hung := time.AfterFunc(2*time.Minute, func() { panic("an image keeps its user for minutes") })
	defer hung.Stop()
	for _, mode := range []driver.Mode{{ReadOnly: true}, {}, {Check: true}} {
		mode.Unmap = true
		abuseAs(ctx, name, image, blockdev.OpenConfig{Mode: mode}, false)
		abuseAs(ctx, name, image, blockdev.OpenConfig{Mode: mode}, true)
	}
	abuseAs(ctx, name, image, blockdev.OpenConfig{LoadSnapshot: "1"}, false)
	disks.Delete(name)
	disks.Delete(name + "-data")
}

// abuseAs is abuse for one way to open the image, with a data file or without.
func abuseAs(ctx context.Context, name string, image []byte, cfg blockdev.OpenConfig, data bool) {
	_, cfg.Options = newDisk(name, image)
	if data {
		newDisk(name+"-data", make([]byte, 100<<10))
		cfg.Options.Set("data-file.driver", "test-disk")
		cfg.Options.Set("data-file.name", name+"-data")
	}
	cfg.Drivers, cfg.Format = []driver.Driver{diskDriver, qcow2.Driver, file.Driver}, "qcow2"
	cfg.Gate = func(driver.Link) error { return os.ErrPermission }
	d, err := blockdev.Open(ctx, "", cfg)
	if err != nil {
		return
	}
	defer d.Close()
	if cfg.Mode.Check {
		_, _ = d.Check(ctx, driver.FixErrors|driver.FixLeaks)
		return
	}
	use(ctx, d, d.ReadOnly())
}

// use does one of each. Errors are no matter.
func use(ctx context.Context, d *blockdev.Device, readOnly bool) {
	n := min(d.Size(), 1<<20)
	buf := make([]byte, n)
	_ = d.Read(ctx, driver.Vec{buf}, 0, 0)
	for off, i := int64(0), 0; off < d.Size() && i < 1000; i++ {
		e, err := d.Status(ctx, off, d.Size()-off)
		if err != nil || e.Len <= 0 {
			break
		}
		off += e.Len
	}
	_ = d.ReadVMState(ctx, driver.Vec{buf[:min(n, 4096)]}, 100)
	if s, ok := driver.Find[driver.Describer](d.Top()); ok {
		s.Describe()
	}
	c, _ := driver.Find[driver.Checker](d.Top())
	_, _ = c.Check(ctx, 0)
	_, _ = d.Snapshots(ctx)
	if readOnly {
		return
	}
	_, _ = d.CreateSnapshot(ctx, "made", time.Unix(1, 2))
	_ = d.Write(ctx, driver.Vec{buf[:n/2]}, n/4, 0)
	_ = d.Write(ctx, driver.Vec{buf[:min(n, d.Info().Cluster)]}, 0, driver.Compressed)
	_ = d.Zero(ctx, 0, n, driver.MayUnmap)
	_ = d.Discard(ctx, 0, n)
	_ = d.WriteVMState(ctx, driver.Vec{buf[:min(n, 4096)]}, 0)
	_, _ = d.ApplySnapshot(ctx, "s")
	_, _ = d.DeleteSnapshot(ctx, "s")
	_, _ = d.DeleteSnapshot(ctx, "made")
	_, _ = c.Check(ctx, driver.FixErrors|driver.FixLeaks)
	_ = d.Truncate(ctx, d.Size()/2&^511, driver.PreallocOff)
	_ = d.Truncate(ctx, min(d.Size()+1<<20, 4<<20), driver.PreallocOff)
}

// FuzzImage changes images at random.
func FuzzImage(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, image []byte) { abuse("fuzz", image) })
}

// TestPlanted puts numbers that hurt into every word of the header and of the first entries of
// every table: in tier 1 one number into each, another one each time.
func TestPlanted(t *testing.T) {
	values := []uint64{
		1, 0xffffffff, 1 << 56, 1<<63 - 1, 1 << 63, ^uint64(0), 0x8000000000000200,
		1 << 62, 512, 1 << 40,
	}
	for name, image := range seeds(t) {
		t.Run(name, func(t *testing.T) {
			cluster := 1 << binary.BigEndian.Uint32(image[20:])
			places := []int{}
			for at := 4; at < 120; at += 4 {
				places = append(places, at)
			}
			for c := cluster; c < len(image)-16; c += cluster {
				places = append(places, c, c+8)
			}
			for i, at := range places[:min(len(places), 60)] {
				values := values
				if !blockdevtest.Thorough() {
					values = values[i%len(values):][:1]
				}
				for _, v := range values {
					b := append([]byte(nil), image...)
					if at < 120 {
						binary.BigEndian.PutUint32(b[at:], uint32(v>>32|v))
					} else {
						binary.BigEndian.PutUint64(b[at:], v)
					}
					abuse("planted", b)
				}
			}
		})
	}
}

// TestRefused asks for the words with which images are refused, as measured with qemu-io 7.2.22.
func TestRefused(t *testing.T) {
	base := seeds(t)["v3"]
	put32 := func(at int, v uint32) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint32(b[at:], v) }
	}
	put64 := func(at int, v uint64) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint64(b[at:], v) }
	}
	for _, c := range []struct {
		name   string
		change func([]byte)
		want   string
	}{
		{"magic", put32(0, 1), "Image is not in qcow2 format"},
		{"version", put32(4, 9), "Unsupported qcow2 version 9"},
		{"cluster bits", put32(20, 40), "Unsupported cluster size: 2^40"},
		{"header length", put32(100, 80), "qcow2 header too short"},
		{"long header", put32(100, 1<<20), "qcow2 header exceeds cluster size"},
		{"backing offset", put64(8, 1<<30), "Invalid backing file offset"},
		{"compression", func(b []byte) { b[104] = 7 }, "qcow2: unknown compression type: 7"},
		{"compression bit", put64(72, 8), "qcow2: Compression type incompatible feature bit must not be set"},
		{"feature", put64(72, 1<<40), "Unsupported qcow2 feature(s): Unknown incompatible feature: 10000000000"},
		{"corrupt", put64(72, 2), "qcow2: Image is corrupt; cannot be opened read/write"},
		{"subcluster", put64(72, 16), "Unsupported subcluster size: 16"},
		{"refcount width", put32(96, 7), "Reference count entry width too large; may not exceed 64 bits"},
		{"no refcounts", put32(56, 0), "Image does not contain a reference count table"},
		{"refcount table", put32(56, 1<<31), "Reference count table too large"},
		{"refcount offset", put64(48, 0x123), "Reference count table offset invalid"},
		{"snapshots", put32(60, 1<<31), "Snapshot table too large"},
		{"snapshot offset", func(b []byte) { put32(60, 1)(b); put64(64, 1)(b) }, "Snapshot table offset invalid"},
		{"l1 size", put32(36, 1<<31), "Active L1 table too large"},
		{"l1 offset", put64(40, 0x123), "Active L1 table offset invalid"},
		{"big", put64(24, 1<<62), "Image is too big"},
		{"bigger", put64(24, 1<<64-1), "Image is too big"},
		{"short l1", put64(24, 1<<40), "L1 table is too small"},
		{"AES", put32(32, 1), "Parameter 'encrypt.key-secret' is required for cipher"},
		{"LUKS", put32(32, 2), "Missing CRYPTO header for crypt method 2"},
		{"other encryption", put32(32, 1<<32-1), "Unsupported encryption method -1"},
		{"raw data file", put64(88, 2), "data-file-raw requires a data file"},
		{"extension", func(b []byte) { put32(112, 0x77)(b); put32(116, 1<<20)(b) }, "Header extension too large"},
		{"backing name", func(b []byte) { put64(8, 200)(b); put32(16, 2000)(b); put32(112, 0)(b) }, "Backing file name too long"},
		{"data file", put64(72, 4), "'data-file' is required for this image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := append([]byte(nil), base...)
			c.change(b)
			_, o := newDisk("refused", b)
			d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
				Drivers: []driver.Driver{diskDriver, qcow2.Driver}, Format: "qcow2", Options: o,
			})
			if err == nil {
				_ = d.Close()
				t.Fatalf("opened; want %q", c.want)
			}
			if !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("%q, not %q", err, c.want)
			}
		})
	}
}

// An image that is open for a check takes no other request: its tables may be anything.
func TestCheckingRefusesRequests(t *testing.T) {
	ctx := context.Background()
	_, o := newDisk("checking", seeds(t)["v3"])
	d, err := blockdev.Open(ctx, "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, qcow2.Driver}, Format: "qcow2", Options: o,
		Mode: driver.Mode{Check: true, Unmap: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	buf := driver.Vec{make([]byte, 512)}
	_, status := d.Status(ctx, 0, 512)
	for what, err := range map[string]error{
		"read": d.Read(ctx, buf, 0, 0), "write": d.Write(ctx, buf, 0, 0),
		"zero": d.Zero(ctx, 0, 512, 0), "discard": d.Discard(ctx, 0, 512),
		"compressed": d.Write(ctx, buf, 0, driver.Compressed),
		"truncate":   d.Truncate(ctx, 1<<20, driver.PreallocOff), "status": status,
		"machine state": d.ReadVMState(ctx, buf, 0),
		"reopen":        d.Reopen(ctx, options("lazy-refcounts", "on")),
	} {
		if !errors.Is(err, syscall.EBADF) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := d.Flush(ctx); err != nil {
		t.Errorf("flush: %v", err)
	}
}

// Tables may claim to be far longer than the file. What they take is bounded by what the format
// allows for tables in memory, and by the file.
func TestMemoryOfClaims(t *testing.T) {
	image := seeds(t)["v3"]
	l := newLayout(image)
	for _, p := range []planted{
		{"L1 size", 36, 4, 1 << 22},
		{"reftable clusters", 56, 4, 1 << 14},
		{"snapshots", 60, 4, 1 << 16},
		{"size", 24, 8, 1 << 24},
		{"L2 entry", l.l2, 8, 1<<62 - 1 + 1<<62},
	} {
		t.Run(p.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			abuse("claims", p.put(image))
			runtime.ReadMemStats(&after)
			// of all that was allocated at any time: a table of 32 MiB a few times over
			const limit = 1 << 30
			if n := after.TotalAlloc - before.TotalAlloc; n > limit {
				t.Errorf("%d MiB", n>>20)
			} else {
				t.Logf("%d MiB", n>>20)
			}
		})
	}
}

// Images that stand on themselves, or on each other, are refused and not opened for ever.
func TestBackingLoop(t *testing.T) {
	dir := t.TempDir()
	image := seeds(t)["v2"]
	for name, backing := range map[string]string{"self": "self", "one": "two", "two": "one"} {
		const at = 300
		b := bytes.Clone(image)
		binary.BigEndian.PutUint64(b[8:], at)
		binary.BigEndian.PutUint32(b[16:], uint32(copy(b[at:], backing)))
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"self", "one"} {
		d, err := blockdev.Open(context.Background(), filepath.Join(dir, name), blockdev.OpenConfig{
			Drivers: testDrivers, Format: "qcow2", Mode: driver.Mode{ReadOnly: true},
		})
		if err == nil {
			_ = d.Close()
		}
		const opening = "Could not open backing file: "
		if err == nil ||
			!strings.HasPrefix(err.Error(), opening+"the backing chain refers to itself") ||
			strings.Count(err.Error(), opening) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
