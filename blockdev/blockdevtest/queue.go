package blockdevtest

import (
	"bytes"
	"context"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// testQueue fills a device by its batch queue, with more requests than slots, and reads it back in
// another order. One size of slots fits all alignments, so that a queue of the node's own is used
// where there is one. A queue of one slot, or of many, may make its requests otherwise.
func (s Subject) testQueue(t *testing.T) {
	for _, size := range []int{6000, 4096} {
		s.testQueueOf(t, 7, size)
	}
	s.testQueueOf(t, 1, 4096)
	s.testQueueOf(t, 17, 4096)
}

func (s Subject) testQueueOf(t *testing.T, depth, size int) {
	const requests = 40
	d := s.fresh(t)
	q, err := d.Queue(context.Background(), depth, size)
	must(t, err)
	defer func() { must(t, q.Close()) }()
	if q.Depth() != depth || len(q.Buffer(depth-1)) != size {
		t.Fatalf("%d slots of %d bytes", q.Depth(), len(q.Buffer(0)))
	}
	block := func(i int) []byte { return noise(uint64(i)+100, int64(size)) }
	short := size - 512
	s.drive(t, q, requests, func(slot, i int) {
		copy(q.Buffer(slot), block(i))
		q.Stage(slot, driver.OpWrite, int64(i*size), int64(size), 0)
	}, func(int, int) {})
	s.drive(t, q, requests, func(slot, i int) {
		clear(q.Buffer(slot))
		q.Stage(slot, driver.OpRead, int64((requests-1-i)*size), int64(short), 0)
	}, func(slot, i int) {
		want := block(requests - 1 - i)
		clear(want[short:])
		if !s.Volatile && !bytes.Equal(q.Buffer(slot), want) {
			t.Error(firstDifference(int64((requests-1-i)*size), q.Buffer(slot), want))
		}
	})
	s.drive(t, q, 3, func(slot, i int) {
		switch i {
		case 0:
			q.Stage(slot, driver.OpZero, 3, 40_000, 0)
		case 1:
			q.Stage(slot, driver.OpDiscard, 98_304, 8192, 0)
		case 2:
			q.Stage(slot, driver.OpFlush, 0, 0, 0)
		}
	}, func(int, int) {})
	s.expect(t, d, 3, make([]byte, 40_000))

	last := depth - 1
	done := make([]int, depth)
	q.Stage(last, driver.OpRead, d.Size(), 512, 0)
	must(t, q.Submit())
	if n, err := q.Reap(depth, done); n != 1 || err != nil || done[0] != last {
		t.Fatalf("reaped %d: %v", n, err)
	}
	if q.Err(last) == nil {
		t.Error("read behind the end")
	}
}

// drive keeps all slots of q busy until n requests are done. It submits and reaps now in two steps,
// now in one.
func (s Subject) drive(t *testing.T, q driver.Queue, n int, start, check func(slot, i int)) {
	t.Helper()
	request := make([]int, q.Depth())
	free := make([]int, 0, q.Depth())
	for i := range q.Depth() {
		free = append(free, i)
	}
	done := make([]int, q.Depth())
	for started, ended := 0, 0; ended < n; {
		for ; len(free) > 0 && started < n; started++ {
			slot := free[len(free)-1]
			free = free[:len(free)-1]
			request[slot] = started
			start(slot, started)
		}
		var got int
		var err error
		if started%2 == 0 {
			must(t, q.Submit())
			got, err = q.Reap(1, done)
		} else {
			got, err = q.SubmitAndReap(1, done)
		}
		must(t, err)
		if got == 0 {
			t.Fatalf("nothing to reap, %d of %d requests done", ended, n)
		}
		for _, slot := range done[:got] {
			must(t, q.Err(slot))
			check(slot, request[slot])
			free = append(free, slot)
			ended++
		}
	}
}
