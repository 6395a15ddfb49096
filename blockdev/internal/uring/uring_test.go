package uring

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/internal/arena"
)

// The kernel checks these sizes for nobody.
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"SQE", unsafe.Sizeof(SQE{}), 64},
		{"SQE.Off", unsafe.Offsetof(SQE{}.Off), 8},
		{"SQE.Addr", unsafe.Offsetof(SQE{}.Addr), 16},
		{"SQE.Len", unsafe.Offsetof(SQE{}.Len), 24},
		{"SQE.UserData", unsafe.Offsetof(SQE{}.UserData), 32},
		{"SQE.BufIndex", unsafe.Offsetof(SQE{}.BufIndex), 40},
		{"CQE", unsafe.Sizeof(CQE{}), 16},
		{"params", unsafe.Sizeof(params{}), 120},
		{"params.features", unsafe.Offsetof(params{}.features), 20},
		{"params.sq", unsafe.Offsetof(params{}.sq), 40},
		{"params.cq", unsafe.Offsetof(params{}.cq), 80},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
}

// ring is a ring of the test, which stays on its thread from now on, and is skipped where io_uring
// is forbidden.
func ring(t *testing.T, entries int, m Mode) *Ring {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	r, err := New(entries, m)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		t.Skip("no io_uring here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Every rung of the ladder gives a ring that works, since older kernels end up on the lower ones.
func TestLadder(t *testing.T) {
	for m, flags := range ladders {
		for i := range flags {
			saved := ladders[m]
			ladders[m] = flags[i:]
			t.Run("", func(t *testing.T) {
				turnAround(t, ring(t, 5, Mode(m)),
					func(r *Ring) error { return errors.Join(r.Submit(), r.Wait(5)) })
				if Mode(m) == Owned {
					turnAround(t, ring(t, 5, Mode(m)),
						func(r *Ring) error { return r.Turn(5, false) })
					turnAround(t, ring(t, 5, Mode(m)),
						func(r *Ring) error { return r.Turn(5, true) })
				}
			})
			ladders[m] = saved
		}
	}
}

// turnAround sends many times as many requests through a ring as it has places.
func turnAround(t *testing.T, r *Ring, turn func(*Ring) error) {
	next := uint64(0)
	for range 50 {
		for range 5 {
			e := r.Next()
			if e == nil {
				t.Fatal("the ring is full too soon")
			}
			e.Op, e.UserData = OpNop, next
			next++
		}
		if err := turn(r); err != nil {
			t.Fatal(err)
		}
		for want := next - 5; want < next; want++ {
			if c, ok := r.Completion(); !ok || c.UserData != want || c.Res != 0 {
				t.Fatalf("got %+v, %v, want number %d", c, ok, want)
			}
		}
		if _, ok := r.Completion(); ok || r.UnderWay() != 0 {
			t.Fatalf("a completion too many, or %d under way", r.UnderWay())
		}
	}
}

// Turn ends with the completion that it waits for, whether that comes before its patience ends,
// after it, or the kernel has never heard of patience.
func TestTurnWaits(t *testing.T) {
	for name, change := range map[string]func(r *Ring){
		"patient":   func(*Ring) {},
		"impatient": func(r *Ring) { r.brief.time.nanos = 1 },
		"old":       func(r *Ring) { r.brief = nil },
	} {
		for _, prompt := range []bool{false, true} {
			t.Run(fmt.Sprint(name, prompt), func(t *testing.T) {
				r := ring(t, 4, Owned)
				if r.brief == nil {
					t.Skip("no time to wait before Linux 5.11")
				}
				change(r)
				var pipe [2]int
				if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
					t.Fatal(err)
				}
				defer unix.Close(pipe[0])
				defer unix.Close(pipe[1])
				a, err := arena.New(1, 4096)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Free()
				for range 20 {
					e := r.Next()
					e.Op, e.FD, e.Len, e.Off = OpRead, int32(pipe[0]), 1, math.MaxUint64
					e.Addr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(a.Slot(0)))))
					wrote := make(chan error)
					go func() {
						_, err := unix.Write(pipe[1], []byte("x"))
						wrote <- err
					}()
					err := r.Turn(1, prompt)
					if err := errors.Join(err, <-wrote); err != nil {
						t.Fatal(err)
					}
					if c, ok := r.Completion(); !ok || c.Res != 1 {
						t.Fatalf("%+v, %v", c, ok)
					}
				}
			})
		}
	}
}

func TestFull(t *testing.T) {
	r := ring(t, 4, Owned)
	n := 0
	for ; r.Next() != nil; n++ {
	}
	if n < 4 {
		t.Errorf("%d entries", n)
	}
	if err := errors.Join(r.Submit(), r.Wait(uint32(n))); err != nil {
		t.Fatal(err)
	}
}

func TestEntries(t *testing.T) {
	for _, n := range []int{-1, 0, 1 << 20} {
		if _, err := New(n, Shared); err == nil {
			t.Errorf("a ring of %d", n)
		}
	}
}

// Registered memory and files are named by index.
func TestFixed(t *testing.T) {
	r := ring(t, 4, Owned)
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := arena.New(2, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Free()
	if err := errors.Join(r.RegisterFile(int(f.Fd())),
		r.RegisterBuffers([][]byte{a.Slot(0), a.Slot(1)})); err != nil {
		t.Fatal(err)
	}
	copy(a.Slot(1), "registered")
	for i, op := range []uint8{OpWriteFixed, OpReadFixed} {
		slot := 1 - i
		e := r.Next()
		e.Op, e.Flags, e.BufIndex, e.Len = op, FixedFile, uint16(slot), 4096
		e.Addr = uint64(uintptr(unsafe.Pointer(&a.Slot(slot)[0])))
		if err := errors.Join(r.Submit(), r.Wait(1)); err != nil {
			t.Fatal(err)
		}
		if c, ok := r.Completion(); !ok || c.Res != 4096 {
			t.Fatalf("operation %d: %+v, %v", op, c, ok)
		}
	}
	if got := string(a.Slot(0)[:10]); got != "registered" {
		t.Errorf("read %q", got)
	}
}

// A file that a ring knew is let go of before Close returns: nobody finds it locked afterwards.
func TestCloseLetsGoOfFile(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path := filepath.Join(t.TempDir(), "file")
	lock := unix.Flock_t{Type: unix.F_WRLCK, Len: 1}
	for range 20 {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
			t.Fatal(err)
		}
		r, err := New(4, Owned)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			t.Skip("no io_uring here: ", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.RegisterFile(int(f.Fd())), r.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
