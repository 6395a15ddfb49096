package rawsocket

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWatch receives what comes at once, what comes late, and the end, also while it rests.
func TestWatch(t *testing.T) {
	near, far := pair(t)
	fd := take(t, near, 0)
	var w Watch
	var v Vectors
	first, second := make([]byte, 3), make([]byte, 13)
	bufs := [][]byte{first, second}
	receive := func() (n int, err error) {
		if !w.For(func() bool {
			n, err = v.ReadvNow(fd, bufs)
			return err != unix.EAGAIN
		}) {
			return v.Readv(fd, bufs)
		}
		return n, err
	}
	for i := range 3 * (mostAgainst + watchRest) {
		said := bytes.Repeat([]byte{byte(i)}, 1+i%16)
		done := make(chan error, 1)
		go func() {
			_, err := far.Write(said)
			done <- err
		}()
		n, err := receive()
		got := append(bytes.Clone(first), second...)
		if err != nil || !bytes.Equal(got[:n], said) {
			t.Fatalf("receive %d: %d bytes, %x, %v", i, n, got, err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := receive(); n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// TestWatchRests looks in vain until that was too often, does not look for a while, and looks
// again.
func TestWatchRests(t *testing.T) {
	var w Watch
	never := func() bool { return false }
	for range mostAgainst / watchCost {
		if w.rest > 0 {
			t.Fatal("it rests before it looked in vain often enough")
		}
		if w.For(never) {
			t.Fatal("it saw what was not there")
		}
	}
	asked := 0
	always := func() bool {
		asked++
		return true
	}
	for range watchRest {
		if w.For(always) || asked > 0 {
			t.Fatal("it looked while it should rest")
		}
	}
	if !w.For(always) || asked != 1 {
		t.Errorf("after its rest it asked %d times", asked)
	}
	if w.For(never); w.rest == 0 {
		t.Error("it needs as long as at first to see that it is in vain")
	}
}
