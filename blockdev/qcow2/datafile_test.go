package qcow2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// newExternal makes an image with a data file, by QEMU's hand or ours.
func newExternal(t *testing.T, s shape, raw, peer bool, seed uint64) *model {
	t.Helper()
	m := &model{t: t, shape: s, rng: rand.New(rand.NewPCG(seed, 1)), state: make([]byte, stateSize)}
	m.path = filepath.Join(t.TempDir(), "image")
	m.data = make([]byte, m.size())
	o := s.createOptions() + ",data_file=" + m.path + ".data,data_file_raw=" + onOff(raw)
	if peer {
		qemuImg(t, "create", "-q", "-f", "qcow2", "-o", o, m.path, fmt.Sprint(len(m.data)))
	} else {
		parsed, err := blockdev.ParseOptionString(o, "")
		if err != nil {
			t.Fatal(err)
		}
		err = blockdev.Create(context.Background(), m.path, blockdev.CreateConfig{
			Drivers: testDrivers, Format: "qcow2", Options: parsed, Size: int64(len(m.data)),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	m.open()
	return m
}

// TestDataFileModel does random operations on images with data files. QEMU must find the same
// bytes, no error, and of a raw data file the same bytes in that file alone.
func TestDataFileModel(t *testing.T) {
	needPeers(t)
	runs := blockdevtest.Rounds(12, 120)
	for i := range runs {
		s := shape{
			Version: 3, ClusterBits: []int{9, 12, 16}[i%3], RefcountBits: 16, Compression: "zlib",
			SmallCaches: i%2 == 0, KeepRefs: i%5 == 4,
		}
		if i%4 == 3 {
			s.Extended, s.ClusterBits = true, 14
		}
		raw := i%2 == 1
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			m := newExternal(t, s, raw, i%3 == 0, uint64(i))
			for range 60 {
				switch m.rng.IntN(8) {
				case 0:
					m.zero(driver.MayUnmap)
				case 1:
					m.zero(0)
				case 2:
					m.discard()
				case 3:
					m.truncateExternal()
				case 4:
					m.read(m.span())
				case 5:
					m.parallel()
				default:
					m.write()
				}
			}
			m.read(0, int64(len(m.data)))
			m.close()
			qemuImg(t, "check", "-q", m.path)
			m.compare(t.TempDir(), m.path, m.data)
			if got, err := os.ReadFile(m.path + ".data"); raw &&
				(err != nil || !bytes.Equal(got, m.data)) {
				t.Errorf("the raw data file has other bytes: %d of them, the disk %d (%v)",
					len(got), len(m.data), err)
			}
		})
	}
}

// truncateExternal changes the length, without a look at the machine state that may lie behind it.
func (m *model) truncateExternal() {
	size := m.size()
	p := driver.PreallocOff
	if size > int64(len(m.data)) {
		p = driver.Prealloc(m.rng.IntN(4))
	}
	m.t.Logf("truncate to %d, preallocation %s", size, p)
	if err := m.dev.Truncate(context.Background(), size, p); err != nil {
		m.fail("truncate to", size, 0, err)
	}
	m.data = resize(m.data, size)
}

// TestDataFileRefusals holds what cannot be opened or made against QEMU's words.
func TestDataFileRefusals(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		options, want string
	}{
		{"data_file_raw=on", "data-file-raw requires data-file"},
		{"data_file=" + dir + "/x,compat=0.10", "External data files are only supported with compatibility level 1.1"},
		{"data_file=" + dir + "/" + strings.Repeat("x", 400) + ",cluster_size=512", "too long for the header"},
	} {
		o, err := blockdev.ParseOptionString(c.options, "")
		if err != nil {
			t.Fatal(err)
		}
		err = blockdev.Create(context.Background(), filepath.Join(dir, "image"),
			blockdev.CreateConfig{
				Drivers: testDrivers, Format: "qcow2", Options: o, Size: 1 << 20,
			})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.options, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("there is something: %v %v", left, err)
	}
	image := externalImage(t, dir)
	for _, c := range []struct {
		what  string
		patch func(b []byte)
		want  string
	}{
		{"no file", func([]byte) {}, "Could not open '" + dir + "/gone'"},
		{"no name", func(b []byte) { b[112] = 0x77 }, "'data-file' is required for this image"},
		{"raw without one", func(b []byte) { b[79], b[95] = 0, 2 }, "data-file-raw requires a data file"},
	} {
		b := bytes.Clone(image)
		c.patch(b)
		_, o := newDisk("refused", b)
		_, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
			Drivers: append(testDrivers, diskDriver), Format: "qcow2", Options: o,
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	disks.Delete("refused")
}

// externalImage is an image whose data file is gone.
func externalImage(t *testing.T, dir string) []byte {
	t.Helper()
	path, data := filepath.Join(dir, "external"), filepath.Join(dir, "gone")
	err := blockdev.Create(context.Background(), path, blockdev.CreateConfig{
		Drivers: testDrivers, Format: "qcow2", Size: 1 << 20,
		Options: options("data_file", data, "cluster_size", "4096"),
	})
	if err != nil {
		t.Fatal(err)
	}
	image := readImage(t, path)
	if err := os.Remove(data); err != nil {
		t.Fatal(err)
	}
	return image
}

// TestDataFileGate asks before what an image calls its data file is opened.
func TestDataFileGate(t *testing.T) {
	dir := t.TempDir()
	_, o := newDisk("gated", externalImage(t, dir))
	defer disks.Delete("gated")
	if err := os.WriteFile(filepath.Join(dir, "gone"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var asked []driver.Link
	_, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: append(testDrivers, diskDriver), Format: "qcow2", Options: o,
		Gate: func(l driver.Link) error {
			asked = append(asked, l)
			return syscall.EPERM
		},
	})
	if !errors.Is(err, syscall.EPERM) || len(asked) != 1 ||
		asked[0].Name != filepath.Join(dir, "gone") {
		t.Errorf("%v, asked for %+v", err, asked)
	}
}

// TestDataFileIsImage opens an image that names itself: written as data it would be lost.
func TestDataFileIsImage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gone")
	if err := os.WriteFile(path, externalImage(t, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := blockdev.Open(context.Background(), path, blockdev.OpenConfig{
		Drivers: testDrivers, Format: "qcow2", Options: options("file.locking", "off"),
	})
	if err == nil || !strings.Contains(err.Error(), "itself") {
		t.Errorf("%v", err)
	}
}

// TestDataFileSnapshots refuses what QEMU refuses.
func TestDataFileSnapshots(t *testing.T) {
	m := newExternal(t, shape{Version: 3, ClusterBits: 12, RefcountBits: 16, Compression: "zlib"},
		false, false, 1)
	defer m.close()
	if _, err := m.dev.Snapshots(context.Background()); !errors.Is(err, syscall.ENOTSUP) {
		t.Errorf("%v", err)
	}
	err := m.dev.Write(context.Background(), driver.Vec{make([]byte, 4096)}, 0, driver.Compressed)
	if !errors.Is(err, syscall.ENOTSUP) {
		t.Errorf("compressed: %v", err)
	}
}

// twoDisks are an image file and a data file that record their changes in one order.
type twoDisks struct {
	mu   sync.Mutex
	log  []twoEvent
	base [2][]byte
}

type twoEvent struct {
	event
	on int // 0 is the image file
}

// watched is one of the two.
type watched struct {
	*disk
	both *twoDisks
	on   int
}

func (w *watched) note(before int) {
	w.both.mu.Lock()
	defer w.both.mu.Unlock()
	for _, e := range w.log[before:] {
		w.both.log = append(w.both.log, twoEvent{e, w.on})
	}
}

func (w *watched) WriteVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	defer w.note(len(w.log))
	return w.disk.WriteVec(ctx, v, off, f)
}

func (w *watched) Zero(ctx context.Context, off, n int64, f driver.Flags) error {
	defer w.note(len(w.log))
	return w.disk.Zero(ctx, off, n, f)
}

func (w *watched) Discard(ctx context.Context, off, n int64, f driver.Flags) error {
	defer w.note(len(w.log))
	return w.disk.Discard(ctx, off, n, f)
}

func (w *watched) Truncate(ctx context.Context, n int64, p driver.Prealloc, f driver.Flags) error {
	defer w.note(len(w.log))
	return w.disk.Truncate(ctx, n, p, f)
}

func (w *watched) Flush(ctx context.Context) error {
	defer w.note(len(w.log))
	return w.disk.Flush(ctx)
}

var watchedDriver = driver.Driver{
	Name: "test-watched", Kind: driver.Protocol,
	Config: diskConfig{},
	Open: func(_ context.Context, o *driver.Opening) (driver.Node, error) {
		d, _ := disks.Load(o.Config.(*diskConfig).Name)
		return d.(*watched), nil
	},
}

// openBoth opens an image on two disks.
func openBoth(t fataler, name string, nodes [2]driver.Node, drv string) *blockdev.Device {
	o := options("file.driver", drv, "file.name", name+"-0", "data-file.driver", drv,
		"data-file.name", name+"-1")
	for i, n := range nodes {
		disks.Store(fmt.Sprint(name, "-", i), n)
	}
	d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, watchedDriver, qcow2.Driver}, Format: "qcow2",
		Options: o,
		Mode:    driver.Mode{Unmap: true},
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return d
}

