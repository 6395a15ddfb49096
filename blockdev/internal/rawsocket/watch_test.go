package rawsocket

import (
	"bytes"
	"testing"
	"time"

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
	for i := range 256 {
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

// TestWatchRests counts watches that were not worth it: some of the usual length, or a long one.
func TestWatchRests(t *testing.T) {
	var w Watch
	began := time.Now()
	usual, long := began.Add(watchTime), began.Add(strangeTime)
	for range mostAgainst/watchCost - 1 {
		if w.count(began, usual); !w.rest.IsZero() {
			t.Fatal("it rests before it looked in vain often enough")
		}
	}
	if w.count(began, usual); w.rest != usual.Add(costly*watchTime) {
		t.Errorf("it rests until %v", w.rest.Sub(usual))
	}
	w.rest = time.Time{}
	if w.count(began, usual); w.rest.IsZero() {
		t.Error("it needs as long as at first to see that it is in vain")
	}
	w = Watch{}
	if w.count(began, long); w.rest != long.Add(costly*strangeTime) {
		t.Errorf("after a stranger it rests until %v", w.rest.Sub(long))
	}
}

// TestWatchLooks asks nobody while it rests, and sees nothing that is not there.
func TestWatchLooks(t *testing.T) {
	asked := 0
	says := false
	ready := func() bool {
		asked++
		return says
	}
	w := Watch{rest: time.Now().Add(time.Hour)}
	if w.For(ready) || asked > 0 {
		t.Error("it looked while it should rest")
	}
	w = Watch{}
	if w.For(ready) || asked == 0 || w.against != watchCost {
		t.Errorf("in vain: asked %d times, counted %d", asked, w.against)
	}
	says = true
	if w = (Watch{}); !w.For(ready) {
		t.Error("it did not see what was there")
	}
}
