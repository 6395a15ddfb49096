package blockdev

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

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// ram is a node in memory that refuses whatever its limits do not allow, so that a guard that lets
// something through is found.
type ram struct {
	driver.Leaf
	t      *testing.T
	mu     sync.Mutex
	data   []byte
	lim    driver.Limits
	noZero bool
	log    []string
	hold   func(ctx context.Context, e driver.Event) error
}

func (r *ram) Info() Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lim
	l.Size = int64(len(r.data))
	return Info{Driver: "ram", Limits: l}
}

func (r *ram) note(op string, off, n int64, f Flags) {
	r.log = append(r.log, fmt.Sprintf("%s %d+%d %x", op, off, n, f))
}

func (r *ram) check(op string, off, n int64) {
	a := requestAlign(r.lim)
	if off%a != 0 || n%a != 0 || n <= 0 || n > maxTransfer(r.lim) {
		r.t.Errorf("%s %d+%d reached a node of alignment %d and largest transfer %d", op, off, n, a,
			r.lim.MaxTransfer)
	}
}

func (r *ram) ReadVec(_ context.Context, v Vec, off int64, f Flags) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.check("read", off, v.Len())
	if !memoryFits(r.lim, v) {
		r.t.Error("memory that the node cannot take")
	}
	r.note("read", off, v.Len(), f)
	if off < int64(len(r.data)) {
		n := v.CopyFrom(r.data[off:])
		v.Slice(int64(n), v.Len()-int64(n)).Clear()
	}
	return nil
}

func (r *ram) WriteVec(_ context.Context, v Vec, off int64, f Flags) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.check("write", off, v.Len())
	if !memoryFits(r.lim, v) {
		r.t.Error("memory that the node cannot take")
	}
	r.note("write", off, v.Len(), f)
	if grow := off + v.Len() - int64(len(r.data)); grow > 0 {
		r.data = append(r.data, make([]byte, grow)...)
	}
	v.CopyTo(r.data[off:])
	return nil
}

func (r *ram) Zero(_ context.Context, off, n int64, f Flags) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.noZero || r.lim.ZeroAlign > 0 && (off%r.lim.ZeroAlign != 0 || n%r.lim.ZeroAlign != 0) {
		return ErrNotSupported
	}
	r.note("zero", off, n, f)
	clear(r.data[off : off+n])
	return nil
}

func (r *ram) Discard(_ context.Context, off, n int64, _ Flags) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note("discard", off, n, 0)
	if a := max(1, r.lim.DiscardAlign); off%a != 0 || n%a != 0 {
		return syscall.EINVAL
	}
	return nil
}

func (r *ram) Flush(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, "flush")
	return nil
}

func (r *ram) OnEvent(ctx context.Context, e driver.Event) error {
	r.mu.Lock()
	r.log = append(r.log, e.String())
	hold := r.hold
	r.mu.Unlock()
	if hold == nil {
		return nil
	}
	return hold(ctx, e)
}

func guarded(t *testing.T, size int, lim driver.Limits) (*guard, *ram) {
	t.Helper()
	r := &ram{t: t, data: make([]byte, size), lim: lim}
	for i := range r.data {
		r.data[i] = byte(i>>4) | 1
	}
	g := newGuard(r, "n")
	g.unmap.Store(true)
	return g, r
}

