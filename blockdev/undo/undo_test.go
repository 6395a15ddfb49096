package undo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/blockdev/undo"
)

// memLog is a log in memory that knows what of it was synced.
type memLog struct {
	bytes.Buffer
	synced int
	fail   error // of the next write
}

func (l *memLog) Write(b []byte) (int, error) {
	if l.fail != nil {
		return 0, l.fail
	}
	return l.Buffer.Write(b)
}

func (l *memLog) Sync() error {
	l.synced = l.Len()
	return nil
}

// openDisk opens a file; a log notes what is changed.
func openDisk(t testing.TB, name, format string, log *memLog) *blockdev.Device {
	t.Helper()
	cfg := blockdev.OpenConfig{
		Drivers: drivers.All(), Format: format,
		Mode: blockdev.Mode{Unmap: true},
	}
	if log != nil {
		cfg.Filter = undo.Driver(log)
	}
	d, err := blockdev.Open(context.Background(), name, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// contents reads all of a disk.
func contents(t testing.TB, d *blockdev.Device) []byte {
	t.Helper()
	b := make([]byte, d.Info().Size)
	if len(b) == 0 {
		return b
	}
	if err := d.Read(context.Background(), blockdev.Vec{b}, 0, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

const diskSize = 1 << 20

// makeDisk makes a disk with data in some places.
func makeDisk(t testing.TB, name, format string) []byte {
	t.Helper()
	err := blockdev.Create(context.Background(), name, blockdev.CreateConfig{
		Drivers: drivers.All(), Format: format, Size: diskSize, Force: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	d := openDisk(t, name, format, nil)
	defer d.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 8 {
		b := make([]byte, 1+r.IntN(40_000))
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		if err := d.Write(context.Background(), blockdev.Vec{b}, int64(i)*diskSize/8,
			0); err != nil {
			t.Fatal(err)
		}
	}
	return contents(t, d)
}

// change does something to the disk at random.
func change(rt *rapid.T, d *blockdev.Device) error {
	ctx := context.Background()
	size := d.Info().Size
	off := rapid.Int64Range(0, max(0, size-1)).Draw(rt, "off")
	n := min(rapid.Int64Range(1, 100_000).Draw(rt, "n"), size-off)
	if rapid.IntRange(0, 9).Draw(rt, "resize") == 0 || n <= 0 {
		return d.Truncate(ctx, rapid.Int64Range(0, 4).Draw(rt, "quarters")*diskSize/2, 0)
	}
	switch rapid.IntRange(0, 3).Draw(rt, "what") {
	case 0:
		return d.Zero(ctx, off, n, blockdev.MayUnmap)
	case 1:
		return d.Discard(ctx, off, n)
	}
	b := bytes.Repeat([]byte{byte(rapid.Uint32().Draw(rt, "byte"))}, int(n))
	return d.Write(ctx, blockdev.Vec{b}, off,
		rapid.SampledFrom([]blockdev.Flags{0, blockdev.FUA}).Draw(rt, "flags"))
}

// TestUndoesAnything changes disks at random and puts them back, after a log that ends anywhere
// behind what was on stable storage when the last change began.
func TestUndoesAnything(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"raw", "qcow2"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				name := t.TempDir() + "/disk"
				before := makeDisk(t, name, format)
				log := &memLog{}
				d := openDisk(t, name, format, log)
				for range rapid.IntRange(0, 12).Draw(rt, "changes") {
					if err := change(rt, d); err != nil {
						rt.Fatal(err)
					}
				}
				if err := d.Close(); err != nil {
					rt.Fatal(err)
				}
				restored(rt, t, name, format, log.Bytes(), before)
			})
		})
	}
}

// restored puts a disk back and looks at it; a second time changes nothing.
func restored(rt *rapid.T, t *testing.T, name, format string, log, before []byte) {
	t.Helper()
	d := openDisk(t, name, format, nil)
	defer d.Close()
	l, err := undo.Read(t.Context(), bytes.NewReader(log), int64(len(log)))
	if err != nil {
		rt.Fatal(err)
	}
	for range 2 {
		if err := l.Check(context.Background(), d); err != nil {
			rt.Fatal(err)
		}
		if err := l.Restore(context.Background(), d); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(contents(t, d), before) {
			rt.Fatal("the disk is not what it was")
		}
	}
}

// TestCut stops the program anywhere in a change: while its records are written the disk is as it
// was before, and with all of them it may be as before or after. It is put back each time.
func TestCut(t *testing.T) {
	t.Parallel()
	name := t.TempDir() + "/disk"
	first := makeDisk(t, name, "raw")
	log := &memLog{}
	d := openDisk(t, name, "raw", log)
	defer d.Close()
	before := first
	for i := range 6 {
		at := log.Len()
		b := bytes.Repeat([]byte{byte(i + 1)}, 70_000)
		if err := d.Write(context.Background(), blockdev.Vec{b}, int64(i)*50_000, 0); err != nil {
			t.Fatal(err)
		}
		after := contents(t, d)
		for _, end := range []int{at, at + 1, (at + log.Len()) / 2, log.Len() - 1, log.Len()} {
			putBack(t, fmt.Sprintf("change %d, the log cut at %d of %d", i, end, log.Len()),
				log.Bytes()[:end], before, first)
		}
		putBack(t, fmt.Sprintf("change %d, made", i), log.Bytes(), after, first)
		before = after
	}
}

// putBack has a disk with some contents become what it was at first.
func putBack(t *testing.T, what string, log, contents, first []byte) {
	t.Helper()
	disk := &array{data: bytes.Clone(contents)}
	l, err := undo.Read(t.Context(), bytes.NewReader(log), int64(len(log)))
	if err == nil {
		err = l.Check(context.Background(), disk)
	}
	if err == nil {
		err = l.Restore(context.Background(), disk)
	}
	if err != nil || !bytes.Equal(disk.data, first) {
		t.Errorf("%s: not put back, %v", what, err)
	}
}

// TestSavedFirst wants the old bytes on stable storage before the disk changes: with the log as it
// was last synced, every block that changed is known.
func TestSavedFirst(t *testing.T) {
	t.Parallel()
	name := t.TempDir() + "/disk"
	before := makeDisk(t, name, "raw")
	log := &memLog{}
	d := openDisk(t, name, "raw", log)
	defer d.Close()
	r := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		b := bytes.Repeat([]byte{byte(r.Uint32())}, 1+r.IntN(30_000))
		off := r.Int64N(diskSize - int64(len(b)))
		if err := d.Write(context.Background(), blockdev.Vec{b}, off, 0); err != nil {
			t.Fatal(err)
		}
		l, err := undo.Read(t.Context(), bytes.NewReader(log.Bytes()[:log.synced]),
			int64(log.synced))
		if err != nil {
			t.Fatal(err)
		}
		now := contents(t, d)
		disk := &array{data: now}
		if err := l.Restore(context.Background(), disk); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(disk.data, before) {
			t.Fatal("a block changed before its old bytes were safe")
		}
	}
}

