package engine

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

// A ring that is lost fails what is under way and what follows; nobody waits for ever, and nothing
// panics.
func TestLostRing(t *testing.T) {
	p, err := NewRing()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		t.Skip("no io_uring here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		_, err := p.Readv(int(r.Fd()), driver.Vec{make([]byte, 512)}, 0)
		read <- err
	}()
	for len(p.free) == ringSlots { // until the transfer has its slot
		runtime.Gosched()
	}
	lost := errors.New("lost")
	p.abandon(lost)
	if err := <-read; !errors.Is(err, lost) {
		t.Errorf("a transfer under way: %v", err)
	}
	if _, err := p.Writev(int(w.Fd()), driver.Vec{make([]byte, 1)}, 0); !errors.Is(err, lost) {
		t.Errorf("the next one: %v", err)
	}
	if err := p.Close(); !errors.Is(err, lost) {
		t.Errorf("close: %v", err)
	}
	if err := errors.Join(w.Close(), r.Close()); err != nil {
		t.Error(err)
	}
}

// A closed ring fails transfers.
func TestClosedRing(t *testing.T) {
	p, err := NewRing()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		t.Skip("no io_uring here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Readv(0, driver.Vec{make([]byte, 1)}, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
