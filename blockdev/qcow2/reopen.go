package qcow2

import (
	"context"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// Prepare reads the new options and writes all tables: the caches may change their size.
func (q *image) Prepare(ctx context.Context, o *driver.Opening) (commit, abort func(), err error) {
	if err := q.LockAnyway(ctx); err != nil {
		return nil, nil, err
	}
	ctx = format.Uncancelled(ctx)
	defer q.Unlock()
	if q.checking {
		return nil, nil, errOnlyChecked
	}
	if q.loaded && !o.Mode.ReadOnly {
		return nil, nil, refuse(syscall.EACCES, "A snapshot can only be opened read-only")
	}
	now := q.given.with(o.Config.(*config))
	s, err := parseSettings(&q.geometry, &now.config, q.size.Load(), o.Mode.Unmap, q.hdr.lazy())
	if err != nil {
		return nil, nil, err
	}
	if !q.readOnly && !q.dead.Load() {
		if o.Mode.ReadOnly {
			q.mayWrite = false // bitmaps are tracked again before the next change
			if err := q.storeBitmaps(ctx); err != nil {
				return nil, nil, err
			}
		}
		if err := q.flushCaches(ctx); err != nil {
			return nil, nil, err
		}
		if q.settings.lazy && !s.lazy || o.Mode.ReadOnly {
			if err := q.markClean(ctx); err != nil {
				return nil, nil, refuseWith(err, "Failed to disable lazy refcounts")
			}
		}
	}
	if q.readOnly && !o.Mode.ReadOnly && q.hdr.Incompatible&featCorrupt != 0 {
		return nil, nil, refuse(syscall.EACCES,
			"qcow2: Image is corrupt; cannot be opened read/write")
	}
	q.claims = !o.Mode.ReadOnly
	commit = func() {
		_ = q.LockAnyway(ctx) // its context never ends
		q.readOnly, q.unmap, q.given = o.Mode.ReadOnly, o.Mode.Unmap, now
		q.install(s)
		q.Unlock()
		q.stopCleaner()
		q.startCleaner()
	}
	return commit, func() { q.claims = !q.readOnly }, nil
}

// flushCaches writes all tables, in QEMU's words if that fails.
func (q *image) flushCaches(ctx context.Context) error {
	for _, c := range q.caches() {
		if err := c.Flush(ctx); err != nil {
			return refuseWith(err, "Failed to flush the "+c.Name+" cache")
		}
	}
	return nil
}

// adopt changes the settings of an image in use.
func (q *image) adopt(ctx context.Context, s settings) error {
	if err := q.flushCaches(ctx); err != nil {
		return err
	}
	q.install(s)
	return nil
}

// install takes settings whose caches may differ. All tables must be written.
func (q *image) install(s settings) {
	same := s.l2Unit == q.settings.l2Unit && s.l2Tables == q.settings.l2Tables &&
		s.refBlocks == q.settings.refBlocks
	q.settings = s
	if !same {
		q.makeCaches()
	}
}
