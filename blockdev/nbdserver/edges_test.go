package nbdserver_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

// running is a server that a test ends itself.
type running struct {
	path  string
	stop  context.CancelFunc
	ended chan error // gets what Serve returned
	left  chan nbdserver.Notice
}

// begin starts a server of disk.
func begin(t *testing.T, disk nbdserver.Disk, once bool) *running {
	t.Helper()
	r := &running{
		path: filepath.Join(t.TempDir(), "sock"), ended: make(chan error, 1),
		left: make(chan nbdserver.Notice, 16),
	}
	l, err := net.Listen("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	s := &nbdserver.Server{
		Exports: []nbdserver.Export{{Disk: disk}}, Once: once,
		Notify: func(n nbdserver.Notice) {
			if n.Left {
				r.left <- n
			}
		},
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.ended <- s.Serve(ctx, l) }()
	t.Cleanup(stop)
	return r
}

// TestLeave takes leave with requests under way, all of which are answered before the end.
func TestLeave(t *testing.T) {
	const requests = 8
	disk := &stuck{open(t, image(t, 1<<20), blockdev.Mode{}), make(chan struct{})}
	r := begin(t, disk, true)
	w := dial(t, r.path, nbdwire.Simple)
	var said []byte
	for i := range uint64(requests) {
		q := nbdwire.Request{Command: nbdwire.CmdRead, Offset: 1 << 19, Length: 512, Cookie: i}
		said = q.Append(said, w.form)
	}
	said = nbdwire.Request{Command: nbdwire.CmdDisconnect}.Append(said, w.form)
	if _, err := w.conn.Write(said); err != nil {
		t.Fatal(err)
	}
	close(disk.let)
	for range requests {
		if reply, err := w.reply(); err != nil || reply.Error != 0 {
			t.Fatalf("%+v, %v", reply, err)
		}
		w.skip(512)
	}
	if _, err := w.reply(); err != io.EOF {
		t.Errorf("after the last reply: %v", err)
	}
	if n := <-r.left; n.Err != nil || n.Traffic.Requests != requests {
		t.Errorf("%+v", n)
	}
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

// TestHalf sends a part of a request and stays, or goes. The server ends when it is told to, serves
// others meanwhile, and has done nothing of the half.
func TestHalf(t *testing.T) {
	write := nbdwire.Request{Command: nbdwire.CmdWrite, Length: 64 << 10}.Append(nil,
		nbdwire.Simple)
	for name, part := range map[string][]byte{
		"head": write[:9], "no data": write, "data": append(write[:len(write):len(write)], 7, 7, 7),
	} {
		for _, goes := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				r := begin(t, open(t, image(t, 1<<20), blockdev.Mode{}), goes)
				w := dial(t, r.path, nbdwire.Simple)
				if _, err := w.conn.Write(part); err != nil {
					t.Fatal(err)
				}
				other := dial(t, r.path, nbdwire.Structured)
				q := nbdwire.Request{Command: nbdwire.CmdRead, Length: 4096}
				if no, err := other.ask(q, nil); no != 0 || err != nil {
					t.Error(no, err)
				}
				if goes { // both of them, which ends a server for one client
					_ = w.conn.Close()
					_ = other.conn.Close()
					half := 0
					for range 2 {
						if n := <-r.left; errors.Is(n.Err, io.ErrUnexpectedEOF) &&
							n.Traffic.Requests == 0 {
							half++
						}
					}
					if half != 1 {
						t.Errorf("%d clients left half a request", half)
					}
				} else {
					r.stop()
				}
				if err := <-r.ended; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestTakesNothing asks for more than the server may have ready, takes no reply, and goes at last.
// Others are served meanwhile.
func TestTakesNothing(t *testing.T) {
	const length, requests = 1 << 20, 64
	r := begin(t, open(t, image(t, 8<<20), blockdev.Mode{}), false)
	w := dial(t, r.path, nbdwire.Simple)
	var said []byte
	for i := range uint64(requests) {
		q := nbdwire.Request{Command: nbdwire.CmdRead, Length: length, Cookie: i}
		said = q.Append(said, w.form)
	}
	if _, err := w.conn.Write(said); err != nil {
		t.Fatal(err)
	}
	if _, err := w.reply(); err != nil { // so that the replies are on their way
		t.Fatal(err)
	}
	other := dial(t, r.path, nbdwire.Structured)
	q := nbdwire.Request{Command: nbdwire.CmdRead, Length: length}
	if no, err := other.ask(q, nil); no != 0 || err != nil {
		t.Error(no, err)
	}
	_ = w.conn.Close()
	if n := <-r.left; n.Err == nil {
		t.Errorf("who goes with replies under way has taken leave: %+v", n)
	}
	r.stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

// failing is a disk that fails.
type failing struct {
	nbdserver.Disk
	no syscall.Errno
}

func (f *failing) Read(context.Context, driver.Vec, int64, driver.Flags) error  { return f.no }
func (f *failing) Write(context.Context, driver.Vec, int64, driver.Flags) error { return f.no }
func (f *failing) Zero(context.Context, int64, int64, driver.Flags) error       { return f.no }
func (f *failing) Discard(context.Context, int64, int64) error                  { return f.no }
func (f *failing) Flush(context.Context) error                                  { return f.no }

// TestDiskFails: what the disk fails with comes to the client, and the flush at the end to who
// serves.
func TestDiskFails(t *testing.T) {
	for no, want := range map[syscall.Errno]syscall.Errno{
		syscall.ENOSPC: syscall.ENOSPC, syscall.EIO: syscall.EIO, syscall.ENOMEM: syscall.ENOMEM,
		syscall.EDQUOT: syscall.ENOSPC, syscall.EFBIG: syscall.ENOSPC,
	} {
		for _, form := range []nbdwire.Form{nbdwire.Simple, nbdwire.Structured, nbdwire.Extended} {
			r := begin(t, &failing{open(t, image(t, 1<<20), blockdev.Mode{}), no}, false)
			w := dial(t, r.path, form)
			data := make([]byte, 512)
			for _, q := range []nbdwire.Request{
				{Command: nbdwire.CmdRead, Length: 512},
				{Command: nbdwire.CmdWrite, Length: 512},
				{Command: nbdwire.CmdWrite, Length: 512, Flags: nbdwire.FUA},
				{Command: nbdwire.CmdWriteZeroes, Length: 512},
				{Command: nbdwire.CmdTrim, Length: 512},
				{Command: nbdwire.CmdCache, Length: 512},
				{Command: nbdwire.CmdFlush},
			} {
				payload := data
				if q.Command != nbdwire.CmdWrite {
					payload = nil
				}
				if got, err := w.ask(q, payload); got != want || err != nil {
					t.Errorf("%v of a disk with %v: %v, %v", q.Command, no, got, err)
				}
			}
			r.stop()
			if err := <-r.ended; !errors.Is(err, no) {
				t.Errorf("the end: %v", err)
			}
		}
	}
}

// TestReasons has clients go at all stages, and hears in words why.
func TestReasons(t *testing.T) {
	const length = 8 << 20 // which no socket takes at once
	request := func(cmd nbdwire.Command) []byte {
		r := nbdwire.Request{Command: cmd, Length: length}
		return r.Append(nil, nbdwire.Simple)
	}
	head := func(opt nbdwire.Option, length uint32) []byte {
		b := binary.BigEndian.AppendUint64(nil, 0x49484156454f5054)
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(opt)), length)
	}
	refused := append(head(nbdwire.OptGo, 8), "\x00\x00\x00\x02no\x00\x00"...)
	for _, c := range []struct {
		name  string
		using bool // an export
		sent  []byte
		want  string
	}{
		{"nothing", true, nil, "<nil>"},
		{"half a request", true, request(nbdwire.CmdRead)[:9], "it hung up within a request"},
		{"half the data", true, append(request(nbdwire.CmdWrite), 1), "it hung up within a request"},
		{"no look at the reply", true, request(nbdwire.CmdRead), "hung up before all its requests"},
		{"a long option, cut", false, head(nbdwire.OptList, 1<<20), "Failed to read option data: "},
		{"an option, cut", false, head(nbdwire.OptList, 7)[:3], "Failed to read option: "},
		{"an export that is not there", false, refused, "export 'no' not present"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := begin(t, open(t, image(t, length), blockdev.Mode{}), false)
			defer r.stop()
			var conn net.Conn
			if c.using {
				conn = dial(t, r.path, nbdwire.Simple).conn
			} else {
				var err error
				if conn, err = net.Dial("unix", r.path); err == nil {
					_, err = nbdwire.Greet(conn)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if _, err := conn.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if c.want != "hung up before all its requests" { // what the server says is read, too
				_, _ = io.Copy(io.Discard, conn)
			}
			_ = conn.Close()
			n := <-r.left
			if said := fmt.Sprint(n.Err); !strings.Contains(said, c.want) {
				t.Errorf("%s, not %s", said, c.want)
			}
			if n.Traffic != (nbdserver.Traffic{}) {
				t.Errorf("%+v", n.Traffic)
			}
		})
	}
}
