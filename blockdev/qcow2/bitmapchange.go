package qcow2

import (
	"context"
	"math/bits"
	"slices"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// Granularities that are taken where none is asked for: that of the clusters, within these, in
// bytes.
const (
	leastUsualGranularity = 4 << 10
	mostUsualGranularity  = 64 << 10
)

// changeBitmaps makes a change to bitmaps with all valid ones tracked: their bits are in memory,
// and stored when the image is closed.
func (q *image) changeBitmaps(ctx context.Context, change func(ctx context.Context) error) error {
	if err := q.Lock(ctx); err != nil {
		return err
	}
	ctx = format.Uncancelled(ctx)
	defer q.Unlock()
	q.forgetView()
	if err := q.beginChanges(ctx); err != nil {
		return err
	}
	if _, err := q.trackBitmaps(ctx, true); err != nil {
		return err
	}
	return change(ctx)
}

// onBitmap is changeBitmaps for one that can be used.
func (q *image) onBitmap(
	ctx context.Context, name string, change func(ctx context.Context, t *trackedBitmap) error,
) error {
	return q.changeBitmaps(ctx, func(ctx context.Context) error {
		if t := q.trackedAs(name); t != nil {
			return change(ctx, t)
		}
		if _, err := q.findBitmap(ctx, name); err != nil {
			return err
		}
		return &driver.InconsistentError{Bitmap: name}
	})
}

func (q *image) trackedAs(name string) *trackedBitmap {
	i := slices.IndexFunc(q.tracked, func(t *trackedBitmap) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return q.tracked[i]
}

// findBitmap looks for a bitmap in the directory.
func (q *image) findBitmap(ctx context.Context, name string) (*bitmap, error) {
	list, err := q.directory(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(b *bitmap) bool { return b.name == name })
	if i < 0 {
		return nil, refuse(syscall.ENOENT, "Dirty bitmap '%s' not found", name)
	}
	return list[i], nil
}

// AddBitmap makes a bitmap, which is marked as in use until it is stored.
func (q *image) AddBitmap(ctx context.Context, want driver.Bitmap) error {
	b, err := q.newBitmap(want)
	if err != nil {
		return err
	}
	return q.changeBitmaps(ctx, func(ctx context.Context) error {
		list, err := q.directory(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(other *bitmap) bool { return other.name == b.name }) {
			return refuse(syscall.EEXIST, "Bitmap already exists: %s", b.name)
		}
		if len(list) == maxBitmaps {
			return refuse(syscall.EFBIG, "Maximum number of persistent bitmaps is already reached")
		}
		t := &trackedBitmap{bitmap: b, size: q.size.Load(), table: make([]uint64, b.tableSize)}
		t.parts = make([][]byte, len(t.table))
		if b.tableOff, err = q.allocate(ctx, b.tableSize*8); err != nil {
			return err
		}
		q.tracked = append(q.tracked, t)
		err = q.refs.Flush(ctx)
		if err == nil {
			err = q.writeTable(ctx, 0, t.table, b.tableOff)
		}
		if err == nil {
			err = q.writeDirectory(ctx, append(list, b))
		}
		if err != nil && !unsettled(err) {
			q.tracked = q.tracked[:len(q.tracked)-1]
			q.free(ctx, b.tableOff, b.tableSize*8, discardOther)
		}
		return err
	})
}

// newBitmap checks what a new bitmap is to be.
func (q *image) newBitmap(want driver.Bitmap) (*bitmap, error) {
	size := q.size.Load()
	unit := want.Granularity
	if unit == 0 {
		unit = min(max(q.cluster, leastUsualGranularity), mostUsualGranularity)
	}
	switch {
	case q.version < 3:
		return nil, refuse(syscall.ENOTSUP, "Cannot store dirty bitmaps in qcow2 v2 files")
	case want.Name == "":
		return nil, invalid("Bitmap name cannot be empty")
	case len(want.Name) > maxBitmapName:
		return nil, invalid("Name length exceeds maximum (%d characters)",
			maxBitmapName)
	case unit < 1<<minGranularity || unit > 1<<maxGranularity || unit&(unit-1) != 0:
		return nil, invalid("Granularity must be power of 2 and at least %d",
			1<<minGranularity)
	case size == 0:
		return nil, invalid("An empty image can have no bitmaps")
	}
	b := &bitmap{
		name: want.Name, nameLen: int64(len(want.Name)), kind: bitmapDirty, flags: bitmapInUse,
		granularity: uint(bits.TrailingZeros64(uint64(unit))),
	}
	if want.Enabled {
		b.flags |= bitmapAuto
	}
	bytes := divUp(divUp(size, unit), bitmapBitsPerByte)
	if bytes > maxBitmapBytes {
		return nil, refuse(syscall.EFBIG,
			"Too much space will be occupied by the bitmap. Use larger granularity")
	}
	b.tableSize = q.clustersIn(bytes)
	return b, nil
}

// RemoveBitmap takes a bitmap out of the directory and gives back what it took.
func (q *image) RemoveBitmap(ctx context.Context, name string) error {
	return q.changeBitmaps(ctx, func(ctx context.Context) error {
		b, err := q.findBitmap(ctx, name)
		if err != nil {
			return err
		}
		list, err := q.directory(ctx)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(other *bitmap) bool { return other.name == name })
		if err := q.writeDirectory(ctx, list); err != nil {
			return err
		}
		if t := q.trackedAs(name); t != nil {
			q.dropParts(t)
			q.tracked = slices.DeleteFunc(q.tracked,
				func(other *trackedBitmap) bool { return other == t })
		}
		q.freeBitmap(ctx, b)
		return nil
	})
}

// untracked is a bitmap that nobody keeps true. It has no table if that in the file is not to be
// trusted.
func (q *image) untracked(ctx context.Context, b *bitmap) *trackedBitmap {
	t := &trackedBitmap{bitmap: b, size: q.size.Load()}
	table, err := q.bitmapTable(ctx, b)
	if err != nil {
		table = nil
	}
	t.table, t.parts = table, make([][]byte, len(table))
	return t
}

// dropParts forgets all bits: none is set.
func (q *image) dropParts(t *trackedBitmap) {
	for i := range t.table {
		if t.parts[i] != nil {
			q.trackedBytes -= q.cluster
		}
		t.table[i], t.parts[i] = 0, nil
	}
}

// ClearBitmap says that nothing is dirty.
func (q *image) ClearBitmap(ctx context.Context, name string) error {
	return q.onBitmap(ctx, name, func(_ context.Context, t *trackedBitmap) error {
		q.dropParts(t)
		return nil
	})
}

// EnableBitmap changes whether the bitmap records changes; the file says so when it is stored.
func (q *image) EnableBitmap(ctx context.Context, name string, on bool) error {
	return q.onBitmap(ctx, name, func(_ context.Context, t *trackedBitmap) error {
		if t.flags &^= bitmapAuto; on {
			t.flags |= bitmapAuto
		}
		return nil
	})
}

// MarkBitmap sets the bits for a range. Of many marks only the first looks at the file.
func (q *image) MarkBitmap(ctx context.Context, name string, off, n int64) error {
	if done, err := q.markTracked(ctx, name, off, n); done || err != nil {
		return err
	}
	return q.onBitmap(ctx, name, func(ctx context.Context, t *trackedBitmap) error {
		return q.setBits(ctx, t, off, min(n, t.size-off))
	})
}

// markTracked is MarkBitmap for a bitmap that is tracked already.
func (q *image) markTracked(ctx context.Context, name string, off, n int64) (done bool, err error) {
	if err := q.Lock(ctx); err != nil {
		return false, err
	}
	defer q.Unlock()
	t := q.trackedAs(name)
	if t == nil || !q.mayWrite || q.usable() != nil {
		return false, nil
	}
	return true, q.setBits(format.Uncancelled(ctx), t, off, min(n, t.size-off))
}

// marshal is the entry of a bitmap without extra data.
func (b *bitmap) marshal() []byte {
	raw := appendFields(make([]byte, 0, b.length()), b.tableOff, uint32(b.tableSize), b.flags,
		b.kind, byte(b.granularity), uint16(b.nameLen), uint32(b.extra))
	return append(raw, b.name...)[:b.length()]
}