func TestGuardRequests(t *testing.T) {
	write := func(off, n int64, f Flags) func(*guard) error {
		return func(g *guard) error {
			return g.WriteVec(t.Context(), Vec{bytes.Repeat([]byte{7}, int(n))}, off, f)
		}
	}
	zero := func(off, n int64, f Flags) func(*guard) error {
		return func(g *guard) error { return g.Zero(t.Context(), off, n, f) }
	}
	discard := func(off, n int64) func(*guard) error {
		return func(g *guard) error { return g.Discard(t.Context(), off, n, 0) }
	}
	tests := []struct {
		name string
		lim  driver.Limits
		do   func(*guard) error
		err  error
		want []string
	}{
		{"aligned write", driver.Limits{RequestAlign: 512}, write(512, 512, 0), nil, []string{"pwritev", "write 512+512 0", "pwritev_done"}},
		{
			"write inside one block",
			driver.Limits{RequestAlign: 512},
			write(600, 10, 0), nil,
			[]string{
				"pwritev_rmw_head", "pwritev_rmw_tail", "read 512+512 0", "pwritev_rmw_after_head",
				"pwritev_rmw_after_tail",
				"pwritev", "write 512+512 0", "pwritev_done",
			},
		},
		{
			"write over both edges",
			driver.Limits{RequestAlign: 512},
			write(100, 1600, 0), nil,
			[]string{
				"pwritev_rmw_head", "read 0+512 0", "pwritev_rmw_after_head",
				"pwritev_rmw_tail", "read 1536+512 0", "pwritev_rmw_after_tail",
				"pwritev", "write 0+2048 0", "pwritev_done",
			},
		},
		{
			"two blocks are read at once",
			driver.Limits{RequestAlign: 512},
			write(100, 800, 0), nil,
			[]string{
				"pwritev_rmw_head", "pwritev_rmw_tail", "read 0+1024 0", "pwritev_rmw_after_head",
				"pwritev_rmw_after_tail",
				"pwritev", "write 0+1024 0", "pwritev_done",
			},
		},
		{
			"split",
			driver.Limits{RequestAlign: 512, MaxTransfer: 1024},
			write(0, 2560, 0), nil,
			[]string{
				"pwritev", "write 0+1024 0", "write 1024+1024 0", "write 2048+512 0",
				"pwritev_done",
			},
		},
		{"FUA that the node takes", driver.Limits{WriteTakes: FUA}, write(0, 512, FUA), nil, []string{"pwritev", "write 0+512 1", "pwritev_done"}},
		{"FUA by flush", driver.Limits{}, write(0, 512, FUA), nil, []string{"pwritev", "write 0+512 0", "flush", "pwritev_done"}},
		{"compressed where it cannot be", driver.Limits{}, write(0, 512, Compressed), ErrNotSupported, nil},
		{"zero", driver.Limits{ZeroTakes: MayUnmap}, zero(0, 4096, MayUnmap|FUA), nil, []string{
			"pwritev_zero", "zero 0+4096 2", "flush", "pwritev_done",
		}},
		{"zero in units", driver.Limits{ZeroAlign: 1024}, zero(512, 3584-512, 0), nil, []string{
			"pwritev_zero", "write 512+512 0", "zero 1024+2048 0", "write 3072+512 0",
			"pwritev_done",
		}},
		{
			"zero no longer than the node likes",
			driver.Limits{MaxZero: 1024},
			zero(0, 2048, 0), nil,
			[]string{
				"pwritev_zero", "zero 0+1024 0", "zero 1024+1024 0", "pwritev_done",
			},
		},
		{"zero without fallback", driver.Limits{}, zero(0, 512, NoFallback), ErrNotSupported, []string{"pwritev_zero", "pwritev_done"}},
		{"zero with edges", driver.Limits{RequestAlign: 512}, zero(100, 1400, 0), nil, []string{
			"pwritev_rmw_head", "read 0+512 0", "pwritev_rmw_after_head",
			"pwritev_rmw_tail", "read 1024+512 0", "pwritev_rmw_after_tail",
			"pwritev", "write 0+512 0", "pwritev_done",
			"pwritev_zero", "zero 512+512 0", "pwritev_done",
			"pwritev", "write 1024+512 0", "pwritev_done",
		}},
		{
			"discard in units, refused edges skipped",
			driver.Limits{RequestAlign: 512, DiscardAlign: 2048},
			discard(1024, 6144), nil,
			[]string{
				"discard 1024+1024 0", "discard 2048+4096 0", "discard 6144+1024 0",
			},
		},
		{
			"discard no longer than the node likes",
			driver.Limits{MaxDiscard: 1024},
			discard(0, 2500),
			nil,
			[]string{
				"discard 0+1024 0", "discard 1024+1024 0", "discard 2048+452 0",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, r := guarded(t, 8192, tt.lim)
			before := slices.Clone(r.data)
			if err := tt.do(g); !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if !slices.Equal(r.log, tt.want) {
				t.Errorf("requests\n got %q\nwant %q", r.log, tt.want)
			}
			if tt.err != nil && !bytes.Equal(before, r.data) {
				t.Error("a refused request changed data")
			}
		})
	}
}

func TestGuardUnmapOff(t *testing.T) {
	g, r := guarded(t, 4096, driver.Limits{ZeroTakes: MayUnmap})
	g.unmap.Store(false)
	if err := errors.Join(g.Discard(t.Context(), 0, 512, 0),
		g.Zero(t.Context(), 0, 512, MayUnmap)); err != nil {
		t.Fatal(err)
	}
	if want := []string{
		"pwritev_zero", "zero 0+512 0",
		"pwritev_done",
	}; !slices.Equal(r.log, want) {
		t.Errorf("requests %q, want %q", r.log, want)
	}
}

