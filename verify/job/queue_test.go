package job

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"unsafe"
)

// fileQueue does the requests on a file, when they are reaped.
type fileQueue struct {
	f       *os.File
	buffers [][]byte
	ops     []func() error
	errs    []error
	waiting []int
}

func openFile(f *os.File) Opener {
	return func(_ context.Context, depth, size int) (Queue, error) {
		q := &fileQueue{f: f, ops: make([]func() error, depth), errs: make([]error, depth)}
		for range depth {
			p := make([]byte, size+pageSize)
			skip := -uintptr(unsafe.Pointer(&p[0])) & (pageSize - 1)
			q.buffers = append(q.buffers, p[skip:][:size:size])
		}
		return q, nil
	}
}

func (q *fileQueue) Depth() int             { return len(q.ops) }
func (q *fileQueue) Buffer(slot int) []byte { return q.buffers[slot] }

func (q *fileQueue) stage(slot int, op func() error) {
	if q.ops[slot] != nil {
		panic("slot is in use")
	}
	q.ops[slot] = op
	q.waiting = append(q.waiting, slot)
}

func (q *fileQueue) Stage(slot int, op uint8, off, n int64, _ uint32) {
	q.stage(slot, func() (err error) {
		switch op {
		case OpRead:
			if _, err = q.f.ReadAt(q.buffers[slot][:n], off); errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
		case OpWrite:
			_, err = q.f.WriteAt(q.buffers[slot][:n], off)
		case OpZero, OpDiscard:
			_, err = q.f.WriteAt(make([]byte, n), off)
		}
		return err
	})
}

func (q *fileQueue) Submit() error { return nil }

func (q *fileQueue) SubmitAndReap(least int, done []int) (int, error) { return q.Reap(least, done) }

func (q *fileQueue) Err(slot int) error { return q.errs[slot] }
func (q *fileQueue) Close() error       { return nil }

func (q *fileQueue) Reap(_ int, done []int) (int, error) {
	n := copy(done, q.waiting)
	q.waiting = q.waiting[:copy(q.waiting, q.waiting[n:])]
	for _, i := range done[:n] {
		q.errs[i] = q.ops[i]()
		q.ops[i] = nil
	}
	return n, nil
}

// tempFile is a file of n zero bytes.
func tempFile(t testing.TB, n int64) *os.File {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(n); err != nil {
		t.Fatal(err)
	}
	return f
}

// memoryQueue does the requests on a slice.
type memoryQueue struct {
	fileQueue
	p []byte
}

func openMemory(p []byte) Opener {
	return func(ctx context.Context, depth, size int) (Queue, error) {
		q, err := openFile(nil)(ctx, depth, size)
		return &memoryQueue{*q.(*fileQueue), p}, err
	}
}

func (q *memoryQueue) Stage(slot int, op uint8, off, n int64, _ uint32) {
	q.stage(slot, func() error {
		switch op {
		case OpRead:
			if off+n > int64(len(q.p)) {
				return io.ErrUnexpectedEOF
			}
			copy(q.buffers[slot][:n], q.p[off:])
		case OpWrite:
			copy(q.p[off:], q.buffers[slot][:n])
		case OpZero, OpDiscard:
			clear(q.p[off : off+n])
		}
		return nil
	})
}
