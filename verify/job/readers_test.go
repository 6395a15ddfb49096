package job

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/blksh/blksh/verify/fio"
)

// failingQueue loses its completions after some.
type failingQueue struct {
	Queue
	left int
}

var errLost = errors.New("lost")

func (q *failingQueue) Reap(least int, done []int) (int, error) {
	if q.left--; q.left < 0 {
		return 0, errLost
	}
	return q.Queue.Reap(least, done)
}

func (q *failingQueue) SubmitAndReap(least int, done []int) (int, error) {
	return q.Reap(least, done)
}

// Whatever becomes of one engine, the others do not wait for it for ever.
func TestCrew(t *testing.T) {
	o := fio.DefaultOptions()
	o.Verify, o.Size, o.Workers, o.MaxRequest = "crc32c", 4<<20, 3, 16<<10
	image := make([]byte, o.Size)
	write, err := New(o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write.Write(t.Context(), openMemory(image), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	image[o.Size/2+1000] ^= 1
	image[o.Size-1] ^= 1

	passes := map[string]func(*Job, context.Context, Opener) (
		*Result, error){"verify": doVerify, "scan": doScan}
	for name, pass := range passes {
		run := func(change func(n int32, q Queue) (Queue, error)) (*Result, error) {
			j, err := New(o, Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			var opened atomic.Int32
			return pass(j, t.Context(), func(ctx context.Context, depth, size int) (Queue, error) {
				q, err := openMemory(image)(ctx, depth, size)
				if err != nil {
					return nil, err
				}
				return change(opened.Add(1), q)
			})
		}
		t.Run(name+", queues for some only", func(t *testing.T) {
			first := int32(1)
			if name == "scan" {
				first = 2 // behind that of the probe
			}
			r, err := run(func(n int32, q Queue) (Queue, error) {
				if n > first {
					return nil, errLost
				}
				return q, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if !r.Done || r.Bad != 2 || r.Checked != o.Size {
				t.Errorf("%+v", r)
			}
		})
		for left := range 6 {
			t.Run(fmt.Sprint(name, ", lost after ", left), func(t *testing.T) {
				r, err := run(func(n int32, q Queue) (Queue, error) {
					if n == 3 {
						q = &failingQueue{q, left}
					}
					return q, nil
				})
				if err != nil && !errors.Is(err, errLost) || err == nil && r.Bad != 2 {
					t.Errorf("%v: %+v", err, r)
				}
				if r.Done != (err == nil) {
					t.Errorf("done %v after %v", r.Done, err)
				}
			})
		}
	}
}
