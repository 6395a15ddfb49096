package qcow2_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

var modelOps = flag.Int("model-ops", 0, "operations of the model test; 0: as the tier has it")

// shape is a kind of image.
type shape struct {
	Version      int
	ClusterBits  int
	RefcountBits int
	Compression  string
	Extended     bool
	Lazy         bool
	Depth        int // backing files
	Snapshot     bool
	SmallCaches  bool
	KeepRefs     bool
}

func drawShape(t *rapid.T) shape {
	s := shape{
		Version: 3, RefcountBits: 16, Compression: "zlib",
		ClusterBits: rapid.SampledFrom([]int{9, 10, 12, 16}).Draw(t, "cluster bits"),
		Depth:       rapid.SampledFrom([]int{0, 0, 1, 2, 3}).Draw(t, "depth"),
		Snapshot:    rapid.Bool().Draw(t, "snapshot"),
		SmallCaches: rapid.Bool().Draw(t, "small caches"),
	}
	if rapid.IntRange(0, 5).Draw(t, "v2") == 0 {
		s.Version = 2
		return s
	}
	s.RefcountBits = rapid.SampledFrom([]int{1, 2, 4, 8, 16, 32, 64}).Draw(t, "refcount bits")
	if s.RefcountBits == 1 {
		s.Snapshot = false
	}
	s.Compression = rapid.SampledFrom([]string{"zlib", "zstd"}).Draw(t, "compression")
	s.Lazy = rapid.Bool().Draw(t, "lazy")
	s.KeepRefs = rapid.IntRange(0, 4).Draw(t, "keep") == 0
	if rapid.Bool().Draw(t, "extended") {
		s.Extended, s.ClusterBits = true, max(s.ClusterBits, 14)
	}
	return s
}

func (s shape) cluster() int64 { return 1 << s.ClusterBits }

