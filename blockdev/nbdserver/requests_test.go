package nbdserver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

// wire is a client that sends what it is told to.
type wire struct {
	t    *testing.T
	conn net.Conn
	form nbdwire.Form
}

// dial haggles for the export "" in a form.
func dial(t *testing.T, path string, form nbdwire.Form) *wire {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // a test that hangs shall say where
	c, err := nbdwire.Greet(conn)
	if err == nil && form == nbdwire.Extended {
		err = c.ExtendedHeaders()
	}
	if err == nil && form == nbdwire.Structured {
		err = c.StructuredReplies()
	}
	if err == nil && form != nbdwire.Simple {
		_, err = c.SetContexts("", nbdwire.ContextAllocation)
	}
	if err == nil {
		_, err = c.Go("")
	}
	if err != nil {
		t.Fatal(err)
	}
	return &wire{t, conn, form}
}

// ask sends a request and returns the error number of the reply.
func (w *wire) ask(r nbdwire.Request, data []byte) (syscall.Errno, error) {
	w.t.Helper()
	r.Cookie = 0xc0ffee
	if _, err := w.conn.Write(append(r.Append(nil, w.form), data...)); err != nil {
		return 0, err
	}
	var no syscall.Errno
	for {
		reply, err := w.reply()
		if err != nil {
			return 0, err
		}
		if reply.Cookie != r.Cookie {
			w.t.Fatalf("cookie 0x%x", reply.Cookie)
		}
		if reply.Error != 0 {
			no = nbdwire.Errno(reply.Error)
		}
		payload := make([]byte, reply.Length)
		if reply.Form == nbdwire.Simple && reply.Error == 0 && r.Command == nbdwire.CmdRead {
			payload = make([]byte, r.Length)
		}
		if _, err := io.ReadFull(w.conn, payload); err != nil {
			return 0, err
		}
		if reply.IsError() {
			f, err := reply.ParseFailure(payload)
			if err != nil {
				w.t.Fatal(err)
			}
			no = nbdwire.Errno(f.Code)
		}
		if reply.Done {
			return no, nil
		}
	}
}

// TestOnceWhole has a server end with its first client, of whose connections one goes on for longer
// than the other.
func TestOnceWhole(t *testing.T) {
	left := make(chan nbdserver.Notice, 2)
	s := &nbdserver.Server{
		Exports: []nbdserver.Export{{Disk: open(t, image(t, 1<<20), blockdev.Mode{})}}, Once: true,
		Notify: func(n nbdserver.Notice) {
			if n.Left {
				left <- n
			}
		},
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background(), l) }()
	one := dial(t, l.Addr().String(), nbdwire.Structured)
	other := dial(t, l.Addr().String(), nbdwire.Structured)
	write := nbdwire.Request{Command: nbdwire.CmdWrite, Length: 512}
	if no, err := one.ask(write, make([]byte, 512)); no != 0 || err != nil {
		t.Error(no, err)
	}
	if no, err := other.ask(write, make([]byte, 512)); no != 0 || err != nil {
		t.Error(no, err)
	}
	_ = one.conn.Close()
	<-left
	for range 100 {
		if no, err := other.ask(write, make([]byte, 512)); no != 0 || err != nil {
			t.Fatal(no, err)
		}
	}
	_ = other.conn.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// skip reads n bytes of a reply.
func (w *wire) skip(n int64) {
	w.t.Helper()
	if _, err := io.CopyN(io.Discard, w.conn, n); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) reply() (nbdwire.Reply, error) {
	var head []byte
	for {
		b := make([]byte, 1)
		if _, err := io.ReadFull(w.conn, b); err != nil {
			return nbdwire.Reply{}, err
		}
		head = append(head, b...)
		if r, n, err := nbdwire.ParseReply(head, w.form); err != nil || n > 0 {
			return r, err
		}
	}
}

