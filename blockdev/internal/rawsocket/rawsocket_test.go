package rawsocket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair is both ends of a connection over a unix socket.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if near, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	return near, far
}

// take takes the near end, of which nothing is left.
func take(t *testing.T, near net.Conn, patience time.Duration) int {
	t.Helper()
	fd, err := Take(near, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the runtime still has the connection: %v", err)
	}
	return fd
}

func TestTake(t *testing.T) {
	near, far := pair(t)
	fd := take(t, near, time.Millisecond)
	if _, err := Read(fd, make([]byte, 1)); err != unix.EAGAIN {
		t.Errorf("read of nothing: %v", err)
	}
	if _, err := far.Write([]byte("abcdef")); err != nil {
		t.Fatal(err)
	}
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	var v Vectors
	a, b, c := make([]byte, 2), make([]byte, 0), make([]byte, 10)
	if n, err := v.Readv(fd, [][]byte{a, b, c}); n != 6 || err != nil || string(a) != "ab" ||
		string(c[:4]) != "cdef" {
		t.Errorf("read %d, %v: %q, %q", n, err, a, c)
	}
	if n, err := v.Readv(fd, [][]byte{c}); n != 0 || err != nil {
		t.Errorf("read at the end: %d, %v", n, err)
	}
}

// What is no socket of the system stays as it was.
func TestTakeRefuses(t *testing.T) {
	near, far := net.Pipe()
	if _, err := Take(near, 0); err != syscall.ENOTSUP {
		t.Errorf("a pipe in memory: %v", err)
	}
	go func() { _, _ = near.Write([]byte("x")) }()
	if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
		t.Errorf("it does not work any more: %v", err)
	}
}

// More pieces than one call takes, some of them empty, arrive in order, and so do those that a call
// took only a part of.
func TestWritev(t *testing.T) {
	near, far := pair(t)
	fd := take(t, near, 0)
	var bufs [][]byte
	for i := range 3 * maxPieces {
		bufs = append(bufs, bytes.Repeat([]byte{byte(i)}, i%5*701))
	}
	want := bytes.Join(bufs, nil)
	got := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(far)
		got <- all
	}()
	sent := 0
	var v Vectors
	for left := bufs; len(left) > 0; {
		n, rest, err := v.Writev(fd, left)
		if err != nil {
			t.Fatal(err)
		}
		sent, left = sent+n, rest
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if all := <-got; sent != len(want) || !bytes.Equal(all, want) {
		t.Errorf("%d of %d bytes were sent, and %d came", sent, len(want), len(all))
	}
}

func TestBehind(t *testing.T) {
	for n, want := range []string{"ab|cd||e", "b|cd||e", "cd||e", "d||e", "e", ""} {
		bufs := [][]byte{[]byte("ab"), []byte("cd"), {}, []byte("e")}
		got := string(bytes.Join(behind(bufs, n), []byte("|")))
		if got != want {
			t.Errorf("behind %d bytes are %q, not %q", n, got, want)
		}
	}
	if left := behind([][]byte{{}, {}}, 0); len(left) > 0 {
		t.Errorf("empty pieces are left: %v", left)
	}
}
