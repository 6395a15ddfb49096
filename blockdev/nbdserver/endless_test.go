package nbdserver_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

// endless is a disk of a PiB whose sectors are data and holes by turns. It counts what it is asked,
// and answers the first question when it is let to.
type endless struct {
	nbdserver.Disk
	begun, let chan struct{}
	asked      atomic.Int64 // reads, and runs
	read       atomic.Int64 // bytes
}

func newEndless() *endless {
	return &endless{begun: make(chan struct{}), let: make(chan struct{})}
}

func (d *endless) Info() driver.Info {
	return driver.Info{Limits: driver.Limits{Size: 1 << 50}}
}

func (d *endless) ReadOnly() bool { return true }

func (d *endless) Flush(context.Context) error { return nil }

func (d *endless) first() {
	if d.asked.Add(1) == 1 {
		close(d.begun)
		<-d.let
	}
}

func (d *endless) Read(_ context.Context, v driver.Vec, _ int64, _ driver.Flags) error {
	d.first()
	d.read.Add(v.Len())
	return nil
}

func (d *endless) Status(_ context.Context, off, n int64) (driver.Extent, error) {
	d.first()
	e := driver.Extent{Off: off, Len: min(n, driver.SectorSize-off%driver.SectorSize)}
	e.Data = off/driver.SectorSize%2 == 0
	e.Zero = !e.Data
	return e, nil
}

// sweeping are the requests whose length says nothing about how much is sent.
var sweeping = []nbdwire.Command{nbdwire.CmdCache, nbdwire.CmdBlockStatus}

// TestSweeping asks about all of a disk without end: the answer comes after some of it.
func TestSweeping(t *testing.T) {
	for _, cmd := range sweeping {
		disk := newEndless()
		close(disk.let)
		path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk}}})
		w := dial(t, path, nbdwire.Extended)
		no, err := w.ask(nbdwire.Request{Command: cmd, Length: 1 << 50}, nil)
		if no != 0 || err != nil {
			t.Errorf("%v: %v, %v", cmd, no, err)
		}
		if n := disk.asked.Load(); n > 16<<10 || disk.read.Load() > 1<<30 {
			t.Errorf("%v: the disk was asked %d times", cmd, n)
		}
	}
}

// TestStopSweeping ends the server amid such a request, which is answered with what there is.
func TestStopSweeping(t *testing.T) {
	for _, cmd := range sweeping {
		disk := newEndless()
		r := begin(t, disk, false)
		w := dial(t, r.path, nbdwire.Extended)
		answered := make(chan error)
		go func() {
			no, err := w.ask(nbdwire.Request{Command: cmd, Length: 1 << 50}, nil)
			if no != 0 {
				err = no
			}
			answered <- err
		}()
		<-disk.begun
		r.stop()
		awaitEnd(t, w.conn)
		close(disk.let)
		if err := <-answered; err != nil {
			t.Errorf("%v: %v", cmd, err)
		}
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
		if n := disk.asked.Load(); n > 2 {
			t.Errorf("%v: the disk was asked %d times", cmd, n)
		}
	}
}

// awaitEnd returns when the server reads no further requests.
func awaitEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	ended := func(fd uintptr) bool {
		_, err = syscall.Write(int(fd), nil)
		return err == syscall.EPIPE
	}
	for done := false; !done; {
		if controlled := raw.Control(func(fd uintptr) { done = ended(fd) }); controlled != nil {
			t.Fatal(controlled)
		}
	}
}

// TestMemoryOfStatus has clients ask for more than there is memory for, of a disk that does not
// answer. Each has one request at the disk, and all together those for which there is memory.
func TestMemoryOfStatus(t *testing.T) {
	const clients, requests, limit, each = 8, 16, 2 << 20, 256 << 10
	disk := &undecided{let: make(chan struct{}), came: make(chan struct{}, clients*requests)}
	disk.endless = newEndless()
	close(disk.endless.let)
	path := serve(t, &nbdserver.Server{
		Exports: []nbdserver.Export{{Disk: disk}}, MaxMemory: limit,
	})
	var all sync.WaitGroup
	for range clients {
		w := dial(t, path, nbdwire.Extended)
		var said []byte
		for i := range uint64(requests) {
			r := nbdwire.Request{Command: nbdwire.CmdBlockStatus, Length: 1 << 50, Cookie: i}
			said = r.Append(said, w.form)
		}
		if _, err := w.conn.Write(said); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for range requests {
				reply, err := w.reply()
				if err != nil || !reply.Done {
					t.Errorf("%+v, %v", reply, err)
				}
				w.skip(int64(reply.Length))
			}
		})
	}
	for range clients + limit/each {
		<-disk.came
	}
	small := dial(t, path, nbdwire.Structured)
	for range 300 { // whoever may begin has begun meanwhile
		r := nbdwire.Request{Command: nbdwire.CmdRead, Length: 512}
		if no, err := small.ask(r, nil); no != 0 || err != nil {
			t.Error(no, err)
		}
	}
	if n := len(disk.came); n > 0 {
		t.Errorf("%d requests more than there is memory for", n)
	}
	close(disk.let)
	all.Wait()
}

// undecided is a disk that answers the first question of each request when it is let to.
type undecided struct {
	*endless
	let, came chan struct{}
}

func (d *undecided) Status(ctx context.Context, off, n int64) (driver.Extent, error) {
	if off == 0 {
		d.came <- struct{}{}
		<-d.let
	}
	return d.endless.Status(ctx, off, n)
}
