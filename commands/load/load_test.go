package load

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/job"
)

// device is an image in memory.
func device(t *testing.T, options string) *blockdev.Device {
	t.Helper()
	o, err := blockdev.ParseOptionString(options, "")
	if err != nil {
		t.Fatal(err)
	}
	d, err := blockdev.Open(context.Background(), "",
		blockdev.OpenConfig{Drivers: drivers.All(), Options: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func opener(d *blockdev.Device) job.Opener {
	return func(ctx context.Context, depth, size int) (
		job.Queue, error,
	) {
		return d.Queue(ctx, depth, size)
	}
}

// clock goes a microsecond at each look.
func clock() func() time.Duration {
	var n atomic.Int64
	return func() time.Duration { return time.Duration(n.Add(1)) * time.Microsecond }
}

func TestRun(t *testing.T) {
	d := device(t, "driver=null-co,size=1M,read-zeroes=on")
	for _, c := range []Job{
		{Requests: 1000},
		{Random: true, Requests: 1000},
		{Write: true, Requests: 7, Flush: true},
		{Write: true, Random: true, Time: 100 * time.Microsecond},
	} {
		c.Off, c.Len, c.Block, c.Depth, c.Clock, c.Open, c.Content = 4096, 99999, 4096, 4, clock(),
			opener(d), verify.Byte(1)
		bytes := int64(0)
		c.Progress = func(n int64) { bytes += n }
		r, err := Run(context.Background(), c)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if c.Requests > 0 && r.Requests != c.Requests || r.Requests == 0 ||
			bytes != 4096*r.Requests || r.Elapsed <= 0 || r.Latency.Count() != r.Requests {
			t.Errorf("%+v: %d requests, %d bytes in %v", c, r.Requests, bytes, r.Elapsed)
		}
	}
}

// recorder is a queue that notes where requests go.
type recorder struct {
	job.Queue
	reads []int64
}

func (q *recorder) Stage(slot int, op uint8, off, n int64, flags uint32) {
	if op == job.OpRead {
		q.reads = append(q.reads, off)
	}
	q.Queue.Stage(slot, op, off, n, flags)
}

func recorded(t *testing.T, j Job) []int64 {
	t.Helper()
	d := device(t, "driver=null-co,size=1M,read-zeroes=on")
	q := &recorder{}
	j.Clock, j.Depth, j.Block = clock(), 2, 512
	j.Open = func(ctx context.Context, depth, size int) (_ job.Queue, err error) {
		q.Queue, err = d.Queue(ctx, depth, size)
		return q, err
	}
	if _, err := Run(context.Background(), j); err != nil {
		t.Fatal(err)
	}
	return q.reads
}

// Loads stay in their range, the same seed makes the same load, and another another.
func TestPlaces(t *testing.T) {
	if got := recorded(t,
		Job{
			Off: 512, Len: 3*512 + 100,
			Requests: 5,
		}); !slices.Equal(got, []int64{512, 1024, 1536, 512, 1024}) {
		t.Errorf("sequential: %v", got)
	}
	first := recorded(t, Job{Off: 1024, Len: 10 * 512, Random: true, Requests: 200, Seed: 1})
	for _, off := range first {
		if off < 1024 || off > 1024+9*512 || off%512 != 0 {
			t.Errorf("a request at %d", off)
		}
	}
	if !slices.Equal(first,
		recorded(t, Job{Off: 1024, Len: 10 * 512, Random: true, Requests: 200, Seed: 1})) {
		t.Error("another load of the same seed")
	}
	if slices.Equal(first,
		recorded(t, Job{Off: 1024, Len: 10 * 512, Random: true, Requests: 200, Seed: 2})) {
		t.Error("the same load of another seed")
	}
}

// lost is a queue that waits for the third answer for an hour, in vain.
type lost struct {
	job.Queue
	now   *time.Duration
	reaps int
}

func (q *lost) SubmitAndReap(least int, done []int) (int, error) {
	if q.reaps++; q.reaps == 3 {
		*q.now += time.Hour
	}
	return q.Queue.SubmitAndReap(least, done)
}

func (q *lost) Err(slot int) error {
	if q.reaps == 3 {
		return context.Canceled
	}
	return q.Queue.Err(slot)
}

// TestLost: what was waited for in vain is not of the time that the load took.
func TestLost(t *testing.T) {
	d := device(t, "driver=null-co,size=1M,read-zeroes=on")
	now := time.Duration(0)
	r, err := Run(context.Background(), Job{
		Len: 1 << 20, Block: 512, Depth: 1, Requests: 100,
		Clock: func() time.Duration { now++; return now },
		Open: func(ctx context.Context, depth, size int) (job.Queue, error) {
			q, err := d.Queue(ctx, depth, size)
			return &lost{Queue: q, now: &now}, err
		},
	})
	if !errors.Is(err, context.Canceled) || r.Requests != 2 || r.Elapsed >= time.Hour {
		t.Errorf("%d requests in %v, %v", r.Requests, r.Elapsed, err)
	}
}

func TestEnds(t *testing.T) {
	d := device(t, "driver=null-co,size=1M,read-zeroes=on")
	j := Job{Len: 1 << 20, Block: 512, Depth: 8, Clock: clock(), Open: opener(d)}
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stop")
	j.Progress = func(int64) { cancel(stop) }
	j.Open = func(_ context.Context, depth, size int) (job.Queue, error) {
		return d.Queue(context.Background(), depth, size)
	}
	if r, err := Run(ctx, j); !errors.Is(err, stop) || r.Requests == 0 {
		t.Errorf("%+v, %v", r.Requests, err)
	}
	j.Len = 511
	if _, err := Run(context.Background(), j); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a range without a block: %v", err)
	}
	j.Off, j.Len, j.Requests = 1<<20-512, 1024, 4
	j.Open = opener(d)
	if _, err := Run(context.Background(), j); !errors.Is(err, syscall.EIO) {
		t.Errorf("beyond the end: %v", err)
	}
}

// BenchmarkRandRead is what a request takes besides its system calls.
func BenchmarkRandRead(b *testing.B) {
	name := filepath.Join(b.TempDir(), "disk")
	if err := os.WriteFile(name, make([]byte, 64<<20), 0o666); err != nil {
		b.Fatal(err)
	}
	o := &blockdev.Options{}
	o.Set("driver", "raw")
	o.Set("file.driver", "file")
	o.Set("file.filename", name)
	o.Set("file.aio", "io_uring")
	d, err := blockdev.Open(context.Background(), "",
		blockdev.OpenConfig{Drivers: drivers.All(), Options: o})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for _, depth := range []int{1, 32, 128} {
		b.Run(strconv.Itoa(depth), func(b *testing.B) {
			start := time.Now()
			j := Job{
				Random: true, Len: 64 << 20, Block: 4096, Depth: depth, Requests: int64(b.N),
				Open:  opener(d),
				Clock: func() time.Duration { return time.Since(start) },
			}
			if _, err := Run(context.Background(), j); err != nil {
				b.Fatal(err)
			}
		})
	}
}