// recordBoth runs single requests on an image with a data file. It returns what the guest's disk
// was when it had been flushed, by the number of events then, and what it has been since.
func recordBoth(t *testing.T, image []byte, seed uint64, deaf string) (*twoDisks, []diskAt) {
	t.Helper()
	ctx := context.Background()
	both := &twoDisks{base: [2][]byte{image, make([]byte, 1<<20)}}
	var nodes [2]driver.Node
	for i := range nodes {
		d, _ := newDisk(fmt.Sprint("both-", i), both.base[i])
		d.deaf = deaf
		nodes[i] = &watched{d, both, i}
	}
	d := openBoth(t, "both", nodes, "test-watched")
	rng := rand.New(rand.NewPCG(seed, 6))
	data := make([]byte, 1<<20)
	states := []diskAt{{data: bytes.Clone(data)}}
	for range 12 {
		const cluster = 4096
		n := (1 + rng.Int64N(24)) * sector
		off := rng.Int64N((1<<20-n)/sector) * sector
		next := bytes.Clone(data)
		var err error
		switch rng.IntN(4) {
		case 0:
			off, n = off/cluster*cluster, cluster*2
			n = min(n, 1<<20-off)
			clear(next[off : off+n])
			err = d.Discard(ctx, off, n)
		case 1:
			clear(next[off : off+n])
			err = d.Zero(ctx, off, n, driver.MayUnmap)
		default:
			p := bytes.Repeat([]byte{byte(1 + rng.IntN(255))}, int(n))
			copy(next[off:], p)
			err = d.Write(ctx, driver.Vec{p}, off, 0)
		}
		states[len(states)-1].maybe = next
		if err == nil {
			err = d.Flush(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		data = next
		states = append(states, diskAt{event: len(both.log), data: bytes.Clone(data)})
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return both, states
}

// crash is what a crash behind the cut-th event may have left of both.
func (b *twoDisks) crash(rng *rand.Rand, cut int) (left [2][]byte) {
	durable := [2]int{} // events up to which are there for certain
	for i, e := range b.log[:cut+1] {
		if e.kind == evFlush {
			durable[e.on] = i
		}
	}
	left = [2][]byte{bytes.Clone(b.base[0]), bytes.Clone(b.base[1])}
	for i, e := range b.log[:cut+1] {
		survives := func(int64) bool { return true }
		if i > durable[e.on] {
			switch rng.IntN(4) {
			case 0:
				continue
			case 3:
				survives = func(int64) bool { return rng.IntN(2) == 0 }
			}
		}
		left[e.on] = e.apply(left[e.on], survives)
	}
	return left
}

// judgeBoth says what is wrong with what a crash left.
func judgeBoth(left [2][]byte, now diskAt) (wrong string) {
	defer func() {
		if p, ok := recover().(failure); ok {
			wrong = string(p)
		}
	}()
	var nodes [2]driver.Node
	for i := range nodes {
		nodes[i], _ = newDisk(fmt.Sprint("left-", i), left[i])
	}
	d := openBoth(panicker{}, "left", nodes, "test-disk")
	defer d.Close()
	res, err := d.Check(context.Background(), 0)
	if err != nil || res.Corruptions > 0 || res.CheckErrors > 0 {
		return fmt.Sprintf("check: %v %+v", err, res)
	}
	return sectorsOf(d, now.data, now.maybe)
}

// crashBoth cuts the power behind every event and returns the first thing that is wrong.
func crashBoth(t *testing.T, image []byte, seed uint64, deaf string) string {
	t.Helper()
	both, states := recordBoth(t, image, seed, deaf)
	rng := rand.New(rand.NewPCG(seed, 9))
	for cut := range both.log {
		now := states[0]
		for _, s := range states {
			if s.event <= cut+1 {
				now = s
			}
		}
		if wrong := judgeBoth(both.crash(rng, cut), now); wrong != "" {
			return fmt.Sprintf("seed %d, cut behind event %d of %d: %s", seed, cut, len(both.log),
				wrong)
		}
	}
	return ""
}

// TestDataFileCrash loses writes to either file. What was never there must not be seen: data is in
// its file before a table says so. Without that flush the test must fail.
func TestDataFileCrash(t *testing.T) {
	image := externalImage(t, t.TempDir())
	for seed := range uint64(blockdevtest.Rounds(6, 200)) {
		if wrong := crashBoth(t, image, seed, ""); wrong != "" {
			t.Fatal(wrong)
		}
	}
	for seed := range uint64(100) {
		if crashBoth(t, image, seed, "(*image).syncData") != "" {
			return
		}
	}
	t.Error("nobody misses the flush of the data file")
}

// TestDataFileAmend reads what is at the start of the data file after another width of refcounts:
// no other cluster has a place at 0.
func TestDataFileAmend(t *testing.T) {
	m := newExternal(t, shape{Version: 3, ClusterBits: 12, RefcountBits: 16, Compression: "zlib"},
		false, false, 1)
	defer m.close()
	ctx := context.Background()
	want := bytes.Repeat([]byte{7}, 4096)
	if err := m.dev.Write(ctx, driver.Vec{want}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := m.dev.Amend(ctx, options("refcount_bits", "32")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if err := m.dev.Read(ctx, driver.Vec{got}, 0, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("byte 0 is %d: %v", got[0], err)
	}
	err := m.dev.Write(ctx, driver.Vec{want}, 4096, driver.Compressed)
	if !errors.Is(err, syscall.ENOTSUP) {
		t.Errorf("compressed: %v", err)
	}
}
