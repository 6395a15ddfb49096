package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev"
)

// maxJobs is how many pieces of one request are read at the same time.
const maxJobs = 8

// readJob is a piece of a request that one read of one node answers.
type readJob struct {
	m   mapping
	v   blockdev.Vec
	off int64 // guest offset
	pin int   // of m.host, if it has one
}

// ReadVec reads guest bytes.
func (q *image) ReadVec(ctx context.Context, v blockdev.Vec, off int64, _ blockdev.Flags) error {
	total := v.Len()
	job, err := q.nextJob(ctx, v, off, 0, total)
	if err != nil {
		return err
	}
	if job.m.n == total {
		return q.runJob(ctx, job)
	}
	return q.readPieces(ctx, v, off, total, job)
}

// readPieces reads a request that lies in several places, some of them at a time. job is the first.
func (q *image) readPieces(ctx context.Context, v blockdev.Vec, off, total int64, job readJob) error {
	jobs := make([]readJob, 0, maxJobs)
	run := func() error {
		err := blockdev.Fan(ctx, len(jobs), func(ctx context.Context, i int) error { return q.runJob(ctx, jobs[i]) })
		jobs = jobs[:0]
		return err
	}
	for done := int64(0); ; {
		done += job.m.n
		if q.reads(job) {
			jobs = append(jobs, job)
		} else {
			job.v.Clear()
		}
		if len(jobs) == maxJobs || done == total && len(jobs) > 0 {
			if err := run(); err != nil {
				return err
			}
		}
		if done == total {
			return nil
		}
		next, err := q.nextJob(ctx, v, off, done, total-done)
		if err != nil {
			for _, j := range jobs {
				q.unpin(j)
			}
			return err
		}
		job = next
	}
}

// nextJob maps what starts done bytes into a request, and pins it.
func (q *image) nextJob(ctx context.Context, v blockdev.Vec, off, done, n int64) (readJob, error) {
	if err := q.lock(ctx); err != nil {
		return readJob{}, err
	}
	defer q.mu.Unlock()
	m, err := q.lookup(ctx, off+done, n)
	if err != nil {
		return readJob{}, err
	}
	job := readJob{m: m, v: v.Slice(done, m.n), off: off + done}
	switch m.kind {
	case normal:
		job.pin = q.pins.add(m.host, m.n)
	case compressed:
		job.pin = q.pins.add(q.compressedAt(m.desc))
	}
	return job, nil
}

func (q *image) unpin(j readJob) {
	if j.m.kind == normal || j.m.kind == compressed {
		q.pins.remove(j.pin)
	}
}

// reads says whether a job needs I/O.
func (q *image) reads(j readJob) bool {
	if j.m.kind.absent() {
		return q.backing != nil && j.off < q.size.Load()
	}
	return !j.m.kind.zero()
}

func (q *image) runJob(ctx context.Context, j readJob) error {
	switch {
	case !q.reads(j):
		j.v.Clear()
		return nil
	case j.m.kind.absent():
		return q.readBacking(ctx, j)
	}
	defer q.unpin(j)
	if j.m.kind == compressed {
		return q.readCompressed(ctx, j)
	}
	if err := q.fire(ctx, blockdev.EvReadAIO); err != nil {
		return err
	}
	return q.file.ReadVec(ctx, j.v, j.m.host, 0)
}

func (q *image) readBacking(ctx context.Context, j readJob) error {
	if err := q.fire(ctx, blockdev.EvReadBackingAIO); err != nil {
		return err
	}
	return q.backing.ReadVec(ctx, j.v, j.off, 0)
}

// readCompressed unpacks the cluster that a job lies in.
func (q *image) readCompressed(ctx context.Context, j readJob) error {
	off, n := q.compressedAt(j.m.desc)
	packed, plain := q.codec.buffer(n), q.codec.buffer(q.cluster)
	defer q.codec.recycle(packed, plain)
	if err := q.fire(ctx, blockdev.EvReadCompressed); err != nil {
		return err
	}
	if err := readAt(ctx, q.file, *packed, off); err != nil {
		return err
	}
	if err := q.codec.decompress(q.hdr.compression, *plain, *packed); err != nil {
		return err
	}
	j.v.CopyFrom((*plain)[q.within(j.off):])
	return nil
}
