package job

import (
	"context"
	"runtime"
	"testing"

	"github.com/blksh/blksh/verify/fio"
)

// emptyQueue has no memory.
type emptyQueue struct {
	Queue
	depth int
}

func (q *emptyQueue) Depth() int   { return q.depth }
func (q *emptyQueue) Close() error { return nil }

// What all slots need, with the requests that they may carry and what hands them
// over, is within the memory of a job at any depth.
func TestEngineMemory(t *testing.T) {
	for _, c := range []struct {
		name                 string
		depth, block, merged int
	}{
		{"single blocks", 1 << 12, 4096, 0},
		{"small blocks", 1 << 12, 512, 0},
		{"merged blocks", 1 << 12, 512, 64 << 10},
		{"large blocks", 1 << 12, 1 << 20, 0},
		{"largest blocks", 1 << 12, fio.MaxBlockSize, 0},
	} {
		o := fio.DefaultOptions()
		o.Verify, o.Size, o.IODepth, o.MinBlock = "crc32c", 1<<40, c.depth, c.block
		o.MaxRequest, o.Workers = c.merged, 1<<12
		j, err := New(o, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		data := 0
		open := func(_ context.Context, depth, size int) (Queue, error) {
			data = depth * slotBytes(size, 0)
			return &emptyQueue{depth: depth}, nil
		}
		task := j.newTask("write", 0, 0)
		err = task.withPipeline(t.Context(), open, task.slotSize(), func(pl *pipeline) error {
			runtime.ReadMemStats(&after)
			if pl.depth < min(c.depth,
				maxMemory/slotBytes(task.slotSize(), task.room(task.slotSize()))) {
				t.Errorf("%s: a depth of %d", c.name, pl.depth)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		own := after.TotalAlloc - before.TotalAlloc
		if total := data + int(own); total > maxMemory+maxMemory/16 {
			t.Errorf("%s: %d KiB of data, %d KiB of the engine", c.name, data>>10, own>>10)
		}
		t.Logf("%s: %d KiB of data, %d KiB of the engine", c.name, data>>10, own>>10)
	}
}