func TestGuardFlushOnlyWhatIsNew(t *testing.T) {
	g, r := guarded(t, 4096, driver.Limits{})
	flush := func() {
		t.Helper()
		if err := g.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	flush()
	if err := g.WriteVec(t.Context(), Vec{make([]byte, 512)}, 0, 0); err != nil {
		t.Fatal(err)
	}
	flush()
	flush()
	if want := []string{
		"pwritev", "write 0+512 0", "pwritev_done",
		"flush",
	}; !slices.Equal(r.log, want) {
		t.Errorf("requests %q, want %q", r.log, want)
	}
}

// Random requests through guards of all kinds leave what they would leave in an array.
func TestGuardModel(t *testing.T) {
	for _, lim := range []driver.Limits{
		{},
		{RequestAlign: 512},
		{RequestAlign: 4096, MemAlign: 4096},
		{RequestAlign: 512, MaxTransfer: 1024, ZeroAlign: 2048, MaxZero: 4096},
		{RequestAlign: 64, ZeroAlign: 192, MemAlign: 16},
	} {
		for _, noZero := range []bool{false, true} {
			g, r := guarded(t, 64<<10, lim)
			r.noZero = noZero
			want := slices.Clone(r.data)
			rnd := rand.New(rand.NewPCG(1, uint64(lim.RequestAlign)))
			for range 2000 {
				off := rnd.Int64N(int64(len(want)))
				n := rnd.Int64N(min(9000, int64(len(want))-off)) + 1
				var err error
				switch rnd.IntN(3) {
				case 0:
					p := make([]byte, n+3)[rnd.IntN(3):][:n]
					for i := range p {
						p[i] = byte(rnd.Uint32())
					}
					copy(want[off:], p)
					half := n / 2
					err = g.WriteVec(t.Context(), Vec{p[:half], nil, p[half:]}, off, 0)
				case 1:
					clear(want[off : off+n])
					err = g.Zero(t.Context(), off, n, 0)
				default:
					p := bytes.Repeat([]byte{0xee}, int(n))
					err = g.ReadVec(t.Context(), Vec{p}, off, 0)
					if !bytes.Equal(p, want[off:off+n]) {
						t.Fatalf("%+v: wrong data at %d+%d", lim, off, n)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(r.data, want) {
				t.Fatalf("%+v: contents differ at the end", lim)
			}
			r.log = nil
		}
	}
}

func TestGuardReadsZeroesBehindTheEnd(t *testing.T) {
	g, _ := guarded(t, 1000, driver.Limits{RequestAlign: 1})
	p := bytes.Repeat([]byte{0xee}, 100)
	if err := g.ReadVec(t.Context(), Vec{p}, 950, 0); err != nil {
		t.Fatal(err)
	}
	if p[49] == 0 || !driver.AllZero(p[50:]) {
		t.Errorf("read %x around the end of a node of 1000 bytes", p)
	}
}

// A write held inside its read-modify-write makes overlapping requests wait and lets others pass.
func TestGuardSerialises(t *testing.T) {
	g, r := guarded(t, 8192, driver.Limits{RequestAlign: 4096})
	m := new(wait.Meter)
	ctx := wait.WithMeter(t.Context(), m)
	var gate struct {
		sync.Mutex
		waiters wait.Waiters
		held    bool
	}
	r.hold = func(ctx context.Context, e driver.Event) error {
		if e != driver.EvPwritevRMWAfterHead || gate.held {
			return nil
		}
		gate.Lock()
		defer gate.Unlock()
		gate.held = true
		return gate.waiters.Wait(ctx, &gate)
	}
	var mu sync.Mutex
	var done []string
	start := func(name string, do func() error) {
		m.Add(1)
		go func() {
			defer m.Add(-1)
			if err := do(); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, name)
		}()
		if err := m.Idle(t.Context()); err != nil {
			t.Error(err)
		}
	}
	one := func(b byte, off int64) func() error {
		return func() error { return g.WriteVec(ctx, Vec{bytes.Repeat([]byte{b}, 512)}, off, 0) }
	}
	start("held", one(1, 512))
	start("same block", one(2, 1024))
	start("reader", func() error { return g.ReadVec(ctx, Vec{make([]byte, 4096)}, 0, 0) })
	start("elsewhere", one(3, 4096+512))
	if want := []string{"elsewhere"}; !slices.Equal(done, want) {
		t.Fatalf("done while the first is held: %q, want %q", done, want)
	}
	gate.Lock()
	gate.waiters.Wake()
	gate.Unlock()
	if err := m.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(done)
	if want := []string{"elsewhere", "held", "reader", "same block"}; !slices.Equal(done, want) {
		t.Fatalf("done in the end: %q", done)
	}
	if r.data[512] != 1 || r.data[1024] != 2 || r.data[4096+512] != 3 {
		t.Error("an update was lost")
	}
}

func TestDiscardPieceEndsAndCovers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		req := int64(1) << rnd.IntN(13)
		align := req * (1 + rnd.Int64N(5))
		off, n := rnd.Int64N(1<<16), 1+rnd.Int64N(1<<16)
		for end := off + n; n > 0; {
			num := discardPiece(off, n, align, req)
			if num <= 0 || num > n {
				t.Fatalf("piece of %d bytes at %d+%d, align %d, block %d", num, off, n, align, req)
			}
			off, n = off+num, n-num
			if off > end {
				t.Fatal("past the end")
			}
		}
	}
}

// A write that a flush overtakes is covered by the next flush.
func TestGuardFlushDuringWrite(t *testing.T) {
	g, r := guarded(t, 4096, driver.Limits{})
	flush := func() {
		t.Helper()
		if err := g.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.WriteVec(t.Context(), Vec{{1}}, 0, 0); err != nil {
		t.Fatal(err)
	}
	r.hold = func(_ context.Context, e driver.Event) error {
		if e == driver.EvPwritev {
			flush()
		}
		return nil
	}
	if err := g.WriteVec(t.Context(), Vec{{2}}, 1, 0); err != nil {
		t.Fatal(err)
	}
	r.log = nil
	flush()
	if !slices.Contains(r.log, "flush") {
		t.Errorf("the second write is not flushed: %q", r.log)
	}
}
