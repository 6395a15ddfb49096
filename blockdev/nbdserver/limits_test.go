package nbdserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

// option is an option as a client sends it, whose header announces n bytes of data.
func option(opt nbdwire.Option, n int, data ...byte) []byte {
	b := append([]byte("IHAVEOPT"), make([]byte, 8)...)
	binary.BigEndian.PutUint32(b[8:], uint32(opt))
	binary.BigEndian.PutUint32(b[12:], uint32(n))
	return append(b, data...)
}

// hasty is a server that gives clients little time to choose an export. Notices of those who have
// left come on the channel.
func hasty(t *testing.T, config *tls.Config) (path string, left chan nbdserver.Notice) {
	left = make(chan nbdserver.Notice, 16)
	return serve(t, &nbdserver.Server{
		Exports:       []nbdserver.Export{{Disk: open(t, image(t, 1<<20), blockdev.Mode{})}},
		TLS:           config,
		HandshakeTime: 50 * time.Millisecond,
		Notify: func(n nbdserver.Notice) {
			if n.Left {
				left <- n
			}
		},
	}), left
}

// late says that a client was hung up on because its time was over.
func late(n nbdserver.Notice) bool {
	return n.Declined && errors.Is(n.Err, os.ErrDeadlineExceeded)
}

// TestSilent stops talking at each step of the handshake. The server hangs up when its time is
// over, and says so.
func TestSilent(t *testing.T) {
	flags := []byte{0, 0, 0, 3}
	list := option(nbdwire.OptList, 0)
	secure := &tls.Config{}
	for _, c := range []struct {
		name string
		tls  *tls.Config
		said []byte
	}{
		{"nothing", nil, nil},
		{"half of the flags", nil, flags[:2]},
		{"flags", nil, flags},
		{"half of an option", nil, append(flags[:4:4], list[:9]...)},
		{"no data", nil, append(flags[:4:4], option(nbdwire.OptGo, 6)...)},
		{"half of the data", nil, append(flags[:4:4], option(nbdwire.OptGo, 6, 0, 0)...)},
		{"data to be skipped", nil, append(flags[:4:4], option(nbdwire.OptGo, 1<<30, 1)...)},
		{"after a list", nil, append(flags[:4:4], list...)},
		{"before TLS", secure, append(flags[:4:4], option(nbdwire.OptStartTLS, 0)...)},
		{
			"amid TLS", secure,
			append(append(flags[:4:4], option(nbdwire.OptStartTLS, 0)...), 22, 3, 1, 0, 200, 1),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, left := hasty(t, c.tls)
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write(c.said) // fails if the time is over
			if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, os.ErrClosed) {
				t.Log(err) // hung up on with data that was not read
			}
			if n := <-left; !late(n) {
				t.Errorf("%+v", n)
			}
		})
	}
}

// TestDribble sends an option byte by byte: the time is for the handshake, not for a byte of it.
func TestDribble(t *testing.T) {
	path, left := hasty(t, nil)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said := append([]byte{0, 0, 0, 3}, option(nbdwire.OptGo, 64<<10, make([]byte, 64<<10)...)...)
	for i := range said {
		if _, err = conn.Write(said[i : i+1]); err != nil {
			break
		}
		time.Sleep(time.Millisecond) // so that it would take a minute
	}
	if n := <-left; err == nil || !late(n) {
		t.Errorf("%v, %+v", err, n)
	}
}

// TestLongOption sends options that are longer than any may be, which are refused and skipped.
func TestLongOption(t *testing.T) {
	disk := open(t, image(t, 1<<20), blockdev.Mode{})
	path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk}}})
	for _, n := range []int{64<<10 + 1, 8 << 20} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		said := append([]byte{0, 0, 0, 3}, option(nbdwire.OptGo, n, make([]byte, n)...)...)
		said = append(said, option(nbdwire.OptList, 0)...)
		if _, err := conn.Write(said); err != nil {
			t.Fatal(err)
		}
		var want []byte
		want = nbdwire.AppendOptionReply(want, nbdwire.OptGo, nbdwire.RepErrTooBig,
			[]byte("more than 65536 bytes"))
		want = nbdwire.AppendOptionReply(want, nbdwire.OptList, nbdwire.RepServer,
			nbdwire.AppendListed(nil, nbdwire.Export{}))
		want = nbdwire.AppendOptionReply(want, nbdwire.OptList, nbdwire.RepAck, nil)
		got := make([]byte, 18+len(want)) // behind the greeting
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got[18:], want) {
			t.Errorf("%d bytes: %q, %v", n, got, err)
		}
	}
}

