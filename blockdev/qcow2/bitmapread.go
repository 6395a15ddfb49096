package qcow2

import (
	"context"
	"math/bits"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// Bitmaps lists the bitmaps.
func (q *image) Bitmaps(ctx context.Context) ([]driver.Bitmap, error) {
	if err := q.Lock(ctx); err != nil {
		return nil, err
	}
	defer q.Unlock()
	if q.version < 3 {
		return nil, refuse(syscall.ENOTSUP, "Images of version 2 have no bitmaps")
	}
	bitmaps, err := q.directory(ctx)
	var list []driver.Bitmap
	for _, b := range bitmaps {
		t := q.trackedAs(b.name)
		flags := b.flags
		if t != nil {
			flags = t.flags
		}
		list = append(list, driver.Bitmap{
			Name: b.name, Granularity: 1 << b.granularity,
			Enabled: flags&bitmapAuto != 0, Inconsistent: t == nil && !b.valid(),
		})
	}
	return list, err
}

// DirtyRun looks at the bits, in memory or in the file.
func (q *image) DirtyRun(
	ctx context.Context, name string, off, n int64,
) (end int64, dirty bool, err error) {
	if err := q.Lock(ctx); err != nil {
		return 0, false, err
	}
	defer q.Unlock()
	t, err := q.readable(ctx, name)
	if err != nil {
		return 0, false, err
	}
	unit, per := int64(1)<<t.granularity, q.partBits()
	first := off >> t.granularity
	last := (off + n - 1) >> t.granularity
	for bit := first; bit <= last; {
		i := bit / per
		until := min(last+1, (i+1)*per)
		run, set, err := q.runInPart(ctx, t, i, bit-i*per, until-i*per)
		if err != nil {
			return 0, false, err
		}
		if bit == first {
			dirty = set
		}
		if set != dirty {
			return bit * unit, dirty, nil
		}
		if bit = i*per + run; bit < until {
			return bit * unit, dirty, nil
		}
	}
	return off + n, dirty, nil
}

// readable is a bitmap whose bits can be looked at. One that is not tracked is read from the file,
// and kept for the next look.
func (q *image) readable(ctx context.Context, name string) (*trackedBitmap, error) {
	if t := q.trackedAs(name); t != nil {
		return t, nil
	}
	b, err := q.findBitmap(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case !b.valid():
		return nil, &driver.InconsistentError{Bitmap: name}
	case q.viewed != nil && *q.viewed.bitmap == *b:
		return q.viewed, nil
	}
	t := q.untracked(ctx, b)
	if t.table == nil || !q.fits(b) {
		return nil, &driver.InconsistentError{Bitmap: name}
	}
	q.viewed = t
	return t, nil
}

// runInPart is where the run of equal bits ends that begins with the bit from of the i-th part,
// before to.
func (q *image) runInPart(
	ctx context.Context, t *trackedBitmap, i, from, to int64,
) (end int64, set bool, err error) {
	p := t.parts[i]
	if p == nil {
		if t.table[i]&bitmapTableMask == 0 {
			return to, t.table[i]&bitmapTableOnes != 0, nil
		}
		if p, err = q.viewPart(ctx, t, i); err != nil {
			return 0, false, err
		}
	}
	set = p[from/8]>>(from%8)&1 != 0
	flip := byte(0) // makes the bits of the run 0
	if set {
		flip = 0xff
	}
	for end = from; end < to; {
		if rest := (p[end/8] ^ flip) >> (end % 8); rest != 0 {
			return min(to, end+int64(bits.TrailingZeros8(rest))), set, nil
		}
		end = end/8*8 + 8
	}
	return to, set, nil
}

// viewPart reads a cluster of bits, of which only the last one is kept: a look changes nothing.
func (q *image) viewPart(ctx context.Context, t *trackedBitmap, i int64) ([]byte, error) {
	at := int64(t.table[i] & bitmapTableMask)
	if q.viewAt == at {
		return q.view, nil
	}
	if int64(len(q.view)) != q.cluster {
		q.view = make([]byte, q.cluster)
	}
	q.viewAt = 0
	if err := readAt(ctx, q.file, q.view, at); err != nil {
		return nil, err
	}
	q.viewAt = at
	return q.view, nil
}

// forgetView is called before bits in the file change.
func (q *image) forgetView() { q.viewed, q.viewAt = nil, 0 }
