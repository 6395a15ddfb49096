package copyonread

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blkdebug"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

const cluster = 4096

// overlay is a format in memory: clusters that it has not allocated are those of its backing bytes.
type overlay struct {
	driver.Leaf
	mu        sync.Mutex
	data      []byte // what is read, from whichever layer
	allocated []bool // by cluster
	holes     []bool // clusters of the backing file that are known to be zero
	log       []string
}

func newOverlay(backing []byte) *overlay {
	n := (len(backing) + cluster - 1) / cluster
	o := &overlay{data: bytes.Clone(backing), allocated: make([]bool, n), holes: make([]bool, n)}
	return o
}

func (o *overlay) Info() driver.Info {
	return driver.Info{
		Driver: "overlay",
		Limits: driver.Limits{Size: int64(len(o.data)), Cluster: cluster},
	}
}

func (o *overlay) begin(op string, off, n int64) (end func()) {
	o.mu.Lock()
	o.log = append(o.log, fmt.Sprintf("%s %d+%d", op, off, n))
	return o.mu.Unlock
}

func (o *overlay) allocate(off, n int64) {
	for i := off / cluster; i*cluster < off+n; i++ {
		o.allocated[i] = true
	}
}

func (o *overlay) ReadVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	defer o.begin("read", off, v.Len())()
	v.CopyFrom(o.data[off:])
	return nil
}

func (o *overlay) WriteVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	defer o.begin("write", off, v.Len())()
	o.allocate(off, v.Len())
	v.CopyTo(o.data[off:])
	return nil
}

func (o *overlay) Zero(_ context.Context, off, n int64, _ driver.Flags) error {
	defer o.begin("zero", off, n)()
	o.allocate(off, n)
	clear(o.data[off : off+n])
	return nil
}

func (o *overlay) Status(_ context.Context, off, n int64) (driver.Extent, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := off / cluster
	last := i
	for last*cluster < off+n && o.allocated[last] == o.allocated[i] && o.holes[last] == o.holes[i] {
		last++
	}
	e := driver.Extent{
		Off: off, Len: min(last*cluster-off, n), Allocated: o.allocated[i],
		Data: o.allocated[i],
	}
	if !e.Allocated {
		e.Depth, e.Zero = 1, o.holes[i]
	}
	return e, nil
}

