package nbd

import (
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// TestPair reads by a queue over two connections. A read that takes long on one of them holds up
// nothing else, one that fails says why, and a connection that is lost is done without.
func TestPair(t *testing.T) {
	var disk numberedDisk
	dev := serveNumbered(t, &disk, Config{Connections: 2})
	made, err := dev.NewQueue(t.Context(), pairDepth+1, leanBlock)
	if err != nil {
		t.Fatal(err)
	}
	q := made.(*pair)
	if q.Depth() != pairDepth+1 {
		t.Fatalf("%d slots, not %d", q.Depth(), pairDepth+1)
	}
	read := func(blocks ...int64) {
		t.Helper()
		stage(t, q, driver.OpRead, blocks...)
		checkNumbers(t, q, reap(t, q, len(blocks)), blocks)
	}
	var blocks []int64
	for n := range pairDepth + 1 {
		blocks = append(blocks, int64(n))
	}
	read(blocks...)
	dev.links.grown.Wait()
	read(blocks...)
	if a, b := q.halves[0].conn, q.halves[1].conn; a == b || dev.connections() != 2 {
		t.Fatalf("both halves are on one connection, of %d", dev.connections())
	}

	q.Stage(pairDepth, driver.OpRead, heldBlock*leanBlock, leanBlock, 0)
	for range 8 {
		read(30, 31, 32, 33)
	}
	disk.release()
	if errs := reap(t, q, 1); errs[pairDepth] != nil || len(errs) != 1 {
		t.Errorf("the read that took long: %v", errs)
	}
	if n, err := q.Reap(1, make([]int, q.Depth())); n != 0 || err != nil {
		t.Errorf("%d requests are reaped where there are none: %v", n, err)
	}

	if a, b := q.halves[0].waiter, q.halves[1].waiter; a.beside != nil || b.beside != nil {
		t.Error("a half still watches the other, and would not wait for its own replies alone")
	}

	stage(t, q, driver.OpRead, 40, badBlock, badBlock, 43)
	errs := reap(t, q, 4)
	if errs[0] != nil || errs[1] == nil || errs[2] == nil || errs[3] != nil {
		t.Errorf("two reads of four fail: %v", errs)
	}

	_ = q.halves[1].conn.stream.Close()
	stage(t, q, driver.OpRead, blocks...)
	for slot, err := range reap(t, q, len(blocks)) {
		if (err != nil) != (slot%2 == 1) {
			t.Errorf("slot %d, with one connection lost: %v", slot, err)
		}
	}
	stage(t, q, driver.OpRead, blocks...)
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// TestPairFor makes queues of two connections for those that are better with them.
func TestPairFor(t *testing.T) {
	var disk numberedDisk
	two := serveNumbered(t, &disk, Config{Connections: 2})
	one := serveNumbered(t, &disk, Config{Connections: 1})
	for _, c := range []struct {
		dev         *device
		depth, size int
		want        bool
	}{
		{two, pairDepth, leanBlock, true},
		{two, pairDepth - 1, leanBlock, false},
		{two, pairDepth, largePayload, false},
		{one, pairDepth, leanBlock, false},
	} {
		q, err := c.dev.NewQueue(t.Context(), c.depth, c.size)
		if err != nil {
			t.Fatal(err)
		}
		if _, is := q.(*pair); is != c.want {
			t.Errorf("%d requests of %d bytes: %T", c.depth, c.size, q)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}