// counted is a listener that knows how many connections were taken from it and not yet closed.
type counted struct {
	net.Listener
	now, most atomic.Int32
}

func (l *counted) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if n := l.now.Add(1); n > l.most.Load() {
		l.most.Store(n)
	}
	return &countedConn{Conn: conn, of: l}, nil
}

type countedConn struct {
	net.Conn
	of   *counted
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.of.now.Add(-1) })
	return c.Conn.Close()
}

// TestMaxClients has more clients come than there may be: they wait, and all are served.
func TestMaxClients(t *testing.T) {
	const allowed, come = 3, 12
	path := filepath.Join(t.TempDir(), "sock")
	inner, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l := &counted{Listener: inner}
	s := &nbdserver.Server{
		Exports:    []nbdserver.Export{{Disk: open(t, image(t, 1<<20), blockdev.Mode{})}},
		MaxClients: allowed,
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l) }()
	var clients sync.WaitGroup
	for range come {
		clients.Go(func() {
			w := dial(t, path, nbdwire.Structured)
			r := nbdwire.Request{Command: nbdwire.CmdRead, Length: 4096}
			if no, err := w.ask(r, nil); no != 0 || err != nil {
				t.Error(no, err)
			}
			_ = w.conn.Close()
		})
	}
	clients.Wait()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := l.most.Load(); n > allowed {
		t.Errorf("%d connections at a time, of %d", n, allowed)
	}
}

// queued is a listener with clients that wait in it, also when it is closed. They say nothing.
type queued struct {
	net.Listener
	waiting chan net.Conn
	taken   chan struct{}
}

func (l *queued) Accept() (net.Conn, error) {
	select {
	case conn := <-l.waiting:
		l.taken <- struct{}{}
		return conn, nil
	default:
		return l.Listener.Accept()
	}
}

