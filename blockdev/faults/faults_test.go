package faults

import (
	"bytes"
	"context"
	"errors"
	"math/bits"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

// disk is the options of a disk of so many bytes with faults.
func disk(size int64, given map[string]any) *driver.Options {
	var o driver.Options
	o.Set("file.driver", blockdevtest.MemoryDriver.Name)
	o.Set("file.size", size)
	for name, value := range given {
		o.Set(name, value)
	}
	return &o
}

// TestSuite: without faults, or where none can strike, it is the disk below.
func TestSuite(t *testing.T) {
	const passed = blockdevtest.Passed
	for name, given := range map[string]map[string]any{
		"none":      nil,
		"elsewhere": {"lost-writes": "1", "corrupt-reads": "1", "offset": "1E", "delay-ns": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver:  Driver,
				Options: func(_ testing.TB, size int64) *driver.Options { return disk(size, given) },
				Row: blockdevtest.Row{
					Read: passed, Write: passed, Zero: passed, Discard: passed, Status: passed,
					Truncate: passed, Flush: passed,
				},
			})
		})
	}
}

func openDisk(t *testing.T, size int64, given map[string]any) *blockdev.Device {
	t.Helper()
	d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{Driver, blockdevtest.MemoryDriver}, Options: disk(size, given),
		Format: Driver.Name,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// struck writes 0xff over a disk of zeroes, 4 KiB at a time, reads it, and tells of each request
// how many bits are missing.
func struck(t *testing.T, requests int, given map[string]any) []int {
	t.Helper()
	const size = 4096
	d := openDisk(t, int64(requests)*size, given)
	full := bytes.Repeat([]byte{0xff}, size)
	var missing []int
	for i := range requests {
		off := int64(i) * size
		if err := d.Write(t.Context(), driver.Vec{bytes.Clone(full)}, off, 0); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, size)
		if err := d.Read(t.Context(), driver.Vec{got}, off, 0); err != nil {
			t.Fatal(err)
		}
		set := 0
		for _, b := range got {
			set += bits.OnesCount8(b)
		}
		missing = append(missing, 8*size-set)
	}
	return missing
}

// TestStruck: each fault strikes about as often as it is to, does what it says, and does the same
// again with the same seed.
func TestStruck(t *testing.T) {
	const requests = 400
	sector := 8 * driver.SectorSize
	for name, fits := range map[string]func(missing int) bool{
		"lost-writes":    func(n int) bool { return n == 8*4096 },
		"torn-writes":    func(n int) bool { return n > 0 && n%sector == 0 },
		"corrupt-writes": func(n int) bool { return n == 1 },
		"corrupt-reads":  func(n int) bool { return n == 1 },
	} {
		given := map[string]any{name: "8", "seed": "7"}
		first := struck(t, requests, given)
		bad := 0
		for i, n := range first {
			if n != 0 {
				bad++
			}
			if n != 0 && !fits(n) {
				t.Errorf("%s: of request %d %d bits are missing", name, i, n)
			}
		}
		if bad < requests/16 || bad > requests/4 {
			t.Errorf("%s: %d of %d requests are struck", name, bad, requests)
		}
		for i, n := range struck(t, requests, given) {
			if n != first[i] {
				t.Fatalf("%s: request %d is another with the same seed", name, i)
			}
		}
		given["offset"], given["size"] = "400k", "4k"
		given[name] = "1"
		for i, n := range struck(t, 200, given) {
			if (n != 0) != (i == 100) {
				t.Errorf("%s: request %d is struck: %v", name, i, n != 0)
			}
		}
	}
}

// TestSectorIsNotTorn: what is no longer than a sector is stored whole or not at all.
func TestSectorIsNotTorn(t *testing.T) {
	d := openDisk(t, 64<<10, map[string]any{"torn-writes": "1"})
	for i := range 64 {
		b := bytes.Repeat([]byte{1}, driver.SectorSize)
		off := int64(i) * driver.SectorSize
		if err := d.Write(t.Context(), driver.Vec{b}, off, 0); err != nil {
			t.Fatal(err)
		}
		if err := d.Read(t.Context(), driver.Vec{b}, off, 0); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte{1}); n != 0 && n != len(b) {
			t.Errorf("%d bytes of sector %d", n, i)
		}
	}
}

