package qcow2

import (
	"context"
	"sync/atomic"

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

// readPieces reads a request that lies in several places, some of them at a time. first is the first.
func (q *image) readPieces(ctx context.Context, v blockdev.Vec, off, total int64, first readJob) error {
	p := &pieces{q: q, v: v, off: off, total: total, done: first.m.n}
	jobs := make([]readJob, 0, maxJobs)
	if q.reads(first) {
		jobs = append(jobs, first)
	} else {
		first.v.Clear()
	}
	for len(jobs) < maxJobs {
		job, more, err := p.next(ctx)
		if err != nil {
			for _, j := range jobs {
				q.unpin(j)
			}
			return err
		}
		if !more {
			break
		}
		jobs = append(jobs, job)
	}
	if len(jobs) == 0 {
		return nil
	}
	return blockdev.Fan(ctx, len(jobs), func(ctx context.Context, i int) error { return p.run(ctx, jobs[i]) })
}

// pieces is what is left of a request that several goroutines read.
type pieces struct {
	q          *image
	v          blockdev.Vec
	off, total int64

	mu     blockdev.Mutex // guards done
	done   int64          // bytes that somebody reads or has read
	failed atomic.Bool    // nobody needs to read the rest
}

// next is the next piece that must be read. Those before it that are zeroes are made zero.
func (p *pieces) next(ctx context.Context) (job readJob, more bool, err error) {
	if err := p.mu.Lock(ctx); err != nil {
		return job, false, err
	}
	defer p.mu.Unlock()
	for p.done < p.total && !p.failed.Load() {
		if job, err = p.q.nextJob(ctx, p.v, p.off, p.done, p.total-p.done); err != nil {
			return job, false, err
		}
		p.done += job.m.n
		if p.q.reads(job) {
			return job, true, nil
		}
		job.v.Clear()
	}
	return job, false, nil
}

// run reads a piece and then what nobody else has begun. An error ends the request.
func (p *pieces) run(ctx context.Context, job readJob) error {
	for {
		err := p.q.runJob(ctx, job)
		if err != nil {
			p.failed.Store(true)
			return err
		}
		var more bool
		if job, more, err = p.next(ctx); err != nil || !more {
			return err
		}
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

// readCompressed unpacks the cluster that a job lies in: a whole one straight into its place.
func (q *image) readCompressed(ctx context.Context, j readJob) error {
	if err := q.fire(ctx, blockdev.EvReadCompressed); err != nil {
		return err
	}
	if j.m.n == q.cluster && len(j.v) == 1 {
		return q.unpack(ctx, j.m.desc, j.v[0])
	}
	fill := func(plain []byte) error { return q.unpack(ctx, j.m.desc, plain) }
	do := func(plain []byte) { j.v.CopyFrom(plain[q.within(j.off):]) }
	if _, watched := q.file.Primary().(blockdev.EventSink); !watched && j.m.n < q.cluster {
		off, n := q.compressedAt(j.m.desc)
		return q.recent.use(ctx, j.m.desc, span{off, n}, q.cluster, fill, do)
	}
	plain := q.codec.buffer(q.cluster)
	defer q.codec.recycle(plain)
	if err := fill(*plain); err != nil {
		return err
	}
	do(*plain)
	return nil
}

// unpack reads a compressed cluster from the file and unpacks it.
func (q *image) unpack(ctx context.Context, desc uint64, plain []byte) error {
	off, n := q.compressedAt(desc)
	packed := q.codec.buffer(n)
	defer q.codec.recycle(packed)
	if err := readAt(ctx, q.file, *packed, off); err != nil {
		return err
	}
	return q.codec.decompress(q.hdr.compression, plain, *packed)
}
