package qcow2_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// A crash may lose any part of what was written since the last flush, sector by sector, in any
// order. These tests record what the engine sends to its file, rebuild what a crash at every moment
// could have left, and look at it: an image may leak clusters, no more, and every sector holds what
// was there at the guest's last flush or something that was written to it since.

const sector = 512

// disk is a protocol in memory that records what changes it.
type disk struct {
	driver.Leaf
	mu   sync.Mutex
	data []byte
	base []byte // before all events
	log  []event
	op   int    // of the guest, see crashRun
	deaf string // a function of the engine whose flushes are lost
}

// event is one change, or a flush.
type event struct {
	kind eventKind
	off  int64
	data []byte
	size int64 // of a truncate
	op   int
}

type eventKind int

const (
	evWrite eventKind = iota
	evTruncate
	evFlush
)

var disks sync.Map // by name

type diskConfig struct {
	Name string `option:"name"`
}

var diskDriver = driver.Driver{
	Name: "test-disk", Doc: "memory that records its changes", Kind: driver.Protocol,
	Config: diskConfig{},
	Open: func(_ context.Context, o *driver.Opening) (driver.Node, error) {
		d, _ := disks.Load(o.Config.(*diskConfig).Name)
		return d.(*disk), nil
	},
}

// newDisk makes a disk with contents and returns the options of an image on it.
func newDisk(name string, contents []byte) (*disk, *driver.Options) {
	d := &disk{data: bytes.Clone(contents), base: contents}
	disks.Store(name, d)
	return d, options("file.driver", "test-disk", "file.name", name)
}

func (d *disk) Info() driver.Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	return driver.Info{Driver: "test-disk", Limits: driver.Limits{
		Size: int64(len(d.data)), ZeroTakes: driver.MayUnmap | driver.NoFallback,
	}}
}

func (d *disk) ReadVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v.Clear()
	if off < int64(len(d.data)) {
		v.CopyFrom(d.data[off:])
	}
	return nil
}

func (d *disk) WriteVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	p := make([]byte, v.Len())
	v.CopyTo(p)
	return d.record(event{kind: evWrite, off: off, data: p})
}

func (d *disk) Zero(_ context.Context, off, n int64, _ driver.Flags) error {
	if n > diskLimit {
		return syscall.EFBIG
	}
	return d.record(event{kind: evWrite, off: off, data: make([]byte, n)})
}

func (d *disk) Discard(_ context.Context, off, n int64, _ driver.Flags) error {
	d.mu.Lock()
	n = min(n, int64(len(d.data))-off)
	d.mu.Unlock()
	if n <= 0 {
		return nil
	}
	return d.record(event{kind: evWrite, off: off, data: make([]byte, n)})
}

func (d *disk) Truncate(_ context.Context, size int64, _ driver.Prealloc, _ driver.Flags) error {
	return d.record(event{kind: evTruncate, size: size})
}

func (d *disk) Flush(context.Context) error {
	if d.deaf == "" || !calledFrom(d.deaf) {
		return d.record(event{kind: evFlush})
	}
	return nil
}

// calledFrom says whether a function of the engine is on the stack.
func calledFrom(name string) bool {
	pc := make([]uintptr, 40)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, name) {
			return true
		}
		if !more {
			return false
		}
	}
}

// diskLimit is the longest disk, in bytes.
const diskLimit = 16 << 20

