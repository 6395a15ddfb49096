package job

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/verify/fio"
)

// sliceOf is part k of n of a job, cut between its blocks.
func sliceOf(o *fio.Options, k, n int64) fio.Slice {
	block := int64(max(o.MinBlock, o.MaxBlock))
	blocks := max(o.Size/block, 1)
	s := fio.Slice{From: o.Offset + (k-1)*blocks/n*block, To: o.Offset + k*blocks/n*block}
	if k == n {
		s.To = o.Offset + o.Size
	}
	return s
}

// The parts of a job, run in any order, make what the whole job makes, and each is verified by
// itself: together they check what the whole does.
func TestSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		o.Generation = 77 // headers have it in place of the time
		n := rapid.Int64Range(1, 5).Draw(t, "parts")
		whole, err := New(o, Hooks{})
		if err != nil || o.Size < int64(max(o.MinBlock, o.MaxBlock)) {
			t.Skip(err)
		}
		want, got := make([]byte, o.Offset+o.Size), make([]byte, o.Offset+o.Size)
		written := sliced(t, whole, openMemory(want), doWrite)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		checked := sliced(t, whole, openMemory(want), doVerify)
		var parts []*Job
		for k := range n {
			part := o
			part.Only = sliceOf(&o, k+1, n)
			j, err := New(part, Hooks{})
			if err != nil {
				t.Skip(err)
			}
			if part.Only.From < part.Only.To {
				parts = append(parts, j)
			}
		}
		for _, i := range rng.Perm(len(parts)) {
			written.Written -= sliced(t, parts[i], openMemory(got), doWrite).Written
		}
		if !bytes.Equal(got, want) || written.Written != 0 {
			t.Fatalf("%d parts of %+v differ from the whole, by %d bytes", n, o, written.Written)
		}
		for _, j := range parts {
			r := sliced(t, j, openMemory(got), doVerify)
			checked.Blocks -= r.Blocks
			checked.Checked -= r.Checked
		}
		merges := o.TrimPercent > 0 // neighbours that were trimmed count as one block
		if checked.Checked != 0 || checked.Blocks != 0 && !merges {
			t.Fatalf("%d parts of %+v leave %d blocks", n, o, checked.Blocks)
		}
	})
}

// sliced runs a job that finds nothing bad.
func sliced(t *rapid.T, j *Job, open Opener,
	do func(*Job, context.Context, Opener) (*Result, error),
) *Result {
	r, err := do(j, context.Background(), open)
	if err != nil || !r.Done || !r.Good() {
		t.Fatalf("%+v: %+v, %v", j.options, r, err)
	}
	return r
}

// A part that was stopped goes on with its journal, which is right in the end.
func TestSliceResumes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := fio.DefaultOptions()
		o.Verify, o.Size, o.Generation, o.Workers, o.EndFsync = "crc32c", 256<<10, 5, 1, true
		o.Direction = rapid.SampledFrom([]fio.Direction{fio.Write, fio.RandWrite}).Draw(t, "rw")
		o.Loops = rapid.IntRange(1, 2).Draw(t, "loops")
		o.NoRandomMap = rapid.Bool().Draw(t, "norandommap")
		n := rapid.Int64Range(2, 4).Draw(t, "parts")
		o.Only = sliceOf(&o, rapid.Int64Range(1, n).Draw(t, "part"), n)
		j, err := New(o, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		want, got := make([]byte, o.Size), make([]byte, o.Size)
		sliced(t, j, openMemory(want), doWrite)

		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		left := rapid.IntRange(0, 40).Draw(t, "requests")
		var log bytes.Buffer
		r, err := j.Write(ctx, openEnding(got, &left, cancel), WriteOptions{Journal: &log})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		before, err := ReadJournal(t.Context(), bytes.NewReader(log.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		r, err = j.Write(t.Context(), openMemory(got),
			WriteOptions{From: r.Position, Journal: &log, Before: before})
		if err != nil || !r.Done || !bytes.Equal(got, want) {
			t.Fatalf("%+v, %v", r, err)
		}
		after, err := ReadJournal(t.Context(), bytes.NewReader(log.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		v, err := New(after.Options(fio.DefaultOptions()), Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		r, err = v.Verify(t.Context(), openMemory(got), VerifyOptions{History: after.History(true)})
		if err != nil || !r.Good() || r.Checked == 0 && !o.NoRandomMap {
			t.Fatalf("%+v, %v", r, err)
		}
	})
}

// An endingQueue stops the job after some writes.
type endingQueue struct {
	*memoryQueue
	left *int
	stop func()
}

func openEnding(p []byte, left *int, stop func()) Opener {
	return func(ctx context.Context, depth, size int) (Queue, error) {
		q, err := openMemory(p)(context.WithoutCancel(ctx), depth, size)
		return &endingQueue{q.(*memoryQueue), left, stop}, err
	}
}

func (q *endingQueue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	if op == OpWrite {
		if *q.left--; *q.left < 0 {
			q.stop()
		}
	}
	q.memoryQueue.Stage(slot, op, off, n, flags)
}

func TestSliceRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*fio.Options)
		want   string
	}{
		{func(o *fio.Options) { o.Only.To = o.Size + 1 }, "is not within the 1048576 bytes at 0"},
		{func(o *fio.Options) { o.Only.From = -1 }, "is not within"},
		{func(o *fio.Options) { o.Only.From = 8192 }, "is not within"},
		{func(o *fio.Options) { o.Offset = 8192 }, "is not within"},
		{func(o *fio.Options) { o.Runtime = time.Second }, "a job that ends by time"},
		{func(o *fio.Options) { o.TimeBased, o.Runtime = true, time.Second }, "a job that ends by time"},
		{func(o *fio.Options) { o.MaxBlock, o.NoRandomMap, o.Direction = 8192, true, fio.RandWrite }, "nobody knows which would be the last"},
	} {
		o := fio.DefaultOptions()
		o.Verify, o.Size, o.Only = "crc32c", 1<<20, fio.Slice{From: 0, To: 4096}
		c.change(&o)
		if _, err := New(o, Hooks{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, not %q", o.Only, err, c.want)
		}
	}
}
