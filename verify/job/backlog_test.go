package job

import (
	"context"
	"slices"
	"testing"

	"github.com/blksh/blksh/verify/fio"
)

// losingQueue loses one write.
type losingQueue struct {
	*recordingQueue
	lost *int // how many writes are to come before that
}

func (q losingQueue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	if op == OpWrite {
		if *q.lost--; *q.lost == -1 {
			q.note(op, off, n)
			op = OpFlush
		}
	}
	q.recordingQueue.Stage(slot, op, off, n, flags)
}

// TestBacklogOfRewrites loses each write of a job in turn that goes over its blocks more than once
// and verifies each few: of all in such a window, the last to a block counts, and if that is lost
// the window has a bad block.
func TestBacklogOfRewrites(t *testing.T) {
	const window, loops, blocks = 7, 3, 16
	for _, generation := range []uint32{0, 77} {
		o := fio.DefaultOptions()
		o.Verify, o.Size, o.MinBlock, o.Direction = "crc32c", blocks<<10, 1<<10, fio.RandWrite
		o.NoRandomMap, o.Loops, o.Backlog, o.Generation = true, loops, window, generation
		o.IODepth, o.Workers, o.MaxRequest = 1, 1, 1<<10
		j, err := New(o, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		rewritten := 0
		for lost := range loops*blocks + 1 { // the last is none
			var sent recorder
			left := lost
			open := func(ctx context.Context, depth, size int) (Queue, error) {
				q, err := openRecorded(make([]byte, o.Size), &sent)(ctx, depth, size)
				return losingQueue{q.(*recordingQueue), &left}, err
			}
			r, err := j.Write(t.Context(), open, WriteOptions{})
			if err != nil || !r.Done {
				t.Fatalf("%+v, %v", r, err)
			}
			writes := slices.DeleteFunc(sent.sent, func(r sentRequest) bool { return !r.write })
			want := int64(0)
			if lost < len(writes)/window*window { // those behind it have no backlog yet
				want = 1
				behind := writes[lost+1 : min((lost/window+1)*window, len(writes))]
				if slices.Contains(behind, writes[lost]) {
					want = 0
					rewritten++
				}
			}
			if r.Bad != want {
				t.Errorf("write %d of %d is lost: %d bad blocks, not %d", lost, len(writes), r.Bad, want)
			}
		}
		if rewritten == 0 {
			t.Error("no block was written twice in a window")
		}
	}
}