// TestStopFull ends a server that has as many clients as there may be, while more of them wait.
func TestStopFull(t *testing.T) {
	const allowed, come = 2, 4
	inner, err := net.Listen("unix", filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	l := &queued{inner, make(chan net.Conn, come), make(chan struct{}, come)}
	for range come {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		l.waiting <- ours
	}
	s := &nbdserver.Server{
		Exports:    []nbdserver.Export{{Disk: open(t, image(t, 1<<20), blockdev.Mode{})}},
		MaxClients: allowed,
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	for range allowed {
		<-l.taken
	}
	stop()
	select {
	case err = <-ended:
	case <-time.After(time.Minute):
		err = errors.New("it does not end")
	}
	if err != nil {
		t.Error(err)
	}
	if n := len(l.waiting); n != come-allowed {
		t.Errorf("%d clients wait", n)
	}
}

// busy is a disk that counts the bytes of requests that it is given and of those it has done, and
// writes nothing until it is let.
type busy struct {
	nbdserver.Disk
	let        chan struct{}
	held, most atomic.Int64 // bytes of writes
	read       atomic.Int64 // bytes
	came       chan struct{}
}

func (d *busy) Write(_ context.Context, v driver.Vec, _ int64, _ driver.Flags) error {
	if n := d.held.Add(v.Len()); n > d.most.Load() {
		d.most.Store(n)
	}
	d.came <- struct{}{}
	<-d.let
	d.held.Add(-v.Len())
	return nil
}

func (d *busy) Read(_ context.Context, v driver.Vec, _ int64, _ driver.Flags) error {
	d.read.Add(v.Len())
	return nil
}

// TestMemoryOfWrites has clients send many long writes to a disk that does not do them. Each gets
// as much memory as the limit says, and the rest of what it sends waits where it is.
func TestMemoryOfWrites(t *testing.T) {
	const clients, writes, limit = 4, 64, 16 << 20
	disk := &busy{
		Disk: open(t, image(t, 8<<20), blockdev.Mode{}), let: make(chan struct{}),
		came: make(chan struct{}, clients*writes),
	}
	path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk}}})
	before := heap()
	var all sync.WaitGroup
	data := make([]byte, 2<<20)
	for range clients {
		w := dial(t, path, nbdwire.Structured)
		all.Go(func() {
			for i := range uint64(writes) {
				r := nbdwire.Request{
					Command: nbdwire.CmdWrite, Length: uint64(len(data)), Cookie: i,
				}
				_, err := w.conn.Write(r.Append(nil, w.form))
				if err == nil {
					_, err = w.conn.Write(data)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range writes {
				if reply, err := w.reply(); err != nil || reply.Error != 0 {
					t.Errorf("%+v, %v", reply, err)
				}
			}
		})
	}
	for range clients * limit / len(data) { // as many as there is memory for
		<-disk.came
	}
	if used := heap() - before; used > clients*(limit+2<<20) {
		t.Errorf("%d bytes of memory are in use", used)
	}
	close(disk.let)
	all.Wait()
	if n := disk.most.Load(); n > clients*limit {
		t.Errorf("the disk had %d bytes at a time", n)
	}
}

// TestMemoryOfAll has clients send writes to a disk that does not do them, until the memory that
// all have together is taken. The rest waits, and small requests of others do not.
func TestMemoryOfAll(t *testing.T) {
	const clients, writes, length, limit = 4, 6, 2 << 20, 8 << 20
	disk := &busy{
		Disk: open(t, image(t, 8<<20), blockdev.Mode{}), let: make(chan struct{}),
		came: make(chan struct{}, clients*writes),
	}
	path := serve(t, &nbdserver.Server{
		Exports: []nbdserver.Export{{Disk: disk}}, MaxMemory: limit,
	})
	var all sync.WaitGroup
	data := make([]byte, length)
	for range clients {
		w := dial(t, path, nbdwire.Structured)
		all.Go(func() {
			for i := range uint64(writes) {
				r := nbdwire.Request{Command: nbdwire.CmdWrite, Length: length, Cookie: i}
				_, err := w.conn.Write(append(r.Append(nil, w.form), data...))
				if err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range writes {
				if reply, err := w.reply(); err != nil || reply.Error != 0 {
					t.Errorf("%+v, %v", reply, err)
				}
			}
		})
	}
	for range limit / length {
		<-disk.came
	}
	small := dial(t, path, nbdwire.Structured)
	for range 3 {
		r := nbdwire.Request{
			Command: nbdwire.CmdRead, Length: 256 << 10,
			Flags: nbdwire.DontFragment,
		}
		if no, err := small.ask(r, nil); no != 0 || err != nil {
			t.Error(no, err)
		}
	}
	close(disk.let)
	all.Wait()
	if n := disk.most.Load(); n > limit {
		t.Errorf("the disk had %d bytes at a time, of %d", n, limit)
	}
}

// TestStalled has clients get all of the memory that there is for a request that they do not send
// to its end, or for a reply that they do not receive. They are hung up on once somebody waits, and
// one whose request is at the disk is not.
func TestStalled(t *testing.T) {
	const limit, short = 8 << 20, 1 << 20
	for _, c := range []struct {
		name    string
		request nbdwire.Request
		sent    int // bytes of its data
		runtime bool
	}{
		{"write", nbdwire.Request{Command: nbdwire.CmdWrite}, short, false},
		{"read", nbdwire.Request{Command: nbdwire.CmdRead}, 0, false},
		{"write, in the runtime", nbdwire.Request{Command: nbdwire.CmdWrite}, short, true},
		{"read, in the runtime", nbdwire.Request{Command: nbdwire.CmdRead}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := &busy{
				Disk: open(t, image(t, limit), blockdev.Mode{}), let: make(chan struct{}),
				came: make(chan struct{}, 2),
			}
			left := make(chan nbdserver.Notice, 4)
			server := &nbdserver.Server{
				Exports: []nbdserver.Export{{Disk: disk}}, MaxMemory: limit,
				StallTime: 50 * time.Millisecond,
				Notify: func(n nbdserver.Notice) {
					if n.Left {
						left <- n
					}
				},
			}
			path := serveOn(t, server, func(l net.Listener) net.Listener {
				if c.runtime {
					return &counted{Listener: l} // whose connections are no sockets
				}
				return l
			})
			write := nbdwire.Request{Command: nbdwire.CmdWrite, Length: short}
			var waiting sync.WaitGroup
			ask := func() {
				w := dial(t, path, nbdwire.Simple)
				waiting.Go(func() {
					if no, err := w.ask(write, make([]byte, short)); no != 0 || err != nil {
						t.Error(no, err)
					}
				})
			}
			ask()
			<-disk.came
			lazy := dial(t, path, nbdwire.Simple)
			c.request.Length = limit - short
			said := append(c.request.Append(nil, lazy.form), make([]byte, c.sent)...)
			if _, err := lazy.conn.Write(said); err != nil {
				t.Fatal(err)
			}
			if c.request.Command == nbdwire.CmdRead {
				lazy.skip(16) // it has the memory
			} else {
				awaitTaken(t, lazy.conn)
			}
			ask()
			if n := <-left; n.Err == nil || !strings.Contains(n.Err.Error(), "waited") {
				t.Errorf("%+v", n)
			}
			<-disk.came
			close(disk.let)
			waiting.Wait()
		})
	}
}

// awaitTaken waits until the other side of a connection has received all that was sent.
func awaitTaken(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; {
		err := raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

// heap is how many bytes of memory are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemoryOfReads asks for much and takes replies one by one. The server reads no further ahead
// than it has memory for.
func TestMemoryOfReads(t *testing.T) {
	const reads, length = 128, 1 << 20
	// What was not received is in 16 requests, in the socket, which has 2 MiB of memory, and on its
	// way between them.
	const ahead = 16 + 2 + 2
	disk := &busy{Disk: open(t, image(t, 8<<20), blockdev.Mode{})}
	path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk}}})
	w := dial(t, path, nbdwire.Simple)
	var requests []byte
	for i := range uint64(reads) {
		r := nbdwire.Request{Command: nbdwire.CmdRead, Length: length, Cookie: i}
		requests = r.Append(requests, w.form)
	}
	if _, err := w.conn.Write(requests); err != nil {
		t.Fatal(err)
	}
	for i := range int64(reads) {
		if reply, err := w.reply(); err != nil || reply.Error != 0 {
			t.Fatalf("%+v, %v", reply, err)
		}
		if n := disk.read.Load() / length; n > i+ahead {
			t.Fatalf("%d requests were read, when %d replies were received", n, i)
		}
		w.skip(length)
	}
}

