package nbdserver_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

// stuck is a disk that is quick, but for its second half, which waits until it is let go.
type stuck struct {
	nbdserver.Disk
	let chan struct{}
}

func (s *stuck) Read(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	if off >= 1<<19 {
		<-s.let
	}
	return s.Disk.Read(ctx, v, off, f)
}

func (s *stuck) Write(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	if off >= 1<<19 {
		<-s.let
	}
	return s.Disk.Write(ctx, v, off, f)
}

// TestStuckWrite has more writes come while one is stuck, whose data lies where they were read to.
func TestStuckWrite(t *testing.T) {
	const length, others = 4096, 64
	disk := &stuck{open(t, image(t, 1<<20), blockdev.Mode{}), make(chan struct{})}
	path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk}}})
	w := dial(t, path, nbdwire.Simple)
	content := func(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, length) }
	for range 200 {
		r := nbdwire.Request{Command: nbdwire.CmdWrite, Length: length}
		if no, err := w.ask(r, content(0)); no != 0 || err != nil {
			t.Fatal(no, err)
		}
	}
	at := func(i int) uint64 {
		if i == 0 {
			return 1 << 19
		}
		return uint64(i) * length
	}
	for i := range others {
		r := nbdwire.Request{
			Command: nbdwire.CmdWrite, Offset: at(i), Length: length, Cookie: uint64(i),
		}
		if _, err := w.conn.Write(append(r.Append(nil, w.form), content(i)...)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range others {
		if n == others-1 {
			close(disk.let)
		}
		reply, err := w.reply()
		if err != nil || reply.Error != 0 || (reply.Cookie == 0) != (n == others-1) {
			t.Fatalf("reply %d: %+v, %v", n, reply, err)
		}
	}
	got := make([]byte, length)
	for i := range others {
		if err := disk.Read(t.Context(), driver.Vec{got}, int64(at(i)), 0); err != nil ||
			!bytes.Equal(got, content(i)) {
			t.Errorf("write %d: %v, 0x%x", i, err, got[0])
		}
	}
}

// TestStuck asks a disk that has been quick, and so is read from by the worker that reads requests,
// for what it does not give. That holds up neither the replies before nor the requests behind it.
func TestStuck(t *testing.T) {
	disk := &stuck{open(t, image(t, 1<<20), blockdev.Mode{}), make(chan struct{})}
	path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk}}})
	w := dial(t, path, nbdwire.Simple)
	for range 200 {
		if no, err := w.ask(nbdwire.Request{Command: nbdwire.CmdRead, Length: 512}, nil); no != 0 ||
			err != nil {
			t.Fatal(no, err)
		}
	}
	var requests []byte
	for i, off := range []uint64{0, 1 << 19, 4096, 8192} {
		r := nbdwire.Request{
			Command: nbdwire.CmdRead, Offset: off, Length: 512, Cookie: uint64(i),
		}
		requests = r.Append(requests, nbdwire.Simple)
	}
	if _, err := w.conn.Write(requests); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for range 4 {
		if len(seen) == 3 {
			close(disk.let)
		}
		reply, err := w.reply()
		if err != nil || reply.Error != 0 || seen[reply.Cookie] ||
			(reply.Cookie == 1) != (len(seen) == 3) {
			t.Fatalf("%+v, %v, after %v", reply, err, seen)
		}
		seen[reply.Cookie] = true
		w.skip(512)
	}
}
