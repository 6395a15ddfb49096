package blockdevtest

import (
	"bytes"
	"context"
	"errors"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// testStatus walks the extents of a device with data, zeroes and holes, and checks that they cover
// it and do not lie.
func (s Subject) testStatus(t *testing.T) {
	ctx := context.Background()
	d := s.fresh(t)
	must(t, d.Write(ctx, driver.Vec{noise(5, 100_000)}, 70_000, 0))
	must(t, d.Zero(ctx, 90_000, 8192, 0))
	must(t, d.Zero(ctx, 131072, 16384, driver.MayUnmap))
	must(t, d.Discard(ctx, 0, 65536))
	s.checkStatus(t, d)
}

// failer is what testing.TB and *rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func (s Subject) checkStatus(t failer, d *blockdev.Device) {
	t.Helper()
	ctx := context.Background()
	end := d.Size()
	for off := int64(0); off < end; {
		e, err := d.Status(ctx, off, end-off)
		if err != nil {
			t.Fatalf("status at %d: %v", off, err)
		}
		if e.Off != off || e.Len <= 0 || e.End() > end {
			t.Fatalf("status at %d of %d: an extent of %d bytes at %d", off, end, e.Len, e.Off)
		}
		if e.Data && !e.Allocated && e.Depth == 0 {
			t.Fatalf("status at %d: data in a layer that has not allocated it", off)
		}
		if e.Zero {
			p := make([]byte, e.Len)
			if err := d.Read(ctx, driver.Vec{p}, off, 0); err != nil {
				t.Fatalf("read at %d: %v", off, err)
			}
			if !s.Volatile && !driver.AllZero(p) {
				t.Fatalf("status calls %d bytes at %d zero, but they are not", e.Len, off)
			}
		}
		off = e.End()
	}
}

// testTruncate makes the device longer, shorter and longer again. What is added is zero, whatever
// was there before.
func (s Subject) testTruncate(t *testing.T) {
	ctx := context.Background()
	d := s.fresh(t)
	if s.Row.Truncate == Refused {
		if err := d.Truncate(ctx, s.Size+4096, driver.PreallocOff); err == nil {
			t.Error("grew")
		}
		if d.Size() != s.Size {
			t.Errorf("refused, and now %d bytes long", d.Size())
		}
		return
	}
	data := noise(6, s.Size)
	must(t, d.Write(ctx, driver.Vec{bytes.Clone(data)}, 0, 0))
	// a device that ends inside a block may grow to its end
	unit := max(driver.SectorSize, d.Info().RequestAlign)
	for _, size := range []int64{s.Size + 65536, s.Size - 65536, s.Size + unit, s.Size} {
		must(t, s.truncate(d, size))
		if d.Size() != size {
			t.Fatalf("%d bytes long, want %d", d.Size(), size)
		}
		if size < int64(len(data)) {
			data = data[:size]
		}
		data = append(data, make([]byte, size-int64(len(data)))...)
		s.expect(t, d, 0, data)
	}
}

// truncate changes the length, and writes zeroes where the driver does not promise them.
func (s Subject) truncate(d *blockdev.Device, size int64) error {
	ctx := context.Background()
	old := d.Size()
	err := d.Truncate(ctx, size, driver.PreallocOff)
	if err != nil || !s.Noise || size <= old {
		return err
	}
	return d.Zero(ctx, old, size-old, 0)
}

// testModel makes random requests of the device and of an array of bytes.
func (s Subject) testModel(t *testing.T) {
	s.Size = min(s.Size, 128<<10)
	rapid.Check(t, func(rt *rapid.T) {
		d := s.open(t, s.Options(t, s.Size))
		defer func() {
			if err := d.Close(); err != nil {
				rt.Fatalf("close: %v", err)
			}
		}()
		m := &model{s: s, d: d, bytes: make([]byte, d.Size())}
		rt.Repeat(map[string]func(*rapid.T){
			"write":    m.write,
			"zero":     m.zero,
			"discard":  m.discard,
			"truncate": m.truncate,
			"flush":    func(rt *rapid.T) { m.ok(rt, d.Flush(context.Background())) },
			"":         m.compare,
		})
		s.checkStatus(rt, d)
	})
}

// model is a device and what it should hold.
type model struct {
	s     Subject
	d     *blockdev.Device
	bytes []byte
	seed  uint64
}

func (m *model) ok(rt *rapid.T, err error) {
	rt.Helper()
	if err != nil {
		rt.Fatalf("%v", err)
	}
}

// span draws a range, often near the units that layers care for.
func (m *model) span(rt *rapid.T) (off, n int64) {
	size := int64(len(m.bytes))
	off = rapid.Int64Range(0, size-1).Draw(rt, "offset")
	n = rapid.Int64Range(1, min(size-off, 70_000)).Draw(rt, "length")
	if unit := rapid.SampledFrom([]int64{1, 512, 4096}).Draw(rt, "unit"); unit > 1 {
		off = off / unit * unit
		n = min((n+unit-1)/unit*unit, size-off)
	}
	return off, n
}

func (m *model) write(rt *rapid.T) {
	off, n := m.span(rt)
	m.seed++
	data := noise(m.seed, n)
	copy(m.bytes[off:], data)
	f := rapid.SampledFrom([]driver.Flags{0, driver.FUA}).Draw(rt, "flags")
	half := rapid.Int64Range(0, n).Draw(rt, "cut")
	m.ok(rt, m.d.Write(context.Background(), driver.Vec{data[:half], data[half:]}, off, f))
}

func (m *model) zero(rt *rapid.T) {
	off, n := m.span(rt)
	f := rapid.SampledFrom([]driver.Flags{0, driver.MayUnmap}).Draw(rt, "flags")
	m.ok(rt, m.d.Zero(context.Background(), off, n, f))
	clear(m.bytes[off : off+n])
}

// discard leaves each byte as it was or zero. Which of them is adopted; both are right.
func (m *model) discard(rt *rapid.T) {
	off, n := m.span(rt)
	err := m.d.Discard(context.Background(), off, n)
	if err != nil && !(m.s.Exact && errors.Is(err, syscall.EINVAL)) {
		rt.Fatalf("%v", err)
	}
	got := make([]byte, n)
	m.ok(rt, m.d.Read(context.Background(), driver.Vec{got}, off, 0))
	for i, b := range got {
		if b != 0 && b != m.bytes[off+int64(i)] {
			rt.Fatalf("byte %d is %#02x after a discard: neither zero nor what it was",
				off+int64(i), b)
		}
	}
	copy(m.bytes[off:], got)
}

func (m *model) truncate(rt *rapid.T) {
	if m.s.Row.Truncate == Refused {
		rt.Skip("has a fixed size")
	}
	// a device that ends inside a block may grow to its end
	unit := max(driver.SectorSize, m.d.Info().RequestAlign)
	size := rapid.Int64Range(1, 150_000/unit).Draw(rt, "units") * unit
	m.ok(rt, m.s.truncate(m.d, size))
	if size < int64(len(m.bytes)) {
		m.bytes = m.bytes[:size]
	}
	m.bytes = append(m.bytes, make([]byte, size-int64(len(m.bytes)))...)
}

func (m *model) compare(rt *rapid.T) {
	if m.d.Size() != int64(len(m.bytes)) {
		rt.Fatalf("%d bytes long, want %d", m.d.Size(), len(m.bytes))
	}
	got := make([]byte, len(m.bytes))
	m.ok(rt, m.d.Read(context.Background(), driver.Vec{got}, 0, 0))
	if !bytes.Equal(got, m.bytes) {
		rt.Fatalf("%s", firstDifference(0, got, m.bytes))
	}
}