// TestForeign has somebody else write to the disk: it is told where, and nothing is put back.
func TestForeign(t *testing.T) {
	t.Parallel()
	name := t.TempDir() + "/disk"
	makeDisk(t, name, "raw")
	log := &memLog{}
	d := openDisk(t, name, "raw", log)
	ctx := context.Background()
	write := func(d *blockdev.Device, off, n int64, b byte) {
		t.Helper()
		if err := d.Write(ctx, blockdev.Vec{bytes.Repeat([]byte{b}, int(n))}, off, 0); err != nil {
			t.Fatal(err)
		}
	}
	write(d, 0, 64<<10, 1)
	write(d, 256<<10, 4<<10, 2)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDisk(t, name, "raw", nil)
	defer d.Close()
	write(d, 1024, 512, 9)
	write(d, 2048, 1024, 9)
	write(d, 128<<10, 4096, 9) // nothing was changed here
	l, err := undo.Read(t.Context(), bytes.NewReader(log.Bytes()), int64(log.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var foreign *undo.ForeignError
	if err := l.Check(ctx, d); !errors.As(err, &foreign) {
		t.Fatalf("got %v", err)
	}
	want := []undo.Range{{Off: 1024, Len: 512}, {Off: 2048, Len: 1024}}
	if !slices.Equal(foreign.Ranges, want) || foreign.Count != 2 || foreign.Bytes != 1536 {
		t.Errorf("got %+v", foreign)
	}
}

// TestLogFails wants no change of which the log cannot tell.
func TestLogFails(t *testing.T) {
	t.Parallel()
	name := t.TempDir() + "/disk"
	before := makeDisk(t, name, "raw")
	log := &memLog{}
	d := openDisk(t, name, "raw", log)
	defer d.Close()
	log.fail = errors.New("no space")
	ctx := context.Background()
	for what, do := range map[string]func() error{
		"write":    func() error { return d.Write(ctx, blockdev.Vec{make([]byte, 4096)}, 0, 0) },
		"zero":     func() error { return d.Zero(ctx, 0, 65536, 0) },
		"discard":  func() error { return d.Discard(ctx, 0, 65536) },
		"truncate": func() error { return d.Truncate(ctx, 65536, 0) },
	} {
		if err := do(); !errors.Is(err, log.fail) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !bytes.Equal(contents(t, d), before) {
		t.Error("the disk changed")
	}
}

// array is a disk in memory.
type array struct{ data []byte }

func (a *array) Info() (i blockdev.Info) {
	i.Size = int64(len(a.data))
	return i
}

func (a *array) Read(_ context.Context, v blockdev.Vec, off int64, _ blockdev.Flags) error {
	for _, p := range v {
		off += int64(copy(p, a.data[off:]))
	}
	return nil
}

func (a *array) Write(_ context.Context, v blockdev.Vec, off int64, _ blockdev.Flags) error {
	for _, p := range v {
		off += int64(copy(a.data[off:], p))
	}
	return nil
}

func (a *array) Zero(_ context.Context, off, n int64, _ blockdev.Flags) error {
	clear(a.data[off : off+n])
	return nil
}

func (a *array) Truncate(_ context.Context, size int64, _ blockdev.Prealloc) error {
	return fmt.Errorf("asked for %d bytes", size)
}

func (a *array) Flush(context.Context) error { return nil }

// FuzzLog reads logs that somebody else wrote, as they are and with sums that are right: no panic,
// no loop without end, no memory by a log's word, and nothing is written behind the end of the
// disk.
func FuzzLog(f *testing.F) {
	log, _ := changed(f)
	f.Add(log)
	// changes, old bytes and lengths at the end of what 64 bits can tell
	for kind := byte(1); kind <= 6; kind++ {
		b := bytes.Clone(log[:headerSize])
		for _, n := range []uint64{1, 512, 1 << 20, math.MaxInt64} {
			b = binary.LittleEndian.AppendUint64(b, uint64(kind))
			b = binary.LittleEndian.AppendUint64(b, math.MaxInt64-n)
			b = binary.LittleEndian.AppendUint64(b, n)
			b = binary.LittleEndian.AppendUint64(b, 0)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sealed(b)} {
			l, err := undo.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
			if err != nil {
				continue
			}
			if n := l.Changed(); n < 0 || n > l.Size {
				t.Errorf("%d bytes of a disk of %d", n, l.Size)
			}
			disk := &array{data: make([]byte, min(l.Size, diskSize))}
			if l.Check(t.Context(), disk) == nil && l.Size == int64(len(disk.data)) {
				if err := l.Restore(t.Context(), disk); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// headerSize and headSize are those of the format.
const headerSize, headSize = 64, 32

// sealed is a log whose sums are right, as far as there are records in it.
func sealed(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) < headerSize {
		return b
	}
	seal(b[:headerSize])
	for at := headerSize; at+headSize <= len(b); {
		head := b[at : at+headSize]
		follows := min(len(b)-at-headSize, int(binary.LittleEndian.Uint32(head[4:])))
		body := b[at+headSize:][:follows]
		binary.LittleEndian.PutUint32(head[24:], sumOf(body))
		seal(head)
		at += headSize + follows
	}
	return b
}

// seal puts the sum of what stands before into the last four bytes.
func seal(b []byte) {
	binary.LittleEndian.PutUint32(b[len(b)-4:], sumOf(b[:len(b)-4]))
}

func sumOf(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// changed is the log of some changes of a disk, and what that held before.
func changed(t testing.TB) (log, before []byte) {
	name := t.TempDir() + "/disk"
	before = makeDisk(t, name, "raw")
	l := &memLog{}
	d := openDisk(t, name, "raw", l)
	for i := range 3 {
		if err := d.Write(context.Background(), blockdev.Vec{make([]byte, 5000)}, int64(i)*3000,
			0); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(d.Zero(context.Background(), 0, 8192, 0), d.Close()); err != nil {
		t.Fatal(err)
	}
	return l.Bytes(), before
}

// TestDamagedLog changes a byte of a log behind its header, wherever: the damage is told, nothing
// is put back by a log that does not tell all, and what stands behind the damage still can be.
func TestDamagedLog(t *testing.T) {
	t.Parallel()
	log, _ := changed(t)
	whole, err := undo.Read(t.Context(), bytes.NewReader(log), int64(len(log)))
	if err != nil || whole.Damage != nil {
		t.Fatal(err, whole.Damage)
	}
	for at := headerSize; at < len(log); at += 23 { // in turn in heads and in what follows
		b := bytes.Clone(log)
		b[at] ^= 1
		l, err := undo.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		var damaged *undo.DamagedError
		err = l.Check(t.Context(), &array{data: make([]byte, diskSize)})
		if !errors.As(err, &damaged) || damaged.At > int64(at) ||
			damaged.At+damaged.Bytes <= int64(at) || l.Torn != 0 {
			t.Fatalf("byte %d: %v, %d bytes torn", at, err, l.Torn)
		}
		if l.Changed() >= whole.Changed() && damaged.Bytes >= blockSize {
			t.Errorf("byte %d: all of %d bytes can be put back", at, l.Changed())
		}
	}
}

// blockSize is the unit in which old bytes are kept.
const blockSize = 4096

// TestBlankEnd is a log whose end was not written when the power went: it ends where it begins.
func TestBlankEnd(t *testing.T) {
	t.Parallel()
	log, _ := changed(t)
	for _, n := range []int{1, headSize - 1, headSize, 5000, 3 << 20} {
		b := append(bytes.Clone(log), make([]byte, n)...)
		l, err := undo.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil || l.Damage != nil || l.Torn != int64(n) {
			t.Errorf("%d bytes: %v, %v, %d torn", n, err, l.Damage, l.Torn)
		}
	}
}

// TestWriter changes a disk that is open already, to its last byte, and puts it back.
func TestWriter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "disk")
	before := bytes.Repeat([]byte("abcdefg"), 3000) // 21000 bytes: not whole sectors
	if err := os.WriteFile(name, before, 0o666); err != nil {
		t.Fatal(err)
	}
	d := openDisk(t, name, "raw", nil)
	defer d.Close()
	var log memLog
	w, err := undo.NewWriter(d, &log)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ off, n int64 }{{0, 512}, {8192, 1024}, {20480, 520}, {0, 512}} {
		if err := w.Write(t.Context(), bytes.Repeat([]byte{byte(c.n)}, int(c.n)),
			c.off); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(name); err != nil || st.Size() != int64(len(before)) {
		t.Errorf("%d bytes, %v", st.Size(), err)
	}
	l, err := undo.Read(t.Context(), bytes.NewReader(log.Bytes()), int64(log.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Check(t.Context(), d); err != nil {
		t.Error(err)
	}
	if err := l.Restore(t.Context(), d); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(name); err != nil || !bytes.Equal(after, before) {
		t.Errorf("it is not as before: %v", err)
	}
}