func (d *disk) record(e event) error {
	if e.off < 0 || e.off > diskLimit-int64(len(e.data)) || e.size > diskLimit {
		return syscall.EFBIG
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e.op = d.op
	d.log = append(d.log, e)
	d.data = e.apply(d.data, func(int64) bool { return true })
	return nil
}

// apply makes the change to data, but only in the sectors that survive.
func (e event) apply(data []byte, survives func(at int64) bool) []byte {
	switch e.kind {
	case evTruncate:
		if survives(0) {
			data = resize(data, e.size)
		}
	case evWrite:
		for at := e.off; at < e.off+int64(len(e.data)); {
			end := min((at/sector+1)*sector, e.off+int64(len(e.data)))
			if survives(at) {
				if end > int64(len(data)) {
					data = resize(data, end)
				}
				copy(data[at:end], e.data[at-e.off:])
			}
			at = end
		}
	}
	return data
}

// guestOp is what one request may have done to the guest's sectors.
type guestOp struct {
	off, n int64
	data   []byte // nil: zeroes
}

// ack is a moment at which the guest knew that everything in model was safe, and of the requests
// behind the op-th nothing.
type ack struct {
	event, op int
	model     []byte
}

// crashRun is a workload with all that is needed to judge a crash at any moment of it.
type crashRun struct {
	disk  *disk
	name  string
	fua   bool // some requests ask to be safe
	ops   []guestOp
	acks  []ack
	maybe []bool // by op: sizes are changing, data is not judged
}

// record runs a workload on an image of the given shape. With fua some requests ask to be safe when
// they return.
func record(
	t fataler, dir string, s shape, seed uint64, steps int, deaf string, fua bool,
) *crashRun {
	m := &model{t: t, shape: s, rng: rand.New(rand.NewPCG(seed, 2)), state: make([]byte, stateSize)}
	m.path = filepath.Join(dir, fmt.Sprintf("crash-%d.qcow2", modelFiles.Add(1)))
	size := (20 + m.rng.Int64N(60)) * s.cluster()
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", s.createOptions(), m.path, fmt.Sprint(size))
	m.data = make([]byte, size)
	m.open()
	for range 12 {
		m.write()
	}
	m.close()
	if s.Snapshot {
		qemuImg(t, "snapshot", "-c", "s", m.path)
	}
	contents, err := os.ReadFile(m.path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	r := &crashRun{name: filepath.Base(m.path), fua: fua}
	var o *driver.Options
	r.disk, o = newDisk(r.name, contents)
	r.disk.deaf = deaf
	m.dev = openDisk(t, o, s)
	r.acks = []ack{{model: bytes.Clone(m.data)}}
	for range steps {
		r.step(t, m)
	}
	m.close()
	return r
}

func openDisk(t fataler, o *driver.Options, s shape) *blockdev.Device {
	o = o.Clone()
	if s.SmallCaches {
		o.Merge(s.openOptions())
	}
	d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, qcow2.Driver, file.Driver}, Format: "qcow2",
		Options: o, Mode: driver.Mode{Unmap: true},
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return d
}

func (r *crashRun) begin(op guestOp, sizes bool) {
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	r.ops = append(r.ops, op)
	r.maybe = append(r.maybe, sizes)
	r.disk.op = len(r.ops)
}

// step does one request of whole sectors.
func (r *crashRun) step(t fataler, m *model) {
	ctx := context.Background()
	size := int64(len(m.data))
	c := m.shape.cluster()
	off := m.rng.Int64N(size/sector) * sector
	n := min(size-off, (1+m.rng.Int64N(4*c/sector))*sector)
	fua := driver.Flags(0)
	k := m.rng.IntN(20)
	if r.fua && k < 14 && m.rng.IntN(5) == 0 {
		fua = driver.FUA
	}
	var err error
	switch {
	case k < 8:
		b := m.bytes(n)
		r.begin(guestOp{off, n, b}, false)
		err = m.dev.Write(ctx, driver.Vec{b}, off, fua)
		copy(m.data[off:], b)
	case k < 11:
		off, n = off/c*c, c
		n = min(n, size-off)
		b := bytes.Repeat([]byte{byte(m.rng.Uint32())}, int(n))
		r.begin(guestOp{off, n, b}, false)
		if err = m.dev.Write(ctx, driver.Vec{b}, off, driver.Compressed|fua); err == nil {
			copy(m.data[off:], b)
		} else if driver.Errno(err) == syscall.EIO {
			err, fua = nil, 0 // there was something already
		}
	case k < 14:
		r.begin(guestOp{off, n, nil}, false)
		err = m.dev.Zero(ctx, off, n, driver.Flags(m.rng.IntN(2))*driver.MayUnmap|fua)
		clear(m.data[off : off+n])
	case k < 16:
		off, n = off/c*c, min(c*(1+m.rng.Int64N(3)), size-off/c*c)
		r.begin(guestOp{off, n, nil}, false)
		err = m.dev.Discard(ctx, off, n)
		clear(m.data[off : off+n])
	case k == 16 && !(m.shape.Version == 2 && m.shape.Snapshot):
		size = (20 + m.rng.Int64N(60)) * c
		r.begin(guestOp{}, true)
		if err = m.dev.Truncate(ctx, size, driver.Prealloc(0)); err == nil {
			m.data = resize(m.data, size)
			err = r.flush(m)
		}
	default:
		err = r.flush(m)
	}
	if err != nil {
		t.Fatalf("crash workload: %v", err)
	}
	if fua != 0 {
		r.acknowledge(r.ops[len(r.ops)-1])
	}
}

// acknowledge makes one request safe, which asked for it.
func (r *crashRun) acknowledge(op guestOp) {
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	last := r.acks[len(r.acks)-1]
	safe := bytes.Clone(last.model)
	clear(safe[op.off : op.off+op.n])
	copy(safe[op.off:], op.data)
	r.acks = append(r.acks, ack{event: len(r.disk.log), op: last.op, model: safe})
}

// flush makes everything safe.
func (r *crashRun) flush(m *model) error {
	err := m.dev.Flush(context.Background())
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	r.acks = append(r.acks, ack{event: len(r.disk.log), op: len(r.ops), model: bytes.Clone(m.data)})
	return err
}

// crashes calls judge with what a crash behind each event could have left; tries is how many for
// each. It ends when judge says so.
func (r *crashRun) crashes(rng *rand.Rand, tries int, judge func(image []byte, cut int) bool) bool {
	durable, from := bytes.Clone(r.disk.base), 0
	for cut := range r.disk.log {
		if r.disk.log[cut].kind == evFlush {
			for _, e := range r.disk.log[from:cut] {
				durable = e.apply(durable, func(int64) bool { return true })
			}
			from = cut + 1
		}
		for range tries {
			image := bytes.Clone(durable)
			for _, e := range r.disk.log[from : cut+1] {
				switch fate := rng.IntN(4); fate {
				case 0: // lost
				case 1, 2:
					image = e.apply(image, func(int64) bool { return true })
				default:
					image = e.apply(image, func(int64) bool { return rng.IntN(2) == 0 })
				}
			}
			if !judge(image, cut) {
				return false
			}
		}
	}
	return true
}

// judge opens what a crash left and says what is wrong with it, "" for nothing.
func (r *crashRun) judge(image []byte, cut int, s shape) (wrong string) {
	defer func() {
		if p, ok := recover().(failure); ok {
			wrong = string(p)
		}
	}()
	name := r.name + "-crashed"
	_, o := newDisk(name, image)
	defer disks.Delete(name)
	d := openDisk(panicker{}, o, shape{})
	defer d.Close()
	c, _ := driver.Find[driver.Checker](d.Top())
	res, err := c.Check(context.Background(), 0)
	if err != nil || res.Corruptions > 0 || res.CheckErrors > 0 {
		return fmt.Sprintf("check: %v %+v", err, res)
	}
	e := r.disk.log[cut]
	if e.op > 0 && r.maybe[e.op-1] {
		return ""
	}
	return r.judgeData(d, cut, e.op)
}

// judgeData looks at every sector of the guest.
func (r *crashRun) judgeData(d *blockdev.Device, cut, op int) string {
	last := r.acks[0]
	for _, a := range r.acks {
		if a.event <= cut+1 {
			last = a
		}
	}
	got := make([]byte, len(last.model))
	if d.Size() != int64(len(got)) {
		return fmt.Sprintf("length %d, not %d", d.Size(), len(got))
	}
	if err := d.Read(context.Background(), driver.Vec{got}, 0, 0); err != nil {
		return fmt.Sprintf("read: %v", err)
	}
	zeroes := make([]byte, sector)
	for at := int64(0); at < int64(len(got)); at += sector {
		have := got[at : at+sector]
		fine := bytes.Equal(have, last.model[at:at+sector])
		for _, g := range r.ops[last.op:op] {
			if fine {
				break
			}
			if at >= g.off && at < g.off+g.n {
				want := zeroes
				if g.data != nil {
					want = g.data[at-g.off : at-g.off+sector]
				}
				fine = bytes.Equal(have, want)
			}
		}
		if !fine {
			return fmt.Sprintf("sector at %d holds what was never there: %x...", at, have[:8])
		}
	}
	return ""
}

// failure and panicker let openDisk fail inside judge.
type failure string

type panicker struct{}

func (panicker) Helper()                           {}
func (panicker) Logf(string, ...any)               {}
func (panicker) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// crashShapes are kinds of images whose metadata is written in different ways.
var crashShapes = []shape{
	{Version: 3, ClusterBits: 9, RefcountBits: 16, Compression: "zlib"},
	{Version: 3, ClusterBits: 9, RefcountBits: 64, Compression: "zlib", SmallCaches: true},
	{Version: 3, ClusterBits: 12, RefcountBits: 16, Compression: "zstd", Snapshot: true},
	{Version: 3, ClusterBits: 10, RefcountBits: 16, Compression: "zlib", Lazy: true},
	{Version: 2, ClusterBits: 9, RefcountBits: 16, Compression: "zlib", Snapshot: true},
	{Version: 3, ClusterBits: 14, RefcountBits: 8, Compression: "zlib", Extended: true},
	{Version: 3, ClusterBits: 10, RefcountBits: 1, Compression: "zlib", SmallCaches: true},
	{Version: 3, ClusterBits: 10, RefcountBits: 16, Compression: "zlib", Snapshot: true, KeepRefs: true, SmallCaches: true},
}

// TestCrash cuts the power behind every write.
func TestCrash(t *testing.T) {
	needPeers(t)
	dir := t.TempDir()
	workloads := blockdevtest.Rounds(len(crashShapes), 500)
	for i := range workloads {
		s := crashShapes[i%len(crashShapes)]
		r := record(t, dir, s, uint64(i), 60, "", true)
		rng := rand.New(rand.NewPCG(uint64(i), 3))
		r.crashes(rng, 1, func(image []byte, cut int) bool {
			if wrong := r.judge(image, cut, s); wrong != "" {
				path := filepath.Join(os.TempDir(), "qcow2-crashed.img")
				_ = os.WriteFile(path, image, 0o600)
				t.Errorf("workload %d (%+v), cut behind event %d of %d (guest request %d): %s; image in %s",
					i, s, cut, len(r.disk.log), r.disk.log[cut].op, wrong, path)
				return false
			}
			return true
		})
		disks.Delete(r.name)
	}
}

// TestCrashJudgement removes one barrier of the engine after the other: each must be missed.
func TestCrashJudgement(t *testing.T) {
	needPeers(t)
	dir := t.TempDir()
	const durable = "(*guard).wrote"
	for _, c := range []struct {
		barrier string
		shapes  []int
	}{
		{"(*Tables).settle", []int{0, 1}}, // refcounts before L2 tables, and the other way round
		{"(*Tables).write", []int{2, 5}},  // data before L2 tables
		{"(*image).newL2", []int{0, 4}},   // L2 table before L1 entry
		{"(*image).barrier", []int{1, 6}}, // L2 entry before its old cluster is taken again
		{"(*image).makeBlock", []int{1}},  // refcount block before the refcount table
		{"(*image).markDirty", []int{3}},  // dirty bit before what it excuses
		{durable, []int{0, 2}},            // everything before the end of a request that asked for it
		{"(*image).shrink", []int{0, 1}},  // tables before the end of the file is cut off
	} {
		t.Run(c.barrier, func(t *testing.T) {
			for seed := range uint64(200) {
				s := crashShapes[c.shapes[seed%uint64(len(c.shapes))]]
				r := record(t, dir, s, 1000+seed, 60, c.barrier, c.barrier == durable)
				rng := rand.New(rand.NewPCG(seed, 4))
				sound := r.crashes(rng, 2,
					func(image []byte, cut int) bool { return r.judge(image, cut, s) == "" })
				disks.Delete(r.name)
				if !sound {
					return
				}
			}
			t.Errorf("nobody misses the flush in %s", c.barrier)
		})
	}
}
