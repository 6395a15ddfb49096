package blockdev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// batched is a node with a queue that carries every operation. It notes what reaches the node and
// what its queue.
type batched struct {
	driver.Leaf
	takes   func(Op, Flags) bool
	noFUA   bool
	slowly  bool // requests come back one by one
	noFlush error
	log     []string
}

func (b *batched) Info() Info {
	l := driver.Limits{
		Size: 1 << 20, ZeroAlign: 4096, DiscardAlign: 4096, MaxDiscard: 65536, WriteTakes: FUA,
		ZeroTakes: MayUnmap | NoFallback,
	}
	if b.noFUA {
		l.WriteTakes = 0
	}
	return Info{Driver: "batched", Limits: l}
}

func (b *batched) WriteVec(_ context.Context, v Vec, off int64, f Flags) error {
	b.log = append(b.log, fmt.Sprintf("node write %d+%d %x", off, v.Len(), f))
	return nil
}

func (b *batched) Zero(_ context.Context, off, n int64, f Flags) error {
	b.log = append(b.log, fmt.Sprintf("node zero %d+%d %x", off, n, f))
	return nil
}

func (b *batched) Discard(_ context.Context, off, n int64, _ Flags) error {
	b.log = append(b.log, fmt.Sprintf("node discard %d+%d", off, n))
	return nil
}

func (b *batched) Flush(context.Context) error {
	b.log = append(b.log, "node flush")
	return b.noFlush
}

func (b *batched) NewQueue(_ context.Context, depth, size int) (driver.Queue, error) {
	return &batch{node: b, depth: depth, mem: make([]byte, depth*size), size: size}, nil
}

type batch struct {
	node        *batched
	depth, size int
	mem         []byte
	staged      []int
}

func (q *batch) Carries(op Op, _ int64, f Flags) bool {
	return q.node.takes(op, f)
}

func (q *batch) Depth() int             { return q.depth }
func (q *batch) Buffer(slot int) []byte { return q.mem[slot*q.size : (slot+1)*q.size] }
func (q *batch) Submit() error          { return nil }
func (q *batch) Err(int) error          { return nil }
func (q *batch) Close() error           { return nil }

func (q *batch) Stage(slot int, op Op, off, n int64, flags uint32) {
	q.node.log = append(q.node.log, fmt.Sprintf("%s %d+%d %x", opRules[op].name, off, n, flags))
	q.staged = append(q.staged, slot)
}

func (q *batch) Reap(_ int, done []int) (int, error) {
	if q.node.slowly {
		done = done[:1]
	}
	n := copy(done, q.staged)
	q.staged = q.staged[n:]
	return n, nil
}

func (q *batch) SubmitAndReap(least int, done []int) (int, error) { return q.Reap(least, done) }

