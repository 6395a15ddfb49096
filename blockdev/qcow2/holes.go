package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// preallocated says whether the image has clusters for data that nobody wrote, so that holes of the
// file are worth looking for: the file takes clearly less storage than clusters are in use. It is
// found out once, by the measure of QEMU 7.2: a tenth, and two clusters at least.
func (q *image) preallocated(ctx context.Context) bool {
	if q.holesKnown {
		return q.holes
	}
	q.holesKnown, q.holes = true, q.sparse(ctx)
	return q.holes
}

// sparse compares the storage of the file with the clusters in use.
func (q *image) sparse(ctx context.Context) bool {
	file, ok := driver.Find[driver.Spacer](q.file)
	if !ok {
		return false
	}
	space, err := file.Space()
	if err != nil {
		return false
	}
	stored := space / q.cluster
	enough := max(stored*10/9, stored+2)
	r := refcounts{q: q}
	defer r.drop()
	used := int64(0)
	for c := int64(0); c*q.cluster < q.file.Info().Size && used < enough; c++ {
		n, err := r.of(ctx, c)
		if err != nil || ctx.Err() != nil {
			return false
		}
		if n > 0 {
			used++
		}
	}
	return used >= enough
}

// reach is where the last cluster of data ends that an entry leads to.
func (q *image) reach(ctx context.Context) (end int64, err error) {
	for _, w := range q.l1 {
		at := int64(w & offsetMask)
		if at == 0 || q.within(at) != 0 {
			continue
		}
		if err := q.eachPart(ctx, at, func(s slice) error {
			for i := range s.slots() {
				if e := s.entry(i); q.clusterType(e) == normal {
					end = max(end, e.host()+q.cluster)
				}
			}
			return nil
		}); err != nil {
			return 0, err
		}
	}
	return end, nil
}
