package rawsocket

import (
	"bytes"
	"testing"
)

// TestWatch reads what comes at once, what comes late, and the end, also while it rests.
func TestWatch(t *testing.T) {
	near, far := pair(t)
	fd := take(t, near, 0)
	var w Watch
	buf := make([]byte, 16)
	for i := range 3 * (mostVain + watchRest) {
		said := bytes.Repeat([]byte{byte(i)}, 1+i%len(buf))
		done := make(chan error, 1)
		go func() {
			_, err := far.Write(said)
			done <- err
		}()
		n, err := w.Read(fd, buf)
		if err != nil || !bytes.Equal(buf[:n], said) {
			t.Fatalf("read %d: %x, %v", i, buf[:n], err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Read(fd, buf); n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
}