// What the queue of a node carries goes there, with its flags, in whole units; the guard makes the
// rest.
func TestQueueCarries(t *testing.T) {
	all := func(Op, Flags) bool { return true }
	plain := func(op Op, f Flags) bool { return op <= OpWrite && f == 0 }
	for _, tt := range []struct {
		name   string
		takes  func(Op, Flags) bool
		keep   bool // discards are ignored
		op     Op
		off, n int64
		flags  Flags
		want   []string
	}{
		{"read", plain, false, OpRead, 512, 512, 0, []string{"read 512+512 0"}},
		{"write", plain, false, OpWrite, 512, 512, 0, []string{"write 512+512 0"}},
		{"durable write", all, false, OpWrite, 512, 512, FUA, []string{"write 512+512 1"}},
		{"durable write, not taken", plain, false, OpWrite, 512, 512, FUA, []string{"node write 512+512 1"}},
		{"zero", all, false, OpZero, 4096, 8192, MayUnmap, []string{"zero 4096+8192 2"}},
		{"zero without unmap", all, true, OpZero, 4096, 8192, MayUnmap, []string{"zero 4096+8192 0"}},
		{"durable zero", all, false, OpZero, 4096, 4096, FUA, []string{"zero 4096+4096 0", "node flush"}},
		{"zero of a part", all, false, OpZero, 512, 4096, 0, []string{"node zero 512+3584 0", "node zero 4096+512 0"}},
		{"discard", all, false, OpDiscard, 4096, 65536, 0, []string{"discard 4096+65536 0"}},
		{"discard, too long", all, false, OpDiscard, 0, 131072, 0, []string{"node discard 0+65536", "node discard 65536+65536"}},
		{"discard ignored", all, true, OpDiscard, 4096, 4096, 0, nil},
		{"flush", all, false, OpFlush, 0, 0, 0, []string{"flush 0+0 0"}},
	} {
		b := &batched{takes: tt.takes}
		g := newGuard(b, "batched")
		g.unmap.Store(!tt.keep)
		q, err := g.NewQueue(t.Context(), 4, 8192)
		if err != nil {
			t.Fatal(err)
		}
		g.written.Add(1) // so that there is something to flush
		done := make([]int, 4)
		q.Stage(0, tt.op, tt.off, tt.n, uint32(tt.flags))
		if n, err := q.SubmitAndReap(1, done); n != 1 || err != nil || q.Err(0) != nil {
			t.Errorf("%s: %d, %v, %v", tt.name, n, err, q.Err(0))
		}
		if !slices.Equal(b.log, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, b.log, tt.want)
		}
		if flushed := g.flushedAt.Load() == g.written.Load(); tt.op == OpFlush && !flushed {
			t.Errorf("%s: the flush does not count", tt.name)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A flush in a queue covers what had ended when it was staged, and no more.
func TestQueuedFlushCovers(t *testing.T) {
	b := &batched{takes: func(Op, Flags) bool { return true }}
	g := newGuard(b, "batched")
	q, err := g.NewQueue(t.Context(), 2, 4096)
	if err != nil {
		t.Fatal(err)
	}
	q.Stage(0, OpWrite, 0, 4096, 0)
	q.Stage(1, OpFlush, 0, 0, 0)
	done := make([]int, 2)
	if n, err := q.SubmitAndReap(2, done); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if g.flushedAt.Load() == g.written.Load() {
		t.Error("the write counts as flushed")
	}
}

// Writes that are to be durable, on a node that has no FUA, are in flight together and flushed
// together, before the first of them is done. What was not to be durable does not fail with the
// flush.
func TestQueueFlushesTogether(t *testing.T) {
	lost := errors.New("lost")
	for _, slowly := range []bool{false, true} {
		for _, fault := range []error{nil, lost} {
			b := &batched{
				takes: func(_ Op, f Flags) bool { return f == 0 }, noFUA: true, slowly: slowly,
				noFlush: fault,
			}
			g := newGuard(b, "batched")
			q, err := g.NewQueue(t.Context(), 4, 4096)
			if err != nil {
				t.Fatal(err)
			}
			q.Stage(0, OpWrite, 0, 4096, uint32(FUA))
			q.Stage(1, OpWrite, 4096, 4096, uint32(FUA))
			q.Stage(2, OpWrite, 8192, 4096, 0)
			done := make([]int, 4)
			n, err := q.SubmitAndReap(1, done)
			if n == 0 || err != nil {
				t.Fatal(n, err)
			}
			for n < 3 {
				m, err := q.Reap(3-n, done[n:])
				if err != nil {
					t.Fatal(err)
				}
				n += m
			}
			want := []string{
				"write 0+4096 0", "write 4096+4096 0", "write 8192+4096 0", "node flush",
			}
			if !slices.Equal(b.log, want) {
				t.Errorf("slowly %v: %q", slowly, b.log)
			}
			if q.Err(0) != fault || q.Err(1) != fault || q.Err(2) != nil {
				t.Errorf("slowly %v: %v, %v, %v", slowly, q.Err(0), q.Err(1), q.Err(2))
			}
			if err := q.Close(); err != nil {
				t.Error(err)
			}
			if flushed := g.flushedAt.Load() == g.written.Load(); flushed != (fault == nil) {
				t.Errorf("the flush counts: %v", flushed)
			}
		}
	}
}
