package file_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
)

// overQueues runs a test on a queue of goroutines and on a ring, buffered and direct.
func overQueues(t *testing.T, size int64, test func(t *testing.T, d *blockdev.Device, q blockdev.Queue)) {
	for _, aio := range []string{"threads", "io_uring"} {
		for _, direct := range []bool{false, true} {
			name := aio
			if direct {
				name += " direct"
			}
			t.Run(name, func(t *testing.T) {
				d := openDevice(t, blockdev.Mode{Direct: direct, Unmap: true}, options("filename", temp(t, size), "aio", aio))
				q, err := d.Queue(t.Context(), 8, 4096)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := q.Close(); err != nil {
						t.Error(err)
					}
				}()
				test(t, d, q)
			})
		}
	}
}

// reapAll submits and waits for n requests.
func reapAll(t *testing.T, q blockdev.Queue, n int) {
	t.Helper()
	if err := q.Submit(); err != nil {
		t.Fatal(err)
	}
	done := make([]int, q.Depth())
	for n > 0 {
		got, err := q.Reap(n, done)
		if err != nil || got == 0 {
			t.Fatalf("reaped %d of %d: %v", got, n, err)
		}
		n -= got
	}
	if got, err := q.Reap(1, done); got != 0 || err != nil {
		t.Fatalf("reaped %d more: %v", got, err)
	}
}

func fillSlot(q blockdev.Queue, slot int, b byte) {
	for i := range q.Buffer(slot) {
		q.Buffer(slot)[i] = b
	}
}

// One batch holds requests that the ring takes and others, which need read-modify-write and overlap those before.
func TestQueueMixed(t *testing.T) {
	overQueues(t, 64<<10, func(t *testing.T, d *blockdev.Device, q blockdev.Queue) {
		for slot := range 8 {
			fillSlot(q, slot, byte(slot+1))
		}
		want := make([]byte, 64<<10)
		for slot, r := range []struct {
			off int64
			n   int
		}{{0, 4096}, {4096, 4096}, {8192 + 100, 200}, {16384, 4096}, {20480 + 511, 1000}, {32768, 512}, {65535, 1}, {40000, 0}} {
			q.Write(slot, r.off, r.n)
			copy(want[r.off:r.off+int64(r.n)], q.Buffer(slot))
		}
		reapAll(t, q, 8)
		for slot := range 8 {
			if err := q.Err(slot); err != nil {
				t.Errorf("slot %d: %v", slot, err)
			}
		}
		got := make([]byte, len(want))
		if err := d.Read(t.Context(), blockdev.Vec{got}, 0, 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("not what was written")
		}
	})
}

// The end of a file that is no whole number of blocks long.
func TestQueueAtEnd(t *testing.T) {
	overQueues(t, 4096+1000, func(t *testing.T, d *blockdev.Device, q blockdev.Queue) {
		fillSlot(q, 0, 7)
		q.Write(0, 0, 4096)
		reapAll(t, q, 1)
		fillSlot(q, 1, 0x5a)
		fillSlot(q, 2, 0x5a)
		q.Read(1, 4096, 1024) // to the end of the device, behind that of the file
		q.Read(2, 4095, 1025)
		q.Read(3, 4096, 1025)
		reapAll(t, q, 3)
		if err := errors.Join(q.Err(1), q.Err(2)); err != nil {
			t.Fatal(err)
		}
		if !blockdev.AllZero(q.Buffer(1)[:1024]) || q.Buffer(2)[0] != 7 || !blockdev.AllZero(q.Buffer(2)[1:1025]) {
			t.Error("something else than the rest of the file and zeroes")
		}
		if !errors.Is(q.Err(3), syscall.EIO) {
			t.Errorf("behind the end: %v", q.Err(3))
		}
	})
}