// TestBounds lists requests at and behind the bounds of an export of 1 MiB and 100 bytes, and the
// error numbers of the answers.
func TestBounds(t *testing.T) {
	const size = 1<<20 + 100
	name := image(t, size)
	disk := open(t, name, blockdev.Mode{Unmap: true})
	writable := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk}}})
	readOnly := serve(t,
		&nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk, ReadOnly: true}}})
	type request = nbdwire.Request
	for _, c := range []struct {
		name    string
		r       request
		want    syscall.Errno
		wantRO  syscall.Errno
		payload int
	}{
		{"read", request{Command: nbdwire.CmdRead, Offset: size - 3, Length: 3}, 0, 0, 0},
		{"read 0", request{Command: nbdwire.CmdRead, Offset: size}, 0, 0, 0},
		{"read across", request{Command: nbdwire.CmdRead, Offset: size - 3, Length: 4}, syscall.EINVAL, syscall.EINVAL, 0},
		{"read far", request{Command: nbdwire.CmdRead, Offset: 1<<64 - 1, Length: 2}, syscall.EINVAL, syscall.EINVAL, 0},
		{"read much", request{Command: nbdwire.CmdRead, Length: 33 << 20}, syscall.EINVAL, syscall.EINVAL, 0},
		{"write", request{Command: nbdwire.CmdWrite, Flags: nbdwire.FUA, Offset: size - 3, Length: 3}, 0, syscall.EPERM, 3},
		{"write 0", request{Command: nbdwire.CmdWrite, Offset: size}, 0, syscall.EPERM, 0},
		{"write across", request{Command: nbdwire.CmdWrite, Offset: size - 3, Length: 4}, syscall.ENOSPC, syscall.EPERM, 4},
		{"write much", request{Command: nbdwire.CmdWrite, Length: 33 << 20}, syscall.ENOSPC, syscall.EPERM, 33 << 20},
		{"zero", request{Command: nbdwire.CmdWriteZeroes, Flags: nbdwire.NoHole, Offset: 7, Length: 3}, 0, syscall.EPERM, 0},
		{"zero across", request{Command: nbdwire.CmdWriteZeroes, Offset: 7, Length: size}, syscall.ENOSPC, syscall.EPERM, 0},
		{"trim", request{Command: nbdwire.CmdTrim, Flags: nbdwire.FUA, Offset: 7, Length: 3}, 0, syscall.EPERM, 0},
		{"trim across", request{Command: nbdwire.CmdTrim, Offset: 7, Length: size}, syscall.EINVAL, syscall.EPERM, 0},
		{"flush", request{Command: nbdwire.CmdFlush, Flags: nbdwire.FUA}, 0, 0, 0},
		{"cache", request{Command: nbdwire.CmdCache, Length: size}, 0, 0, 0},
		{"cache across", request{Command: nbdwire.CmdCache, Length: size + 1}, syscall.EINVAL, syscall.EINVAL, 0},
		{"unknown command", request{Command: 99, Length: 512}, syscall.EINVAL, syscall.EINVAL, 0},
		{"unknown flag", request{Command: nbdwire.CmdRead, Flags: 0x80, Length: 512}, syscall.EINVAL, syscall.EINVAL, 0},
		{"flag of another", request{Command: nbdwire.CmdWrite, Flags: nbdwire.NoHole, Length: 512}, syscall.EINVAL, syscall.EINVAL, 512},
		{"status 0", request{Command: nbdwire.CmdBlockStatus}, syscall.EINVAL, syscall.EINVAL, 0},
		{"status across", request{Command: nbdwire.CmdBlockStatus, Length: size + 1}, syscall.EINVAL, syscall.EINVAL, 0},
	} {
		for _, form := range []nbdwire.Form{nbdwire.Simple, nbdwire.Structured, nbdwire.Extended} {
			for path, want := range map[string]syscall.Errno{writable: c.want, readOnly: c.wantRO} {
				w := dial(t, path, form)
				no, err := w.ask(c.r, make([]byte, c.payload))
				if err != nil || no != want {
					t.Errorf("%s, %v: %v, %v, want %v", c.name, form, no, err, want)
				}
				if no, err := w.ask(request{Command: nbdwire.CmdRead, Length: 512}, nil); no != 0 ||
					err != nil {
					t.Errorf("%s, %v: the read after it: %v, %v", c.name, form, no, err)
				}
			}
		}
	}
}

