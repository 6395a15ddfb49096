package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/blksh/blksh/verify/fio"
)

// A sentRequest is one that a device got.
type sentRequest struct {
	write bool
	off   int64
	n     int
}

// A recorder notes the requests of all queues of a job, and how many were in flight at most.
type recorder struct {
	mu           sync.Mutex
	sent         []sentRequest
	flying, most int
}

// A recordingQueue does one request at a time, so that the rest are in flight.
type recordingQueue struct {
	*memoryQueue
	r *recorder
}

func openRecorded(p []byte, r *recorder) Opener {
	return func(ctx context.Context, depth, size int) (Queue, error) {
		q, err := openMemory(p)(ctx, depth, size)
		return &recordingQueue{q.(*memoryQueue), r}, err
	}
}

func (q *recordingQueue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	q.note(op, off, n)
	q.memoryQueue.Stage(slot, op, off, n, flags)
}

// note counts a request as sent.
func (q *recordingQueue) note(op uint8, off, n int64) {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	if op == OpRead || op == OpWrite {
		q.r.sent = append(q.r.sent, sentRequest{op == OpWrite, off, int(n)})
	}
	q.r.flying++
	q.r.most = max(q.r.most, q.r.flying)
}

func (q *recordingQueue) Reap(least int, done []int) (int, error) {
	n, err := q.memoryQueue.Reap(least, done[:min(least, 1)])
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	q.r.flying -= n
	return n, err
}

func (q *recordingQueue) SubmitAndReap(least int, done []int) (int, error) {
	return q.Reap(least, done)
}

// requestJobs are jobs whose requests differ in length, place and direction.
var requestJobs = map[string]func(*fio.Options){
	"in order":      func(*fio.Options) {},
	"random":        func(o *fio.Options) { o.Direction = fio.RandWrite },
	"small blocks":  func(o *fio.Options) { o.MinBlock, o.Size = 512, 128<<10 },
	"mixed":         func(o *fio.Options) { o.Direction = fio.RandReadWrite },
	"bsrange":       func(o *fio.Options) { o.Direction, o.MaxBlock = fio.RandWrite, 16384 },
	"bssplit":       func(o *fio.Options) { _, _ = o.Set("bssplit", "4k/50:8k/30:32k/20") },
	"bs_unaligned":  func(o *fio.Options) { o.MinBlock, o.MaxBlock, o.BSUnaligned = 500, 9000, true },
	"norandommap":   func(o *fio.Options) { o.Direction, o.NoRandomMap, o.Generator = fio.RandWrite, true, "lfsr" },
	"bare content":  func(o *fio.Options) { o.Verify = fio.TypeNull },
	"pattern":       func(o *fio.Options) { o.Verify, o.Pattern = "pattern", "0xdeadbeef" },
	"a header each": func(o *fio.Options) { o.Interval = 512 },
}

// Without merging a device gets the requests that the job names and no others, in
// its order, as many at once as it says, when it writes and when it is verified.
func TestRequestsAsAsked(t *testing.T) {
	for name, change := range requestJobs {
		for _, depth := range []int{1, 3, 16} {
			for _, workers := range []int{1, 3} {
				o := fio.DefaultOptions()
				o.Verify, o.Size, o.IODepth, o.Workers = "crc32c", 1<<20, depth, workers
				change(&o)
				t.Run(fmt.Sprintf("%s, depth %d, %d workers", name, depth, workers),
					func(t *testing.T) { checkRequests(t, o) })
			}
		}
	}
}