func TestQueueReadOnly(t *testing.T) {
	d := openDevice(t, blockdev.Mode{ReadOnly: true}, options("filename", temp(t, 8192)))
	q, err := d.Queue(t.Context(), 2, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	q.Write(0, 0, 4096)
	q.Read(1, 0, 4096)
	reapAll(t, q, 2)
	if !errors.Is(q.Err(0), syscall.EPERM) || q.Err(1) != nil {
		t.Errorf("write: %v; read: %v", q.Err(0), q.Err(1))
	}
}

func TestQueueCancelled(t *testing.T) {
	for _, aio := range []string{"threads", "io_uring"} {
		d := openDevice(t, blockdev.Mode{}, options("filename", temp(t, 8192), "aio", aio))
		ctx, cancel := context.WithCancel(t.Context())
		q, err := d.Queue(ctx, 2, 4096)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		q.Read(0, 0, 4096)
		reapAll(t, q, 1)
		if !errors.Is(q.Err(0), context.Canceled) {
			t.Errorf("%s: %v", aio, q.Err(0))
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Requests outside the queue wait for those of it, and the other way round.
func TestQueueBesideOthers(t *testing.T) {
	overQueues(t, 4096, func(t *testing.T, d *blockdev.Device, q blockdev.Queue) {
		var err error
		other := make(chan struct{})
		go func() {
			defer close(other)
			for i := 0; i < 200 && err == nil; i++ {
				err = d.Write(t.Context(), blockdev.Vec{{byte(i)}}, 700, 0)
			}
		}()
		for i := range 200 {
			fillSlot(q, 0, byte(i))
			q.Write(0, 512, 512)
			q.Write(1, 1024, 100)
			reapAll(t, q, 2)
			q.Read(2, 512, 512)
			reapAll(t, q, 1)
			if err := errors.Join(q.Err(0), q.Err(1), q.Err(2)); err != nil {
				t.Fatal(err)
			}
			if q.Buffer(2)[100] != byte(i) || q.Buffer(2)[511] != byte(i) {
				t.Fatalf("round %d: a write was undone", i)
			}
		}
		<-other
		if err != nil {
			t.Fatal(err)
		}
	})
}

// A device that writes through syncs each write of a queue too; the guard behind it counts what is unsynced.
func TestQueueWriteThrough(t *testing.T) {
	d := openDevice(t, blockdev.Mode{}, options("filename", temp(t, 8192)))
	q, err := d.Queue(t.Context(), 2, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	d.SetWriteThrough(true)
	fillSlot(q, 0, 9)
	q.Write(0, 0, 4096)
	q.Flush(1)
	reapAll(t, q, 2)
	if err := errors.Join(q.Err(0), q.Err(1)); err != nil {
		t.Fatal(err)
	}
	var got [1]byte
	if _, err := d.ReadAt(got[:], 4095); err != nil || got[0] != 9 {
		t.Errorf("read %d, %v", got[0], err)
	}
}

// A file that somebody makes shorter reads as zeroes behind its new end.
func TestQueueShrunk(t *testing.T) {
	for _, aio := range []string{"threads", "io_uring"} {
		name := temp(t, 8192)
		d := openDevice(t, blockdev.Mode{}, options("filename", name, "aio", aio))
		q, err := d.Queue(t.Context(), 2, 4096)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, 1000); err != nil {
			t.Fatal(err)
		}
		for slot := range 2 {
			fillSlot(q, slot, 0x5a)
			q.Read(slot, int64(slot)*4096, 4096)
		}
		reapAll(t, q, 2)
		for slot := range 2 {
			if err := q.Err(slot); err != nil || !blockdev.AllZero(q.Buffer(slot)) {
				t.Errorf("%s: slot %d: %v, or something else than zeroes", aio, slot, err)
			}
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}

// However requests of a queue end, the meter counts the owner alone when nothing is under way.
func TestQueueMeter(t *testing.T) {
	for _, aio := range []string{"threads", "io_uring"} {
		var m blockdev.Meter
		ctx := blockdev.WithMeter(t.Context(), &m)
		d := openDevice(t, blockdev.Mode{}, options("filename", temp(t, 8192), "aio", aio))
		m.Add(1)
		q, err := d.Queue(ctx, 4, 4096)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			q.Write(0, 0, 4096)
			q.Read(1, 1<<40, 512)
			q.Read(2, 4096, 4096)
			reapAll(t, q, 3)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		m.Add(-1)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := m.Idle(over); err != nil {
			t.Errorf("%s: somebody is still counted", aio)
		}
	}
}