// over opens the filter, and more in between if asked to, over o.
func over(t *testing.T, o *overlay, given ...string) *blockdev.Device {
	t.Helper()
	var options driver.Options
	options.Set("driver", "copy-on-read")
	options.Set("file.driver", "overlay")
	for i := 0; i < len(given); i += 2 {
		options.Set(given[i], given[i+1])
	}
	d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Options: &options,
		Drivers: []driver.Driver{Driver, blkdebug.Driver, {
			Name: "overlay",
			Kind: driver.Protocol,
			Open: func(context.Context, *driver.Opening) (driver.Node, error) { return o, nil },
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCopies(t *testing.T) {
	for _, c := range []struct {
		name      string
		allocated []int
		holes     []int
		off, n    int64
		log       []string
	}{
		{"within a cluster", nil, nil, 4100, 10, []string{"read 4096+4096", "write 4096+4096"}},
		{"across clusters", nil, nil, 4000, 200, []string{"read 0+8192", "write 0+8192"}},
		{"allocated", []int{0, 1}, nil, 4000, 200, []string{"read 4000+200"}},
		{"allocated before", []int{0}, nil, 4000, 200, []string{"read 4000+96", "read 4096+4096", "write 4096+4096"}},
		{"allocated behind", []int{1}, nil, 4000, 200, []string{"read 0+4096", "write 0+4096", "read 4096+104"}},
		{"zeroes that must be read", nil, nil, 5 * cluster, 1, []string{"read 20480+4096", "zero 20480+4096"}},
		{"zeroes that are known", nil, []int{5}, 5 * cluster, 1, []string{"zero 20480+4096"}},
		{"part of the last cluster", nil, nil, 7*cluster + 5, 1, []string{"read 28672+100", "write 28672+100"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			backing := bytes.Repeat([]byte("0123456789abcde"), 8*cluster)[:7*cluster+100]
			clear(backing[5*cluster : 6*cluster])
			o := newOverlay(backing)
			for _, i := range c.allocated {
				o.allocated[i] = true
			}
			for _, i := range c.holes {
				o.holes[i] = true
			}
			d := over(t, o)
			got := bytes.Repeat([]byte{0xff}, int(c.n))
			if err := d.Read(context.Background(), driver.Vec{got[:c.n/2], got[c.n/2:]}, c.off,
				0); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, backing[c.off:c.off+c.n]) {
				t.Errorf("read %q", got)
			}
			if !slices.Equal(o.log, c.log) {
				t.Errorf("requests %q, want %q", o.log, c.log)
			}
			if !bytes.Equal(o.data, backing) {
				t.Error("the copy changed what is read")
			}
			o.log = nil
			if err := d.Read(context.Background(), driver.Vec{got}, c.off, 0); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("read %d+%d", c.off, c.n); !slices.Equal(o.log, []string{want}) {
				t.Errorf("requests the second time %q, want %q", o.log, want)
			}
		})
	}
}

// TestLongRead copies no more than maxCopy at once.
func TestLongRead(t *testing.T) {
	backing := bytes.Repeat([]byte{3}, maxCopy+3*cluster)
	o := newOverlay(backing)
	d := over(t, o)
	got := make([]byte, len(backing)-1)
	if err := d.Read(context.Background(), driver.Vec{got}, 1, 0); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"read 0+16777216", "write 0+16777216", "read 16777216+12288", "write 16777216+12288",
	}
	if !slices.Equal(o.log, want) || !bytes.Equal(got, backing[1:]) {
		t.Errorf("requests %q, want %q", o.log, want)
	}
}

// TestEvent: the step before the copy is stored is reported to the node below, and an error there
// fails the read. What is allocated already is not written again.
func TestEvent(t *testing.T) {
	o := newOverlay(make([]byte, 4*cluster))
	o.allocated[1] = true
	d := over(t, o, "file.driver", "blkdebug", "file.image.driver", "overlay",
		"file.inject-error.event", "cor_write", "file.inject-error.sector", "8",
		"file.inject-error.errno", "28")
	buf := make([]byte, 2*cluster)
	if err := d.Read(context.Background(), driver.Vec{buf}, cluster, 0); err != nil {
		t.Errorf("sector 8 was read but not written, and yet: %v", err)
	}
	o.allocated[1] = false
	if err := d.Read(context.Background(), driver.Vec{buf}, cluster,
		0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("copy that fails: %v", err)
	}
}

// TestWriteWhileCopying holds a copy between reading and storing. A write to the same cluster must
// come behind it, or be lost.
func TestWriteWhileCopying(t *testing.T) {
	o := newOverlay(bytes.Repeat([]byte{1}, 2*cluster))
	d := over(t, o, "file.driver", "blkdebug", "file.image.driver", "overlay")
	bp, _ := driver.Find[driver.Breakpointer](d.Top())
	if err := bp.Break(driver.EvCorWrite, "A"); err != nil {
		t.Fatal(err)
	}
	var meter wait.Meter
	ctx := wait.WithMeter(context.Background(), &meter)
	var wg sync.WaitGroup
	start := func(do func() error) {
		t.Helper()
		meter.Add(1)
		wg.Go(func() {
			defer meter.Add(-1)
			if err := do(); err != nil {
				t.Error(err)
			}
		})
		if err := meter.Idle(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	start(func() error { return d.Read(ctx, driver.Vec{make([]byte, 10)}, 0, 0) })
	start(func() error { return d.Write(ctx, driver.Vec{{2, 2}}, 100, 0) })
	start(func() error { return d.Write(ctx, driver.Vec{{3}}, cluster, 0) })
	if !slices.Equal(o.log, []string{"read 0+4096", "write 4096+1"}) {
		t.Errorf("while the copy is held: %q", o.log)
	}
	if err := bp.Resume("A"); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if o.data[100] != 2 || o.data[101] != 2 || o.data[cluster] != 3 {
		t.Error("a write is lost")
	}
}

// TestModel reads and writes from many goroutines; each has bytes of its own in every cluster.
func TestModel(t *testing.T) {
	const workers, clusters = 4, 16
	backing := bytes.Repeat([]byte("backing "), clusters*cluster/8)
	o := newOverlay(backing)
	d := over(t, o)
	ctx := context.Background()
	want := bytes.Clone(backing)
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 2))
			const span = cluster / workers
			for i := range 400 {
				off := rnd.Int64N(clusters)*cluster + int64(w)*span
				if i%2 == 0 {
					fill := bytes.Repeat([]byte{byte(i)}, span)
					errs[w] = d.Write(ctx, driver.Vec{fill}, off, 0)
					copy(want[off:], fill)
				} else {
					got := make([]byte, span)
					errs[w] = d.Read(ctx, driver.Vec{got}, off, 0)
					if errs[w] == nil && !bytes.Equal(got, want[off:off+span]) {
						errs[w] = fmt.Errorf("bytes at %d differ", off)
					}
				}
				if errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(o.data, want) {
		t.Error("the contents differ in the end")
	}
}

func TestReadOnly(t *testing.T) {
	var options driver.Options
	options.Set("file.driver", blockdevtest.MemoryDriver.Name)
	options.Set("file.size", "1M")
	options.Set("read-only", "on")
	_, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{Driver, blockdevtest.MemoryDriver}, Options: &options,
		Format: "copy-on-read",
	})
	if err == nil || err.Error() != "Block node is read-only" ||
		!errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("read-only: %v", err)
	}
}

func TestSuite(t *testing.T) {
	const passed = blockdevtest.Passed
	blockdevtest.Run(t, blockdevtest.Subject{
		Driver: Driver,
		Options: func(_ testing.TB, size int64) *driver.Options {
			var o driver.Options
			o.Set("file.driver", blockdevtest.MemoryDriver.Name)
			o.Set("file.size", size)
			return &o
		},
		Row: blockdevtest.Row{
			Read: passed, Write: passed, Zero: passed, Discard: passed, Status: passed,
			Truncate: passed, Flush: passed,
		},
	})
}