func checkRequests(t *testing.T, o fio.Options) {
	l, err := fio.NewLayout(&o)
	if err != nil {
		t.Fatal(err)
	}
	order, err := fio.NewOrder(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	var all, written []sentRequest
	var r fio.Request
	for order.Next(&r) {
		all = append(all, sentRequest{!r.Read, r.Off, r.N})
		if !r.Read {
			written = append(written, sentRequest{false, r.Off, r.N})
		}
	}
	image := make([]byte, o.Size)
	for _, phase := range []struct {
		name string
		do   func(*Job, context.Context, Opener) (*Result, error)
		want []sentRequest
	}{{"write", doWrite, all}, {"verify", doVerify, written}} {
		j, err := New(o, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		var got recorder
		result, err := phase.do(j, t.Context(), openRecorded(image, &got))
		if err != nil || !result.Good() || !result.Done {
			t.Fatalf("%s: %+v, %v", phase.name, result, err)
		}
		if phase.name == "verify" && o.Workers > 1 { // each reads what is next
			slices.SortFunc(got.sent, bySentPlace)
			slices.SortFunc(phase.want, bySentPlace)
		}
		if !slices.Equal(got.sent, phase.want) {
			t.Errorf("%s: the device got %d requests, %d were asked for: %v", phase.name,
				len(got.sent), len(phase.want), got.sent[:min(10, len(got.sent))])
		}
		if result.Requests != int64(len(phase.want)) {
			t.Errorf("%s: %d requests are counted, not %d", phase.name, result.Requests,
				len(phase.want))
		}
		if got.most > o.IODepth || o.Workers == 1 && got.most < o.IODepth {
			t.Errorf("%s: %d requests in flight, not %d", phase.name, got.most, o.IODepth)
		}
	}
}

func bySentPlace(a, b sentRequest) int {
	switch {
	case a.off != b.off:
		return int(a.off - b.off)
	case a.n != b.n:
		return a.n - b.n
	case a.write != b.write && a.write:
		return 1
	case a.write != b.write:
		return -1
	}
	return 0
}

// Merged, neighbours travel together, up to the length that was allowed.
func TestRequestsMerged(t *testing.T) {
	for _, workers := range []int{1, 3} {
		o := fio.DefaultOptions()
		o.Verify, o.Size, o.Workers, o.MaxRequest = "crc32c", 1<<20, workers, 64<<10
		image := make([]byte, o.Size)
		for _, do := range []func(*Job, context.Context, Opener) (
			*Result, error){doWrite, doVerify} {
			j, err := New(o, Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			var got recorder
			result, err := do(j, t.Context(), openRecorded(image, &got))
			if err != nil || result.Requests != 16 || len(got.sent) != 16 {
				t.Errorf("%d workers: %+v, %v, %v", workers, result, err, got.sent)
			}
		}
	}
}

// A scan reads blocks of the length that was asked for, until one of them makes it look around.
func TestScanRequests(t *testing.T) {
	o := fio.DefaultOptions()
	o.Verify, o.Size, o.Workers, o.MinBlock = "crc32c", 1<<20, 1, 4096
	image := imageOf(t, o, noClock)
	scan := func(change func(*fio.Options)) (*Result, map[int]int) {
		s := o
		change(&s)
		j, err := New(s, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		var got recorder
		result, err := j.Scan(t.Context(), openRecorded(image, &got), 0)
		if err != nil {
			t.Fatal(err)
		}
		sizes := map[int]int{}
		for _, s := range got.sent[1:] { // the first looks what is there
			sizes[s.n]++
		}
		return result, sizes
	}
	if r, sizes := scan(func(*fio.Options) {}); !r.Good() || r.Requests != 256 || len(sizes) != 1 ||
		sizes[4096] != 256 {
		t.Errorf("%+v by reads of %v", r, sizes)
	}
	if r, sizes := scan(func(o *fio.Options) { o.MaxRequest = ScanRequest }); !r.Good() ||
		len(sizes) != 1 || sizes[ScanRequest] != 4 {
		t.Errorf("in large pieces: %+v by reads of %v", r, sizes)
	}
	image[512<<10] ^= 0xff
	if r, sizes := scan(func(*fio.Options) {}); r.Bad != 1 || sizes[4096] < 128 ||
		sizes[leastLook] != 32 {
		t.Errorf("with a bad block in the middle: %+v by reads of %v", r, sizes)
	}
}

// A stoppingQueue calls stop at a write, and fails that one with its error.
type stoppingQueue struct {
	*recordingQueue
	left *int
	stop func() error
}

func (q *stoppingQueue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	if op == OpWrite {
		*q.left--
	}
	if op != OpWrite || *q.left != 0 {
		q.recordingQueue.Stage(slot, op, off, n, flags)
		return
	}
	err := q.stop()
	if err == nil {
		q.recordingQueue.Stage(slot, op, off, n, flags)
		return
	}
	q.note(op, off, n)
	q.stage(slot, func() error { return err })
}

// When a job is stopped, or a write fails, what is in flight ends and nothing
// more is started, however much was built; and it goes on where that was.
func TestStopLeavesWhatIsBuilt(t *testing.T) {
	errBroken := errors.New("broken")
	for _, workers := range []int{1, 3} {
		for _, direction := range []fio.Direction{fio.Write, fio.RandReadWrite} {
			for _, want := range []error{context.Canceled, errBroken} {
				o := fio.DefaultOptions()
				o.Verify, o.Size, o.Workers, o.IODepth = "crc32c", 1<<20, workers, 2
				o.Direction = direction
				image := make([]byte, o.Size)
				ctx, cancel := context.WithCancel(t.Context())
				j, err := New(o, Hooks{})
				if err != nil {
					t.Fatal(err)
				}
				left, stopped := 20, 0
				var first, rest recorder
				r, err := j.Write(ctx, func(ctx context.Context, depth, size int) (Queue, error) {
					q, err := openRecorded(image, &first)(ctx, depth, size)
					return &stoppingQueue{q.(*recordingQueue), &left, func() error {
						stopped = len(first.sent) + 1
						if want == errBroken {
							return errBroken
						}
						cancel()
						return nil
					}}, err
				}, WriteOptions{})
				cancel()
				if !errors.Is(err, want) || r.Done || stopped == 0 || len(first.sent) > stopped+1 ||
					r.Position != int64(len(first.sent)) {
					t.Fatalf("%v with %d workers: %+v, %v after %d requests", direction, workers, r,
						err, len(first.sent))
				}
				if want == errBroken {
					continue
				}
				again, err := New(o, Hooks{})
				if err != nil {
					t.Fatal(err)
				}
				if r, err = again.Write(t.Context(), openRecorded(image, &rest),
					WriteOptions{From: r.Position}); err != nil ||
					!r.Done {
					t.Fatalf("%+v, %v", r, err)
				}
				whole, err := New(o, Hooks{})
				if err != nil {
					t.Fatal(err)
				}
				var all recorder
				if _, err := whole.Write(t.Context(),
					openRecorded(make([]byte, o.Size), &all), WriteOptions{}); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(slices.Concat(first.sent, rest.sent), all.sent) {
					t.Errorf("%v with %d workers: %d and %d requests, not the %d of one run",
						direction, workers, len(first.sent), len(rest.sent), len(all.sent))
				}
			}
		}
	}
}
