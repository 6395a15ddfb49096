package job_test

import (
	"context"
	"fmt"
	"log"

	"github.com/blksh/blksh/verify/fio"
	"github.com/blksh/blksh/verify/job"
)

// Write blocks, damage one, and verify.
func ExampleJob() {
	disk := make(disk, 1<<20)
	o := fio.DefaultOptions()
	o.Verify, o.Size = "crc32c", 1<<20
	ctx := context.Background()

	writer, err := job.New(o, job.Hooks{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := writer.Write(ctx, disk.open, job.WriteOptions{}); err != nil {
		log.Fatal(err)
	}

	copy(disk[8192:12288], disk[65536:]) // a write that went to the wrong place

	reader, err := job.New(o, job.Hooks{})
	if err != nil {
		log.Fatal(err)
	}
	r, err := reader.Verify(ctx, disk.open, job.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Bad, "of", r.Blocks, "blocks are bad")
	for _, bad := range r.Ranges {
		fmt.Printf("%d bytes at %d: %v\n", bad.Len, bad.Off, bad.Cause)
	}
	// Output:
	// 1 of 256 blocks are bad
	// 4096 bytes at 8192: data of another offset (+57344)
}

// A disk in memory, and the simplest queue for it.
type disk []byte

type diskQueue struct {
	disk    disk
	buffers [][]byte
	done    []int
}

func (d disk) open(_ context.Context, depth, size int) (job.Queue, error) {
	q := &diskQueue{disk: d}
	for range depth {
		q.buffers = append(q.buffers, make([]byte, size))
	}
	return q, nil
}

func (q *diskQueue) Depth() int             { return len(q.buffers) }
func (q *diskQueue) Buffer(slot int) []byte { return q.buffers[slot] }

func (q *diskQueue) Stage(slot int, op uint8, off, n int64, _ uint32) {
	switch op {
	case job.OpRead:
		copy(q.buffers[slot][:n], q.disk[off:])
	case job.OpWrite:
		copy(q.disk[off:], q.buffers[slot][:n])
	case job.OpZero, job.OpDiscard:
		clear(q.disk[off : off+n])
	}
	q.done = append(q.done, slot)
}

func (q *diskQueue) Submit() error { return nil }

func (q *diskQueue) SubmitAndReap(least int, done []int) (int, error) { return q.Reap(least, done) }
func (q *diskQueue) Err(int) error                                    { return nil }
func (q *diskQueue) Close() error                                     { return nil }

func (q *diskQueue) Reap(_ int, done []int) (int, error) {
	n := copy(done, q.done)
	q.done = q.done[n:]
	return n, nil
}