// TestCallersBytes: a write that is stored wrong leaves the memory of its caller alone.
func TestCallersBytes(t *testing.T) {
	d := openDisk(t, 4<<20, map[string]any{"corrupt-writes": "1"})
	b := bytes.Repeat([]byte{5}, 3<<20)
	if err := d.Write(t.Context(), driver.Vec{b[:1000], b[1000:]}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(b, []byte{5}) != len(b) {
		t.Error("what was to be written was changed")
	}
	got := make([]byte, len(b))
	if err := d.Read(t.Context(), driver.Vec{got}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(got, []byte{5}); n != len(b)-1 {
		t.Errorf("%d bytes are right", n)
	}
}

// TestLate: a request that is late ends when nobody wants it any more.
func TestLate(t *testing.T) {
	d := openDisk(t, 64<<10, map[string]any{"delay-ns": "3600000000000"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Read(ctx, driver.Vec{make([]byte, 512)}, 0, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestShort: a short write is stored up to a sector and fails, a short read fails, and all others
// are whole.
func TestShort(t *testing.T) {
	const requests, size = 200, 4096
	for _, name := range []string{"short-writes", "short-reads"} {
		d := openDisk(t, requests*size, map[string]any{name: "8"})
		failed, parts := 0, 0
		for i := range requests {
			off := int64(i) * size
			write := d.Write(t.Context(), driver.Vec{bytes.Repeat([]byte{1}, size)}, off, 0)
			got := make([]byte, size)
			read := d.Read(t.Context(), driver.Vec{got}, off, 0)
			if err := errors.Join(write, read); err == nil {
				if bytes.Count(got, []byte{1}) != size {
					t.Fatalf("%s: request %d is not whole", name, i)
				}
				continue
			} else if !errors.Is(err, syscall.EIO) || write != nil && name == "short-reads" ||
				read != nil && name == "short-writes" {
				t.Fatalf("%s: write %v, read %v", name, write, read)
			}
			failed++
			n := bytes.Count(got, []byte{1})
			if n%driver.SectorSize != 0 || bytes.Count(got[:n], []byte{1}) != n || n == size {
				t.Errorf("%s: %d bytes of request %d", name, n, i)
			}
			if n > 0 {
				parts++
			}
		}
		if failed < requests/16 || failed > requests/4 || parts == 0 {
			t.Errorf("%s: %d fail, of %d there is a part", name, failed, parts)
		}
	}
}

// TestReopen: faults begin and end while the disk is open, and what is wrong changes nothing.
func TestReopen(t *testing.T) {
	d := openDisk(t, 1<<20, nil)
	ones := bytes.Repeat([]byte{1}, 512)
	stored := func(off int64) bool {
		t.Helper()
		got := make([]byte, 512)
		if err := errors.Join(d.Write(t.Context(), driver.Vec{bytes.Clone(ones)}, off, 0),
			d.Read(t.Context(), driver.Vec{got}, off, 0)); err != nil {
			t.Fatal(err)
		}
		return bytes.Equal(got, ones)
	}
	change := func(name, chance string) error {
		var o driver.Options
		o.Set(name, chance)
		return d.Reopen(t.Context(), &o)
	}
	reopen := func(chance string) error { return change("lost-writes", chance) }
	for _, name := range []string{"short-writes", "short-reads"} {
		if err := change(name, "-1"); err == nil {
			t.Errorf("%s: what is no chance is taken", name)
		}
	}
	if !stored(0) {
		t.Error("a write is lost though none is to be")
	}
	if err := reopen("1"); err != nil || stored(512) {
		t.Errorf("a write is stored though all are to be lost: %v", err)
	}
	if err := reopen("-1"); err == nil || stored(1024) {
		t.Errorf("what is no chance is taken: %v", err)
	}
	if err := reopen("0"); err != nil || !stored(1536) {
		t.Errorf("a write is lost though none is to be any more: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for _, name := range []string{
		"delay-ns", "lost-writes", "torn-writes", "corrupt-writes", "corrupt-reads",
	} {
		_, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
			Drivers: []driver.Driver{Driver, blockdevtest.MemoryDriver},
			Options: disk(1<<20, map[string]any{name: "-1"}), Format: Driver.Name,
		})
		if want := name + " cannot be negative"; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
