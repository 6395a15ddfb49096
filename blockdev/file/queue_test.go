package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// engines are the ways in which a batch queue makes its requests: by goroutines, on a ring, and by
// plain calls where the file is in memory.
var engines = []string{"threads", "io_uring", "memory"}

// queueFile makes a file of a test, and returns its name and the options to open it for an engine.
func queueFile(t *testing.T, engine string, size int64) (string, *driver.Options) {
	t.Helper()
	if engine != "memory" {
		name := temp(t, size)
		return name, options("filename", name, "aio", engine)
	}
	fd, err := unix.MemfdCreate("disk.img", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	name := fmt.Sprintf("/proc/self/fd/%d", fd)
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	return name, options("filename", name)
}

// overQueues runs a test on queues of all engines, buffered and direct.
func overQueues(t *testing.T, size int64,
	test func(t *testing.T, d *blockdev.Device, q driver.Queue),
) {
	for _, engine := range engines {
		for _, direct := range []bool{false, true} {
			name := engine
			if direct {
				name += " direct"
			}
			t.Run(name, func(t *testing.T) {
				file, o := queueFile(t, engine, size)
				if fd, err := unix.Open(file, unix.O_RDWR|unix.O_DIRECT, 0); direct &&
					engine == "memory" && err != nil {
					t.Skip("O_DIRECT in memory, which comes with Linux 6.6: ", err)
				} else if err == nil {
					_ = unix.Close(fd)
				}
				d := openDevice(t, driver.Mode{Direct: direct, Unmap: true}, o)
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
func reapAll(t *testing.T, q driver.Queue, n int) {
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

func fillSlot(q driver.Queue, slot int, b byte) {
	for i := range q.Buffer(slot) {
		q.Buffer(slot)[i] = b
	}
}

// One batch holds requests that the ring takes and others, which need read-modify-write and overlap
// those before.
func TestQueueMixed(t *testing.T) {
	overQueues(t, 64<<10, func(t *testing.T, d *blockdev.Device, q driver.Queue) {
		for slot := range 8 {
			fillSlot(q, slot, byte(slot+1))
		}
		want := make([]byte, 64<<10)
		for slot, r := range []struct {
			off int64
			n   int
		}{
			{0, 4096},
			{4096, 4096},
			{8192 + 100, 200},
			{16384, 4096},
			{20480 + 511, 1000},
			{32768, 512},
			{65535, 1},
			{40000, 0},
		} {
			q.Stage(slot, driver.OpWrite, r.off, int64(r.n), 0)
			copy(want[r.off:r.off+int64(r.n)], q.Buffer(slot))
		}
		reapAll(t, q, 8)
		for slot := range 8 {
			if err := q.Err(slot); err != nil {
				t.Errorf("slot %d: %v", slot, err)
			}
		}
		got := make([]byte, len(want))
		if err := d.Read(t.Context(), driver.Vec{got}, 0, 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("not what was written")
		}
	})
}

// The end of a file that is no whole number of blocks long.
func TestQueueAtEnd(t *testing.T) {
	overQueues(t, 4096+1000, func(t *testing.T, d *blockdev.Device, q driver.Queue) {
		fillSlot(q, 0, 7)
		q.Stage(0, driver.OpWrite, 0, 4096, 0)
		reapAll(t, q, 1)
		fillSlot(q, 1, 0x5a)
		fillSlot(q, 2, 0x5a)
		q.Stage(1, driver.OpRead, 4096, 1000, 0)
		q.Stage(2, driver.OpRead, 4095, 1001, 0)
		q.Stage(3, driver.OpRead, 4096, 1001, 0)
		reapAll(t, q, 3)
		if err := errors.Join(q.Err(1), q.Err(2)); err != nil {
			t.Fatal(err)
		}
		if !driver.AllZero(q.Buffer(1)[:1000]) || q.Buffer(2)[0] != 7 ||
			!driver.AllZero(q.Buffer(2)[1:1001]) {
			t.Error("something else than the rest of the file")
		}
		if !errors.Is(q.Err(3), syscall.EIO) {
			t.Errorf("behind the end: %v", q.Err(3))
		}
	})
}

func TestQueueReadOnly(t *testing.T) {
	d := openDevice(t, driver.Mode{ReadOnly: true}, options("filename", temp(t, 8192)))
	q, err := d.Queue(t.Context(), 2, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	q.Stage(0, driver.OpWrite, 0, 4096, 0)
	q.Stage(1, driver.OpRead, 0, 4096, 0)
	reapAll(t, q, 2)
	if !errors.Is(q.Err(0), syscall.EPERM) || q.Err(1) != nil {
		t.Errorf("write: %v; read: %v", q.Err(0), q.Err(1))
	}
}

func TestQueueCancelled(t *testing.T) {
	for _, engine := range engines {
		_, o := queueFile(t, engine, 8192)
		d := openDevice(t, driver.Mode{}, o)
		ctx, cancel := context.WithCancel(t.Context())
		q, err := d.Queue(ctx, 2, 4096)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		q.Stage(0, driver.OpRead, 0, 4096, 0)
		reapAll(t, q, 1)
		if !errors.Is(q.Err(0), context.Canceled) {
			t.Errorf("%s: %v", engine, q.Err(0))
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Requests outside the queue wait for those of it, and the other way round.
func TestQueueBesideOthers(t *testing.T) {
	overQueues(t, 4096, func(t *testing.T, d *blockdev.Device, q driver.Queue) {
		var err error
		other := make(chan struct{})
		go func() {
			defer close(other)
			for i := 0; i < 200 && err == nil; i++ {
				err = d.Write(t.Context(), driver.Vec{{byte(i)}}, 700, 0)
			}
		}()
		for i := range 200 {
			fillSlot(q, 0, byte(i))
			q.Stage(0, driver.OpWrite, 512, 512, 0)
			q.Stage(1, driver.OpWrite, 1024, 100, 0)
			reapAll(t, q, 2)
			q.Stage(2, driver.OpRead, 512, 512, 0)
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

// A device that writes through syncs each write of a queue too; the guard behind it counts what is
// unsynced.
func TestQueueWriteThrough(t *testing.T) {
	d := openDevice(t, driver.Mode{}, options("filename", temp(t, 8192)))
	q, err := d.Queue(t.Context(), 2, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	d.SetWriteThrough(true)
	fillSlot(q, 0, 9)
	q.Stage(0, driver.OpWrite, 0, 4096, 0)
	q.Stage(1, driver.OpFlush, 0, 0, 0)
	reapAll(t, q, 2)
	if err := errors.Join(q.Err(0), q.Err(1)); err != nil {
		t.Fatal(err)
	}
	var got [1]byte
	if _, err := d.ReadAt(got[:], 4095); err != nil || got[0] != 9 {
		t.Errorf("read %d, %v", got[0], err)
	}
}

// A file that somebody makes shorter does not read as zeroes behind its new end.
func TestQueueShrunk(t *testing.T) {
	for _, engine := range engines {
		name, o := queueFile(t, engine, 8192)
		d := openDevice(t, driver.Mode{}, o)
		q, err := d.Queue(t.Context(), 2, 4096)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, 1000); err != nil {
			t.Fatal(err)
		}
		q.Stage(0, driver.OpRead, 0, 512, 0)
		q.Stage(1, driver.OpRead, 4096, 4096, 0)
		reapAll(t, q, 2)
		if err := q.Err(0); err != nil {
			t.Errorf("%s: what is left: %v", engine, err)
		}
		if err := q.Err(1); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: what is gone: %v", engine, err)
		}
		if d.Size() != 1000 {
			t.Errorf("%s: %d bytes long", engine, d.Size())
		}
		for off, gone := range map[int64]bool{900: true, 4096: true, 7680: true, 8192: false} {
			_, err := d.ReadAt(make([]byte, 1), off)
			if err != nil && off == 900 {
				t.Errorf("%s: what is left: %v", engine, err)
			}
			err = d.Read(t.Context(), driver.Vec{make([]byte, 512)}, off, 0)
			if gone == errors.As(err, new(*driver.RangeError)) || !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: 512 bytes at %d, of which some are gone: %v; %v", engine, off, gone, err)
			}
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}

// However requests of a queue end, the meter counts the owner alone when nothing is under way.
func TestQueueMeter(t *testing.T) {
	for _, engine := range engines {
		var m wait.Meter
		ctx := wait.WithMeter(t.Context(), &m)
		_, o := queueFile(t, engine, 8192)
		d := openDevice(t, driver.Mode{}, o)
		m.Add(1)
		q, err := d.Queue(ctx, 4, 4096)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			q.Stage(0, driver.OpWrite, 0, 4096, 0)
			q.Stage(1, driver.OpRead, 1<<40, 512, 0)
			q.Stage(2, driver.OpRead, 4096, 4096, 0)
			reapAll(t, q, 3)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		m.Add(-1)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := m.Idle(over); err != nil {
			t.Errorf("%s: somebody is still counted", engine)
		}
	}
}

// Submitting and reaping in one go does what the two do one after the other, also with requests
// that do not go to the ring.
func TestQueueSubmitAndReap(t *testing.T) {
	overQueues(t, 64<<10, func(t *testing.T, _ *blockdev.Device, q driver.Queue) {
		done := make([]int, q.Depth())
		for round := range 100 {
			fillSlot(q, 0, byte(round))
			fillSlot(q, 1, byte(round+1))
			q.Stage(0, driver.OpWrite, 4096, 4096, 0)
			q.Stage(1, driver.OpWrite, 8192+100, 300, 0) // set aside when direct
			q.Stage(2, driver.OpRead, 128<<10, 512, 0)   // behind the end
			for left := 3; left > 0; {
				n, err := q.SubmitAndReap(1, done[:2])
				if err != nil || n < 1 || n > 2 {
					t.Fatalf("round %d: %d, %v", round, n, err)
				}
				left -= n
			}
			if err := errors.Join(q.Err(0), q.Err(1)); err != nil || q.Err(2) == nil {
				t.Fatalf("round %d: %v, and behind the end %v", round, err, q.Err(2))
			}
			q.Stage(3, driver.OpRead, 4096, 4096, 0)
			q.Stage(4, driver.OpRead, 8192, 512, 0)
			for left := 2; left > 0; {
				n, err := q.SubmitAndReap(left, done)
				if err != nil || n != left {
					t.Fatalf("round %d: %d of %d, %v", round, n, left, err)
				}
				left -= n
			}
			if q.Buffer(3)[4095] != byte(round) || q.Buffer(4)[99] != 0 ||
				q.Buffer(4)[100] != byte(round+1) {
				t.Fatalf("round %d: not what was written", round)
			}
		}
		if n, err := q.SubmitAndReap(1, done); n != 0 || err != nil {
			t.Errorf("nothing was staged: %d, %v", n, err)
		}
	})
}

// A request of a load takes no memory, whichever engine makes it.
func TestQueueAllocations(t *testing.T) {
	overQueues(t, 64<<10, func(t *testing.T, _ *blockdev.Device, q driver.Queue) {
		done := make([]int, q.Depth())
		turn := func() {
			for slot := range q.Depth() {
				if slot%2 == 0 {
					q.Stage(slot, driver.OpRead, int64(slot)*4096, 4096, 0)
				} else {
					q.Stage(slot, driver.OpWrite, int64(slot)*4096, 4096, 0)
				}
			}
			for left := q.Depth(); left > 0; {
				n, err := q.SubmitAndReap(1, done)
				if err != nil {
					t.Fatal(err)
				}
				left -= n
			}
		}
		turn()
		if n := testing.AllocsPerRun(50, turn); n > 0 {
			t.Errorf("%v allocations for %d requests", n, q.Depth())
		}
	})
}
