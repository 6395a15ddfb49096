package nbdserver

import (
	"bytes"
	"io"
	"math/rand"
	"net"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWritev sends pieces of all lengths to a reader that takes little at a time, while signals
// make calls end early. All arrives in order, and is counted.
func TestWritev(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSocket(conn, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewSource(1))
	var bufs [][]byte
	for _, n := range []int{
		28, 3*sendPiece + 5, 0, 16, sendPiece, 1, sendPiece - 1, sendPiece, sendPiece + 1, 7, 0,
		2 << 20,
	} {
		b := make([]byte, n)
		random.Read(b)
		bufs = append(bufs, b)
	}
	want := bytes.Join(bufs, nil)
	thread, sent := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		thread <- unix.Gettid()
		sent <- s.writev(bufs)
		_ = s.Close()
	}()
	id := <-thread
	got := make([]byte, 0, len(want))
	part := make([]byte, 10007)
	for {
		n, err := far.Read(part)
		got = append(got, part[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(got) < len(want)/2 { // then the writer is there still
			_ = unix.Tgkill(unix.Getpid(), id, unix.SIGURG)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) || s.moved() != int64(len(want)) {
		t.Errorf("%d bytes came, and %d moved, of %d", len(got), s.moved(), len(want))
	}
}
