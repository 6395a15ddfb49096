package nbd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

const (
	leanBlock = 4096
	leanDepth = 8
	// heldBlock is read when the test lets it, and badBlock never.
	heldBlock, badBlock = 1000, 1001
)

// numberedDisk is a disk whose blocks hold their numbers.
type numberedDisk struct {
	nbdserver.Disk
	held          chan struct{} // closed when heldBlock may be read
	release       func()        // closes it
	reads, writes atomic.Int64
}

func (d *numberedDisk) Info() driver.Info {
	return driver.Info{Limits: driver.Limits{Size: 4 << 20}}
}

func (d *numberedDisk) ReadOnly() bool              { return false }
func (d *numberedDisk) Flush(context.Context) error { return nil }

func (d *numberedDisk) Read(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	d.reads.Add(1)
	switch block := off / leanBlock; block {
	case heldBlock:
		<-d.held
	case badBlock:
		return errors.New("a scratch")
	}
	for _, p := range v {
		copy(p, numberedBlock(off/leanBlock))
	}
	return nil
}

func (d *numberedDisk) Write(context.Context, driver.Vec, int64, driver.Flags) error {
	d.writes.Add(1)
	return nil
}

func numberedBlock(n int64) []byte {
	return bytes.Repeat(binary.BigEndian.AppendUint64(nil, uint64(n)), leanBlock/8)
}