// TestMemoryGivenBack: a server keeps nothing of long requests that were done, whatever their
// clients do next, and reads nothing more for a client that has gone.
func TestMemoryGivenBack(t *testing.T) {
	const clients, requests, length, little = 8, 16, 4 << 20, 8 << 20
	for _, c := range []struct {
		name string
		cmd  nbdwire.Command
		gone bool // clients leave without a look at the replies
	}{
		{"reads", nbdwire.CmdRead, false},
		{"writes", nbdwire.CmdWrite, false},
		{"reads of who has gone", nbdwire.CmdRead, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := &busy{
				Disk: open(t, image(t, length), blockdev.Mode{}),
				let:  make(chan struct{}), came: make(chan struct{}, clients*requests),
			}
			close(disk.let)
			left := make(chan struct{}, clients)
			path := serve(t, &nbdserver.Server{
				Exports: []nbdserver.Export{{Disk: disk}},
				Notify: func(n nbdserver.Notice) {
					if n.Left {
						left <- struct{}{}
					}
				},
			})
			data := make([]byte, length)
			before := heap()
			var all sync.WaitGroup
			for range clients {
				w := dial(t, path, nbdwire.Simple)
				all.Go(func() {
					for i := range uint64(requests) {
						r := nbdwire.Request{Command: c.cmd, Length: length, Cookie: i}
						_, err := w.conn.Write(r.Append(nil, w.form))
						if err == nil && c.cmd == nbdwire.CmdWrite {
							_, err = w.conn.Write(data)
						}
						if err != nil {
							t.Error(err)
						}
					}
					if c.gone {
						_ = w.conn.Close()
						<-left
						return
					}
					for range requests {
						reply, err := w.reply()
						if err == nil && c.cmd == nbdwire.CmdRead {
							_, err = io.CopyN(io.Discard, w.conn, length)
						}
						if err != nil || reply.Error != 0 {
							t.Errorf("%+v, %v", reply, err)
							return
						}
					}
				})
			}
			all.Wait()
			kept := heap() - before
			for range 1000 { // what sent the last reply is giving back its memory
				if kept <= little {
					break
				}
				kept = heap() - before
			}
			if kept > little {
				t.Errorf("%d bytes are kept", kept)
			}
			// One request is answered at a time, and one or two have been read meanwhile.
			if n := disk.read.Load() / length; c.gone && n > clients*requests/2 {
				t.Errorf("%d requests were done for who has gone", n)
			}
		})
	}
}