func (s shape) createOptions() string {
	compat := map[int]string{2: "0.10", 3: "1.1"}[s.Version]
	o := fmt.Sprintf("compat=%s,cluster_size=%d,refcount_bits=%d", compat, s.cluster(),
		s.RefcountBits)
	if s.Version == 3 {
		o += fmt.Sprintf(",compression_type=%s,extended_l2=%s,lazy_refcounts=%s", s.Compression,
			onOff(s.Extended), onOff(s.Lazy))
	}
	return o
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func (s shape) openOptions() *driver.Options {
	o := options()
	if s.SmallCaches {
		o.Set("l2-cache-size", "1k")
		o.Set("l2-cache-entry-size", "512")
	}
	if s.KeepRefs {
		o.Set("discard-no-unref", "on")
	}
	return o
}

// model is an image and what should be in it.
type model struct {
	t     fataler
	shape shape
	path  string
	dev   *blockdev.Device
	data  []byte // of the guest
	state []byte // machine state
	old   []byte // in the snapshot
	rng   *rand.Rand
}

const stateSize = 40000

// modelFiles numbers images, so that one of a failed run does not stand in the way of the next.
var modelFiles atomic.Int64

// newModel makes a chain of images with qemu-img, each with some data.
func newModel(t fataler, dir string, s shape, seed uint64) *model {
	m := &model{t: t, shape: s, rng: rand.New(rand.NewPCG(seed, 1)), state: make([]byte, stateSize)}
	backing := ""
	for i := 0; i <= s.Depth; i++ {
		size := m.size()
		m.path = filepath.Join(dir, fmt.Sprintf("%d.qcow2", modelFiles.Add(1)))
		args := []string{"create", "-q", "-f", "qcow2", "-o", s.createOptions()}
		if backing != "" {
			args = append(args, "-b", backing, "-F", "qcow2")
		}
		qemuImg(t, append(args, m.path, fmt.Sprint(size))...)
		m.data = resize(m.data, size)
		m.dev = openImage(t, m.path, s.openOptions())
		for range 10 {
			m.write()
		}
		if i < s.Depth {
			m.close()
		}
		backing = m.path
	}
	if s.Snapshot {
		m.close()
		qemuImg(t, "snapshot", "-c", "s", m.path)
		m.old = bytes.Clone(m.data)
		m.open()
	}
	return m
}

// resize cuts b or adds zeroes.
func resize(b []byte, n int64) []byte {
	if n <= int64(len(b)) {
		return b[:n:n]
	}
	return append(b, make([]byte, n-int64(len(b)))...)
}

// size is a length of some clusters or of a little more than an L2 table covers.
func (m *model) size() int64 {
	clusters := int64(20 + m.rng.IntN(60))
	if m.shape.ClusterBits == 9 && m.rng.IntN(2) == 0 {
		clusters += 100
	}
	return clusters*m.shape.cluster() + int64(m.rng.IntN(3))*512
}

func (m *model) open() { m.dev = openImage(m.t, m.path, m.shape.openOptions()) }

func (m *model) close() {
	if err := m.dev.Close(); err != nil {
		m.t.Fatalf("close: %v", err)
	}
}

// span is a range of the guest: any alignment, or whole clusters.
func (m *model) span() (off, n int64) {
	size := int64(len(m.data))
	unit := []int64{1, 1, 512, m.shape.cluster() / 32, m.shape.cluster()}[m.rng.IntN(5)]
	unit = max(1, unit)
	off = m.rng.Int64N(size) / unit * unit
	n = min(size-off, (1+m.rng.Int64N(max(1, 6*m.shape.cluster()/unit)))*unit)
	return off, n
}

// bytes is n bytes: one repeated, or random.
func (m *model) bytes(n int64) []byte {
	b := bytes.Repeat([]byte{byte(1 + m.rng.IntN(255))}, int(n))
	if m.rng.IntN(3) == 0 {
		for i := range b {
			b[i] = byte(m.rng.Uint32())
		}
	}
	return b
}

func (m *model) fail(op string, off, n int64, err error) {
	m.t.Fatalf("%s %d+%d: %v", op, off, n, err)
}

func (m *model) write() {
	off, n := m.span()
	b := m.bytes(n)
	m.t.Logf("write %d+%d", off, n)
	cut := m.rng.Int64N(n + 1)
	if err := m.dev.Write(context.Background(), driver.Vec{b[:cut], nil, b[cut:]}, off,
		0); err != nil {
		m.fail("write", off, n, err)
	}
	copy(m.data[off:], b)
}

func (m *model) writeCompressed() {
	c := m.shape.cluster()
	size := int64(len(m.data))
	off := m.rng.Int64N(size) / c * c
	n := min((1+m.rng.Int64N(3))*c, size-off)
	b := m.bytes(n)
	m.t.Logf("write -c %d+%d", off, n)
	err := m.dev.Write(context.Background(), driver.Vec{b}, off, driver.Compressed)
	if err != nil && !errors.Is(err, syscall.EIO) {
		m.fail("write -c", off, n, err)
	}
	if err == nil {
		copy(m.data[off:], b)
		return
	}
	got := make([]byte, n) // some clusters had a place: what was stored before is kept
	if err := m.dev.Read(context.Background(), driver.Vec{got}, off, 0); err != nil {
		m.fail("read", off, n, err)
	}
	for at := int64(0); at < n; at += c {
		end := min(at+c, n)
		if bytes.Equal(got[at:end], b[at:end]) {
			copy(m.data[off+at:], b[at:end])
		}
	}
}

func (m *model) zero(f driver.Flags) {
	off, n := m.span()
	m.t.Logf("zero %d+%d flags %d", off, n, f)
	if err := m.dev.Zero(context.Background(), off, n, f); err != nil {
		m.fail("zero", off, n, err)
	}
	clear(m.data[off : off+n])
}

func (m *model) discard() {
	off, n := m.span()
	m.t.Logf("discard %d+%d", off, n)
	if err := m.dev.Discard(context.Background(), off, n); err != nil {
		m.fail("discard", off, n, err)
	}
	if m.shape.Version == 2 && m.shape.Depth > 0 {
		return
	}
	c := m.shape.cluster()
	from, to := (off+c-1)/c*c, (off+n)/c*c
	if off+n == int64(len(m.data)) {
		to = off + n
	}
	if from < to {
		clear(m.data[from:to])
	}
}

func (m *model) truncate() {
	if m.shape.Version == 2 && m.shape.Snapshot {
		return
	}
	size := m.size()
	p := driver.PreallocOff
	if size > int64(len(m.data)) {
		p = driver.Prealloc(m.rng.IntN(4))
	}
	m.t.Logf("truncate to %d, preallocation %s", size, p)
	err := m.dev.Truncate(context.Background(), size, p)
	if m.shape.Version == 2 && m.shape.Depth > 0 && errors.Is(err, driver.ErrNotSupported) {
		return // version 2 cannot hide what a longer backing file has there
	}
	if err != nil {
		m.fail("truncate to", size, 0, err)
	}
	m.data = resize(m.data, size)
	m.state = m.bytes(stateSize) // its place may have moved
	if err := m.dev.WriteVMState(context.Background(), driver.Vec{m.state}, 0); err != nil {
		m.fail("write -b", 0, stateSize, err)
	}
}

func (m *model) vmState() {
	off := m.rng.Int64N(stateSize)
	n := 1 + m.rng.Int64N(stateSize-off)
	if m.rng.IntN(2) == 0 {
		m.t.Logf("write -b %d+%d", off, n)
		b := m.bytes(n)
		if err := m.dev.WriteVMState(context.Background(), driver.Vec{b}, off); err != nil {
			m.fail("write -b", off, n, err)
		}
		copy(m.state[off:], b)
	}
	b := make([]byte, n)
	if err := m.dev.ReadVMState(context.Background(), driver.Vec{b}, off); err != nil {
		m.fail("read -b", off, n, err)
	}
	if !bytes.Equal(b, m.state[off:off+n]) {
		m.t.Fatalf("machine state differs in %d+%d", off, n)
	}
}

func (m *model) read(off, n int64) {
	b := make([]byte, n)
	if err := m.dev.Read(context.Background(), driver.Vec{b}, off, 0); err != nil {
		m.fail("read", off, n, err)
	}
	for i := range b {
		if b[i] != m.data[off+int64(i)] {
			m.t.Fatalf("read %d+%d: byte %d is %#x, not %#x (%+v)", off, n, off+int64(i), b[i],
				m.data[off+int64(i)], m.shape)
		}
	}
}

// parallel runs several writes at once, to ranges of their own that share clusters.
func (m *model) parallel() {
	size := int64(len(m.data))
	const writers = 6
	m.t.Logf("parallel writes")
	part := max(1, min(size/writers, 3*m.shape.cluster()/2))
	base := m.rng.Int64N(size - writers*part + 1)
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range int64(writers) {
		off := base + i*part
		b := m.bytes(part)
		kind := m.rng.IntN(4)
		wg.Go(func() {
			switch kind {
			case 0:
				errs[i] = m.dev.Zero(context.Background(), off, part, driver.MayUnmap)
			default:
				errs[i] = m.dev.Write(context.Background(), driver.Vec{b}, off, 0)
			}
		})
		if kind == 0 {
			clear(b)
		}
		copy(m.data[off:], b)
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		m.fail("parallel writes", base, writers*part, err)
	}
}

// step does one operation.
func (m *model) step() {
	switch m.rng.IntN(20) {
	case 0, 1, 2, 3, 4:
		m.write()
	case 5, 6:
		m.writeCompressed()
	case 7, 8:
		m.zero(0)
	case 9:
		m.zero(driver.MayUnmap)
	case 10, 11:
		m.discard()
	case 12:
		if m.rng.IntN(3) == 0 {
			m.truncate()
		}
	case 13:
		m.vmState()
	case 14:
		if err := m.dev.Flush(context.Background()); err != nil {
			m.fail("flush", 0, 0, err)
		}
	case 15:
		m.parallel()
	case 16:
		if m.rng.IntN(4) == 0 {
			m.t.Logf("reopen")
			m.close()
			m.open()
		}
	default:
		m.read(m.span())
	}
}

// judge closes the image and asks qemu-img.
func (m *model) judge(dir string) {
	m.read(0, int64(len(m.data)))
	if n := m.dev.Size(); n != int64(len(m.data)) {
		m.t.Fatalf("length is %d, not %d", n, len(m.data))
	}
	m.close()
	qemuImg(m.t, "check", "-q", m.path)
	m.compare(dir, m.path, m.data)
	if m.shape.Snapshot {
		qemuImg(m.t, "snapshot", "-a", "s", m.path)
		// qemu-img itself leaks machine state when it shrinks an image
		qemuImg(m.t, "check", "-q", "-r", "leaks", m.path)
		m.compare(dir, m.path, m.old)
	}
}

func (m *model) compare(dir, path string, want []byte) {
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, want, 0o600); err != nil {
		m.t.Fatalf("%v", err)
	}
	qemuImg(m.t, "compare", "-f", "qcow2", "-F", "raw", path, plain)
}

// TestModel does random operations on random images and compares them with an array of bytes, by
// our own reading and by qemu-img's.
func TestModel(t *testing.T) {
	needPeers(t)
	dir := t.TempDir()
	total := *modelOps
	if total == 0 {
		total = blockdevtest.Rounds(3000, 100000)
	}
	const each = 150
	// a failure belongs to the change it came with
	if blockdevtest.Tier() < 3 && flag.Lookup("rapid.seed").Value.String() == "0" {
		if err := flag.Set("rapid.seed", "1"); err != nil {
			t.Fatal(err)
		}
	}
	checks := flag.Lookup("rapid.checks").Value
	usual := checks.String() // of the tests behind this one
	defer checks.Set(usual)
	if err := checks.Set(fmt.Sprint(max(1, total/each))); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := drawShape(t)
		m := newModel(t, dir, s, rapid.Uint64().Draw(t, "seed"))
		for range rapid.IntRange(1, each).Draw(t, "steps") {
			m.step()
		}
		m.judge(dir)
	})
}