// serveNumbered serves d for as long as the test runs, and opens it.
func serveNumbered(t *testing.T, d *numberedDisk, cfg Config) *device {
	t.Helper()
	if d.held == nil {
		held := make(chan struct{})
		d.held, d.release = held, sync.OnceFunc(func() { close(held) })
	}
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	server := &nbdserver.Server{Exports: []nbdserver.Export{{Disk: d}}}
	go func() { ended <- server.Serve(ctx, l) }()
	cfg.Address = Address{Network: "unix", Path: path}
	client, err := Dial(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	dev := &device{Client: client}
	t.Cleanup(func() {
		d.release()
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return dev
}

// leanQueue opens d, served, and makes a queue that finds the server to send in pieces. When it
// returns the lean connection is there, and the read of heldBlock, on slot 0, alone in flight.
func leanQueue(t *testing.T, d *numberedDisk) (*device, *queue) {
	t.Helper()
	dev := serveNumbered(t, d, Config{lean: true, below: nbdwire.Extended})
	made, err := dev.NewQueue(t.Context(), leanDepth, leanBlock)
	if err != nil {
		t.Fatal(err)
	}
	q := made.(*queue)
	read(t, q, 1, 2, 3)
	if n := dev.connections(); n != 1 || q.lean != nil {
		t.Fatalf("%d connections to a server that sends whole replies", n)
	}
	q.conn.split.Store(manySplit)
	stage(t, q, driver.OpRead, heldBlock, 1, 2, 3, 4, 5, 6, 7)
	dev.lean.made.Wait()
	if n := dev.connections(); n != 2 {
		t.Fatalf("%d connections to a server that sends in pieces", n)
	}
	reap(t, q, leanDepth-1)
	return dev, q
}

// stage submits requests for blocks, on the first slots.
func stage(t *testing.T, q driver.Queue, op uint8, blocks ...int64) {
	t.Helper()
	for slot, block := range blocks {
		q.Stage(slot, op, block*leanBlock, leanBlock, 0)
	}
	if err := q.Submit(); err != nil {
		t.Fatal(err)
	}
}

// reap waits for n requests, and returns their errors by slot.
func reap(t *testing.T, q driver.Queue, n int) map[int]error {
	t.Helper()
	errs := map[int]error{}
	done := make([]int, q.Depth())
	for len(errs) < n {
		got, err := q.Reap(n-len(errs), done)
		if err != nil || got < 1 {
			t.Fatalf("%d requests were reaped of %d: %v", got, n, err)
		}
		for _, slot := range done[:got] {
			errs[slot] = q.Err(slot)
		}
	}
	return errs
}

// read reads blocks, and compares what they hold.
func read(t *testing.T, q *queue, blocks ...int64) {
	t.Helper()
	stage(t, q, driver.OpRead, blocks...)
	checkNumbers(t, q, reap(t, q, len(blocks)), blocks)
}

// checkNumbers compares what was read with what blocks hold.
func checkNumbers(t *testing.T, q driver.Queue, errs map[int]error, blocks []int64) {
	t.Helper()
	for slot, err := range errs {
		if err != nil || !bytes.Equal(q.Buffer(slot)[:leanBlock], numberedBlock(blocks[slot])) {
			t.Errorf("block %d: %v, %x", blocks[slot], err, q.Buffer(slot)[:8])
		}
	}
}

// TestLean changes to the lean connection amid a load, which waits for that, reads there, hears why
// a read failed, and does without the connection when it is lost. The next queue has it from the
// beginning.
func TestLean(t *testing.T) {
	var disk numberedDisk
	dev, q := leanQueue(t, &disk)
	for slot, block := range []int64{10, 11, 12} {
		q.Stage(slot+1, driver.OpRead, block*leanBlock, leanBlock, 0)
	}
	before := disk.reads.Load()
	if err := q.Submit(); err != nil {
		t.Fatal(err)
	}
	if !q.held || q.lean != nil {
		t.Fatal("requests were sent while others were in flight elsewhere")
	}
	disk.release()
	for slot, err := range reap(t, q, 4) {
		want := numberedBlock([]int64{heldBlock, 10, 11, 12}[slot])
		if err != nil || !bytes.Equal(q.Buffer(slot)[:leanBlock], want) {
			t.Errorf("slot %d: %v, %x", slot, err, q.Buffer(slot)[:8])
		}
	}
	if n := disk.reads.Load() - before; q.held || q.lean == nil || q.conn != q.lean || n != 3 {
		t.Fatalf("the queue is not on its connection, after %d reads", n)
	}

	stage(t, q, driver.OpRead, 20, badBlock)
	errs := reap(t, q, 2)
	if err := errs[1]; errs[0] != nil || err == nil || !strings.Contains(err.Error(), "a scratch") {
		t.Errorf("a read and one that fails: %v", errs)
	}

	if err := q.Close(); err != nil {
		t.Error(err)
	}
	other, err := dev.NewQueue(t.Context(), leanDepth, leanBlock)
	if err != nil {
		t.Fatal(err)
	}
	q = other.(*queue)
	read(t, q, 30, 31)
	if q.lean == nil || dev.connections() != 2 {
		t.Errorf("the next queue has another connection, of %d", dev.connections())
	}
	_ = q.lean.stream.Close()
	read(t, q, 40, 41)
	if read(t, q, 42, 43); q.conn == q.lean || dev.connections() != 1 {
		t.Errorf("the queue is on a connection that is lost, of %d", dev.connections())
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if dev.lean.free.Load() != 0 {
		t.Error("the next queue gets a connection that is lost")
	}
}

// TestLeanClose closes a queue whose requests wait for the change: they are done.
func TestLeanClose(t *testing.T) {
	var disk numberedDisk
	_, q := leanQueue(t, &disk)
	for slot := 1; slot < leanDepth; slot++ {
		q.Stage(slot, driver.OpWrite, int64(slot)*leanBlock, leanBlock, 0)
	}
	if err := q.Submit(); err != nil || !q.held {
		t.Fatalf("the requests do not wait: %v", err)
	}
	disk.release()
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if n := disk.writes.Load(); n != leanDepth-1 {
		t.Errorf("%d writes were done of %d", n, leanDepth-1)
	}
}

// TestLeanSize holds lean connections back from who must not have one.
func TestLeanSize(t *testing.T) {
	a := agreement{form: nbdwire.Structured}
	a.export.Flags = nbdwire.HasFlags | nbdwire.CanMultiConn
	c := Client{cfg: Config{lean: true}, agreed: a}
	if !c.mayLean(leanBlock) || c.mayLean(largePayload) {
		t.Error("short requests have a lean connection, and long ones none")
	}
	for name, change := range map[string]func(*Client){
		"the user says how many":     func(c *Client) { c.cfg.lean = false },
		"the replies are simple":     func(c *Client) { c.agreed.form = nbdwire.Simple },
		"requests may be longer":     func(c *Client) { c.agreed.form = nbdwire.Extended },
		"one connection is the most": func(c *Client) { c.agreed.export.Flags = nbdwire.HasFlags },
	} {
		other := Client{cfg: c.cfg, agreed: c.agreed}
		if change(&other); other.mayLean(leanBlock) {
			t.Error(name)
		}
	}
}

// TestSplit counts the reads of a socket that end between the header of a reply and its data.
func TestSplit(t *testing.T) {
	const whole = 20 + 8 + 512
	for _, c := range []struct {
		ends []int // of the pieces in which a reply is sent
		want int32
	}{
		{[]int{whole}, 0},
		{[]int{20, whole}, 1},
		{[]int{28, whole}, 1},
		{[]int{20, 28, whole}, 2},
		{[]int{10, 24, 30, whole}, 0},
	} {
		ours, theirs := net.Pipe()
		go func() {
			head := make([]byte, nbdwire.RequestSize(nbdwire.Structured))
			if _, err := io.ReadFull(theirs, head); err != nil {
				return
			}
			r, _ := nbdwire.ParseRequest(head, nbdwire.Structured)
			out := chunk(r, nbdwire.Structured, nbdwire.ChunkData, true, dataAt(0, 512))
			at := 0
			for _, end := range c.ends {
				_, _ = theirs.Write(out[at:end])
				at = end
			}
		}()
		a := agreement{form: nbdwire.Structured, export: nbdwire.Export{Size: 1 << 20}}
		conn := newConn(genericStream{ours}, a, &Config{})
		client := newClient(Config{}, conn)
		if err := client.Read(t.Context(), driver.Vec{make([]byte, 512)}, 0); err != nil {
			t.Error(err)
		}
		if n := conn.split.Load(); n != c.want {
			t.Errorf("pieces that end at %v: %d reads ended there, not %d", c.ends, n, c.want)
		}
		_ = theirs.Close()
		_ = client.Close()
	}
}