// TestHangUp sends what a server must not go on after.
func TestHangUp(t *testing.T) {
	disk := open(t, image(t, 1<<20), blockdev.Mode{})
	path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk}}})
	w := dial(t, path, nbdwire.Structured)
	if _, err := w.ask(nbdwire.Request{Command: nbdwire.CmdWrite, Length: 1 << 30},
		nil); err != io.EOF {
		t.Errorf("a write of 1 GiB: %v", err)
	}
	w = dial(t, path, nbdwire.Structured)
	if _, err := w.conn.Write(make([]byte, 28)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.reply(); err != io.EOF {
		t.Errorf("no magic: %v", err)
	}
}

// image is a raw image of size bytes, all zeroes.
func image(t testing.TB, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestPeers lets the programs of others copy a disk out, and another one in.
func TestPeers(t *testing.T) {
	blockdevtest.Peer(t, "nbdcopy", "libnbd-bin")
	blockdevtest.Peer(t, "qemu-img", "qemu-utils")
	name := image(t, 8<<20)
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(bytes.Repeat([]byte("blksh "), 100_000), 3<<20+17)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	source := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{
		{Name: "disk", Disk: open(t, name, blockdev.Mode{ReadOnly: true})},
	}})
	targetName := image(t, 8<<20)
	target := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{
		{Disk: open(t, targetName, blockdev.Mode{Unmap: true})},
	}})
	out := filepath.Join(t.TempDir(), "copy")
	run(t, "nbdcopy", "nbd+unix:///disk?socket="+source, out)
	run(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", out, name)
	run(t, "nbdcopy", "--flush", "nbd+unix:///disk?socket="+source, "nbd+unix:///?socket="+target)
	run(t, "qemu-img", "compare", "-U", "-f", "raw", "-F", "raw", targetName, name)
	run(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", "nbd:unix:"+target, "nbd:unix:"+source+
		":exportname=disk")
	run(t, "qemu-io", "-f", "raw", "-c", "write -z 3M 1M", "-c", "read -P 0 3M 1M", "nbd:unix:"+
		target)
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %q: %v\n%s", program, args, err, out)
	}
}

// slow is a disk whose reads wait until they are let go.
type slow struct {
	nbdserver.Disk
	begun, let chan struct{}
}

func (s *slow) Read(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	s.begun <- struct{}{}
	<-s.let
	return s.Disk.Read(ctx, v, off, f)
}

// TestStop ends the server while a request is under way, which is finished.
func TestStop(t *testing.T) {
	disk := &slow{
		open(t, image(t, 1<<20), blockdev.Mode{}), make(chan struct{}),
		make(chan struct{}),
	}
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	left := make(chan nbdserver.Notice, 2)
	s := &nbdserver.Server{
		Exports: []nbdserver.Export{{Disk: disk}}, Notify: func(n nbdserver.Notice) { left <- n },
	}
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l) }()
	w := dial(t, path, nbdwire.Structured)
	answered := make(chan error)
	go func() {
		no, err := w.ask(nbdwire.Request{Command: nbdwire.CmdRead, Length: 512}, nil)
		if no != 0 {
			err = no
		}
		answered <- err
	}()
	<-disk.begun
	stop()
	disk.let <- struct{}{}
	if err := <-answered; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := <-left; n.Left {
		t.Errorf("%+v", n)
	}
	if n := <-left; !n.Left || n.Err != nil {
		t.Errorf("%+v", n)
	}
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("the socket is still there")
	}
}

// TestOnce ends with the first client.
func TestOnce(t *testing.T) {
	disk := open(t, image(t, 1<<20), blockdev.Mode{})
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk}}, Once: true}
	ended := make(chan error)
	go func() { ended <- s.Serve(context.Background(), l) }()
	address := nbd.Address{Network: "unix", Path: path}
	if _, err := nbd.List(context.Background(), nbd.Config{Address: address}); err != nil {
		t.Error(err) // who only asks is no client
	}
	c, err := nbd.Dial(context.Background(), nbd.Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), <-ended); err != nil {
		t.Error(err)
	}
}
