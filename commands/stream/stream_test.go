package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/verify"
)

func open(t testing.TB, name string) *blockdev.Device {
	t.Helper()
	d, err := blockdev.Open(t.Context(), name, blockdev.OpenConfig{Drivers: drivers.All()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// sparse makes a file of size bytes with data at each of the offsets, and returns its name and
// content.
func sparse(t testing.TB, size int64, data map[int64]int) (string, []byte) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk.img")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content := make([]byte, size)
	for off, n := range data {
		verify.Random(1).Fill(content[off:off+int64(n)], off)
		if _, err := f.WriteAt(content[off:off+int64(n)], off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return name, content
}

func TestReader(t *testing.T) {
	name, content := sparse(t, 16<<20,
		map[int64]int{
			0: 4096, 1 << 20: 3 << 20, 9<<20 + 8192: 100_000, 10 << 20: 4096,
			16<<20 - 4096: 4096,
		})
	for _, format := range []string{"", "driver:threads"} {
		d := open(t, name)
		if format != "" {
			d = open(t, `json:{"driver":"raw","file":{"driver":"file","aio":"threads","filename":"`+
				name+`"}}`)
		}
		for _, r := range []struct{ off, n int64 }{
			{0, 16 << 20},
			{5, 1},
			{512, 9 << 20},
			{1<<20 - 7, 300_000},
			{16 << 20, 0},
			{15 << 20, 1 << 20},
		} {
			for _, whole := range []bool{false, true} {
				at, zeroes := r.off, int64(0)
				done, err := Each(t.Context(), d, r.off, r.n, whole, func(p Piece) error {
					want := content[p.Off : p.Off+p.Len]
					switch {
					case p.Off != at || p.Len <= 0:
						t.Fatalf("%d bytes at %d, want them at %d", p.Len, p.Off, at)
					case p.Data == nil && !verify.IsZero(want):
						t.Errorf("%d bytes at %d are not zero", p.Len, p.Off)
					case p.Data != nil && !bytes.Equal(p.Data, want):
						t.Errorf("%d bytes at %d are not as written", p.Len, p.Off)
					}
					if p.Data == nil {
						zeroes += p.Len
					}
					at += p.Len
					return nil
				})
				if err != nil || done != r.n || at != r.off+r.n {
					t.Errorf("%d bytes at %d: %d read, up to %d, %v", r.n, r.off, done, at, err)
				}
				if whole && zeroes > 0 {
					t.Errorf("%d bytes were not read", zeroes)
				}
				if !whole && r.n == 16<<20 && zeroes < 10<<20 {
					t.Errorf("only %d bytes of the holes were left out", zeroes)
				}
			}
		}
	}
}

func TestOutside(t *testing.T) {
	name, _ := sparse(t, 1<<20, nil)
	d := open(t, name)
	for _, r := range []struct{ off, n int64 }{
		{1 << 20, 1},
		{-1, 1},
		{0, -1},
		{1, math.MaxInt64},
		{0, 1<<20 + 1},
	} {
		if _, err := NewReader(t.Context(), d, r.off, r.n, false); !errors.Is(err, syscall.EIO) {
			t.Errorf("read %d bytes at %d: %v", r.n, r.off, err)
		}
		if r.n < 0 {
			continue
		}
		_, err := Spread{
			Off: r.off, Len: r.n, Piece: 512,
			Do: func(context.Context, int, int64, int64) error {
				t.Errorf("a request for %d bytes at %d", r.n, r.off)
				return nil
			},
		}.Run(t.Context(), d)
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("write %d bytes at %d: %v", r.n, r.off, err)
		}
	}
}

func TestReaderStops(t *testing.T) {
	name, _ := sparse(t, 8<<20, map[int64]int{0: 8 << 20})
	d := open(t, name)
	ctx, cancel := context.WithCancel(t.Context())
	done, err := Each(ctx, d, 0, 8<<20, true, func(p Piece) error {
		if p.Off == 4*PieceSize {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || done != 5*PieceSize {
		t.Errorf("cancelled in the fifth piece: %d bytes, %v", done, err)
	}
	wrong := errors.New("wrong")
	if done, err = Each(t.Context(), d, 0, 8<<20, true,
		func(Piece) error { return wrong }); err != wrong || done != 0 {
		t.Errorf("%d bytes, %v", done, err)
	}
}

// TestReaderFails: the error of a piece comes in its turn, with the pieces before it read.
func TestReaderFails(t *testing.T) {
	name, _ := sparse(t, 8<<20, map[int64]int{0: 8 << 20})
	const bad = 3 * PieceSize / 512
	d := open(t,
		`json:{"driver":"raw","file":{"driver":"blkdebug","inject-error":[{"event":"none","iotype":"read","sector":`+
			`1536,"errno":28}],"image":{"driver":"file","filename":"`+name+`"}}}`)
	if bad != 1536 {
		t.Fatal("the sector is not at the start of the fourth piece")
	}
	done, err := Each(t.Context(), d, 0, 8<<20, true, func(Piece) error { return nil })
	if !errors.Is(err, syscall.ENOSPC) || done != bad*512 {
		t.Errorf("%d bytes, %v", done, err)
	}
}

func TestSpread(t *testing.T) {
	const size = 4 << 20
	name, _ := sparse(t, size, nil)
	d := open(t, name)
	pattern := verify.Random(9)
	for _, r := range []struct{ off, n int64 }{
		{0, size},
		{100, 5},
		{64<<10 - 3, 200_000},
		{size, 0},
	} {
		var bufs [3][64 << 10]byte
		var told atomic.Int64
		done, err := Spread{
			Off: r.off, Len: r.n, Piece: 64 << 10, Width: 3,
			Do: func(ctx context.Context, worker int, off, n int64) error {
				p := bufs[worker][:n]
				pattern.Fill(p, off)
				return d.Write(ctx, blockdev.Vec{p}, off, 0)
			},
			Progress: func(n int64) { told.Add(n) },
		}.Run(t.Context(), d)
		if err != nil || done != r.n || told.Load() != r.n {
			t.Errorf("%d bytes at %d: %d done, %d told, %v", r.n, r.off, done, told.Load(), err)
		}
	}
	b, err := os.ReadFile(name)
	if m := verify.Check(pattern, b, 0); err != nil || m != nil {
		t.Errorf("%v, %+v", err, m)
	}
}

// TestSpreadStops: what counts is the part without a gap.
func TestSpreadStops(t *testing.T) {
	name, _ := sparse(t, 1<<20, nil)
	d := open(t, name)
	wrong := errors.New("wrong")
	s := Spread{
		Len: 1 << 20, Piece: 4096, Width: 4,
		Do: func(_ context.Context, _ int, off, _ int64) error {
			if off == 5*4096 || off == 7*4096 {
				return wrong
			}
			return nil
		},
	}
	if done, err := s.Run(t.Context(), d); err != wrong || done != 5*4096 && done != 7*4096 {
		t.Errorf("%d bytes, %v", done, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if done, err := s.Run(ctx, d); !errors.Is(err, context.Canceled) || done != 0 {
		t.Errorf("cancelled: %d bytes, %v", done, err)
	}
}

// TestSpreadFlush: on a device that writes through, pieces leave durability to one flush at the
// end, which is also made after a failure.
func TestSpreadFlush(t *testing.T) {
	name, _ := sparse(t, 1<<20, nil)
	d := open(t,
		`json:{"driver":"blkdebug","inject-error":[{"event":"none","iotype":"flush","errno":28}],"image":{"driver":"file","filename":"`+name+`"}}`)
	d.SetWriteThrough(true)
	p := make([]byte, 4096)
	s := Spread{
		Len: 1 << 20, Piece: 4096, Width: 4, Flush: true,
		Do: func(ctx context.Context, _ int, off, n int64) error {
			return d.Write(ctx, blockdev.Vec{p[:n]}, off, blockdev.Deferred|blockdev.FUA)
		},
	}
	if done, err := s.Run(t.Context(), d); !errors.Is(err, syscall.ENOSPC) || done != 1<<20 {
		t.Errorf("%d bytes, %v", done, err)
	}
	if err := d.Write(t.Context(), blockdev.Vec{p}, 0, 0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write that is not deferred: %v", err)
	}
}

// TestSpreadSource: a source may end the range, in the middle of a piece or between two, or fail.
func TestSpreadSource(t *testing.T) {
	name, _ := sparse(t, 1<<20, nil)
	d := open(t, name)
	wrong := errors.New("wrong")
	for _, length := range []int64{0, 1, 4096, 10_000, 8192} {
		for _, end := range []error{io.EOF, nil, wrong} {
			left, last := length, int64(0)
			var written atomic.Int64
			done, err := Spread{
				Len: -1, Piece: 4096, Width: 2,
				Make: func(_ int, off, n int64) (int64, error) {
					if off != last {
						t.Errorf("asked for data at %d after %d", off, last)
					}
					n = min(n, left)
					left -= n
					last = off + n
					if left == 0 && end == wrong {
						return 0, end
					}
					return n, map[bool]error{left == 0: end}[true]
				},
				Do: func(_ context.Context, _ int, _, n int64) error {
					written.Add(n)
					return nil
				},
			}.Run(t.Context(), d)
			if end == wrong {
				if err != wrong || done > length {
					t.Errorf("a source of %d that fails: %d bytes, %v", length, done, err)
				}
				continue
			}
			if err != nil || done != length || written.Load() != length {
				t.Errorf("a source of %d that ends with %v: %d bytes, %d written, %v", length, end,
					done, written.Load(), err)
			}
		}
	}
}

// BenchmarkCheck compares a file in the page cache with a pattern, in order and on several
// processors.
func BenchmarkCheck(b *testing.B) {
	const size = 256 << 20
	name := filepath.Join(b.TempDir(), "disk.img")
	p := make([]byte, 1<<20)
	pattern := verify.Byte(0xcd)
	pattern.Fill(p, 0)
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	for range size / len(p) {
		if _, err := f.Write(p); err != nil {
			b.Fatal(err)
		}
	}
	f.Close()
	d := open(b, name)
	wrong := errors.New("mismatch")
	look := func(p Piece) error {
		if verify.Check(pattern, p.Data, p.Off) != nil {
			return wrong
		}
		return nil
	}
	run := func(name string, check func() error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if err := check(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("in order", func() error {
		_, err := Each(b.Context(), d, 0, size, false, look)
		return err
	})
	run("on several processors", func() error {
		_, err := Scan(b.Context(), d, 0, size, 0, false,
			func(_ context.Context, _ *struct{}, p Piece) error { return look(p) },
			func(*struct{}) error { return nil })
		return err
	})
}

// TestScan: however the parts are shared out, what was found comes in order and is all there is.
func TestScan(t *testing.T) {
	name, content := sparse(t, 100<<20,
		map[int64]int{
			0: 4096, 31 << 20: 3 << 20, 64<<20 - 512: 512, 70<<20 + 512: 512,
			80 << 20: 10 << 20,
		})
	d := open(t, name)
	type found struct {
		off, end int64
		read     int64
	}
	for _, r := range []struct{ off, n int64 }{
		{0, 100 << 20},
		{100, 65 << 20},
		{32 << 20, 32 << 20},
		{100 << 20, 0},
	} {
		for _, whole := range []bool{false, true} {
			at, read := r.off, int64(0)
			done, err := Scan(t.Context(), d, r.off, r.n, 0, whole,
				func(_ context.Context, f *found, p Piece) error {
					if f.end == 0 {
						f.off, f.end = p.Off, p.Off
					}
					if p.Off != f.end {
						t.Errorf("%d bytes at %d behind %d", p.Len, p.Off, f.end)
					}
					want := content[p.Off : p.Off+p.Len]
					if p.Data == nil && !verify.IsZero(want) || p.Data != nil &&
						!bytes.Equal(p.Data, want) {
						t.Errorf("%d bytes at %d are not as written", p.Len, p.Off)
					}
					f.end += p.Len
					f.read += int64(len(p.Data))
					return nil
				}, func(f *found) error {
					if f.off != at {
						t.Errorf("a part at %d, want it at %d", f.off, at)
					}
					at, read = f.end, read+f.read
					return nil
				})
			if err != nil || done != r.n || at != r.off+r.n {
				t.Errorf("%d bytes at %d: %d done, up to %d, %v", r.n, r.off, done, at, err)
			}
			if whole && read != r.n || !whole && r.n == 100<<20 && read > 20<<20 {
				t.Errorf("%d bytes at %d, all of them %v: %d read", r.n, r.off, whole, read)
			}
		}
	}
}

// TestScanStops: the first part that fails decides, and no merge comes after it.
func TestScanStops(t *testing.T) {
	name, _ := sparse(t, 100<<20, nil)
	d := open(t, name)
	wrong := errors.New("wrong")
	nothing := func(context.Context, *int, Piece) error { return nil }
	calls := 0
	done, err := Scan(t.Context(), d, 0, 100<<20, 0, true, nothing, func(*int) error {
		if calls++; calls == 2 {
			return wrong
		}
		return nil
	})
	if err != wrong || done != 2*partSize || calls != 2 {
		t.Errorf("a merge fails: %d bytes, %v, %d merges", done, err, calls)
	}
	done, err = Scan(t.Context(), d, 0, 100<<20, 0, true,
		func(_ context.Context, _ *int, p Piece) error {
			if p.Off >= 3*partSize {
				return wrong
			}
			return nil
		}, func(*int) error { return nil })
	if err != wrong || done != 3*partSize {
		t.Errorf("a part fails: %d bytes, %v", done, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, whole := range []bool{true, false} {
		if done, err := Scan(ctx, d, 0, 100<<20, 0, whole, nothing,
			func(*int) error { return nil }); !errors.Is(err, context.Canceled) || done != 0 {
			t.Errorf("cancelled: %d bytes, %v", done, err)
		}
	}
	if _, err := Scan(t.Context(), d, 1, 100<<20, 0, true, nothing,
		func(*int) error { return nil }); !errors.Is(err, syscall.EIO) {
		t.Errorf("outside: %v", err)
	}
}
