package format

import (
	"context"
	"sync/atomic"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// MaxParallel is how many pieces of one request are worked on at the same time.
const MaxParallel = 8

// piece is a part of a request that one read of one node answers.
type piece struct {
	Mapping
	v   driver.Vec
	off int64 // guest offset
	pin int   // if it has one
}

// ReadVec reads guest bytes.
func (i *Image) ReadVec(ctx context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	total := v.Len()
	first, err := i.mapPiece(ctx, v, off, 0, total)
	if err != nil {
		return err
	}
	if first.Len == total {
		return i.readPiece(ctx, first)
	}
	return i.readPieces(ctx, v, off, total, first)
}

// readPieces reads a request that lies in several places, some of them at a time. first is the
// first.
func (i *Image) readPieces(ctx context.Context, v driver.Vec, off, total int64, first piece) error {
	r := &reading{image: i, v: v, off: off, total: total, done: first.Len}
	begun := make([]piece, 0, MaxParallel)
	if i.needsRead(first) {
		begun = append(begun, first)
	} else {
		first.v.Clear()
	}
	for len(begun) < MaxParallel {
		p, more, err := r.next(ctx)
		if err != nil {
			for _, p := range begun {
				i.unpin(p)
			}
			return err
		}
		if !more {
			break
		}
		begun = append(begun, p)
	}
	if len(begun) == 0 {
		return nil
	}
	return wait.Fan(ctx, len(begun),
		func(ctx context.Context, k int) error { return r.run(ctx, begun[k]) })
}

// reading is what is left of a request that several goroutines read.
type reading struct {
	image      *Image
	v          driver.Vec
	off, total int64

	mu     wait.Mutex  // guards done
	done   int64       // bytes that a goroutine reads or has read
	failed atomic.Bool // the rest need not be read
}

// next is the next piece that must be read. Those before it that are zeroes are made zero.
func (r *reading) next(ctx context.Context) (p piece, more bool, err error) {
	if err := r.mu.Lock(ctx); err != nil {
		return p, false, err
	}
	defer r.mu.Unlock()
	for r.done < r.total && !r.failed.Load() {
		if p, err = r.image.mapPiece(ctx, r.v, r.off, r.done, r.total-r.done); err != nil {
			return p, false, err
		}
		r.done += p.Len
		if r.image.needsRead(p) {
			return p, true, nil
		}
		p.v.Clear()
	}
	return p, false, nil
}

// run reads a piece and then, piece by piece, what no other goroutine has begun. An error ends the
// request.
func (r *reading) run(ctx context.Context, p piece) error {
	for {
		err := r.image.readPiece(ctx, p)
		if err != nil {
			r.failed.Store(true)
			return err
		}
		var more bool
		if p, more, err = r.next(ctx); err != nil || !more {
			return err
		}
	}
}

// mapPiece maps what starts done bytes into a request, and pins it.
func (i *Image) mapPiece(ctx context.Context, v driver.Vec, off, done, n int64) (piece, error) {
	if err := i.Lock(ctx); err != nil {
		return piece{}, err
	}
	defer i.Unlock()
	m, err := i.lookupRead(ctx, off+done, n)
	if err != nil {
		return piece{}, err
	}
	p := piece{Mapping: m, v: v.Slice(done, m.Len), off: off + done}
	if s := m.pinned(); s.Len > 0 {
		p.pin = i.Pins.Add(s.Off, s.Len)
	}
	return p, nil
}

// lookupRead is Lookup of what is about to be read.
func (i *Image) lookupRead(ctx context.Context, off, n int64) (Mapping, error) {
	m, err := i.Lookup(ctx, off, n)
	if err == nil {
		i.noteRead(m, off)
	}
	return m, err
}

func (i *Image) unpin(p piece) {
	if p.pinned().Len > 0 {
		i.Pins.Remove(p.pin)
	}
}

// needsRead says whether a piece needs I/O.
func (i *Image) needsRead(p piece) bool {
	if p.Kind == Absent {
		return i.Backing != nil && p.off < i.Size()
	}
	return p.Kind != Zero
}

func (i *Image) readPiece(ctx context.Context, p piece) error {
	switch {
	case !i.needsRead(p):
		p.v.Clear()
		return nil
	case p.Kind == Absent:
		return i.readBacking(ctx, p)
	}
	defer i.unpin(p)
	if p.Kind == Packed {
		return i.readPacked(ctx, p)
	}
	if err := i.Fire(ctx, driver.EvReadAIO); err != nil {
		return err
	}
	return i.fetch(ctx, p.v, p.off, p.Host)
}

func (i *Image) readBacking(ctx context.Context, p piece) error {
	if err := i.Fire(ctx, driver.EvReadBackingAIO); err != nil {
		return err
	}
	return i.Backing.ReadVec(ctx, p.v, p.off, 0)
}

// readPacked unpacks the cluster that a piece lies in: a whole one straight into its place.
func (i *Image) readPacked(ctx context.Context, p piece) error {
	if err := i.Fire(ctx, driver.EvReadCompressed); err != nil {
		return err
	}
	if p.Len == i.Cluster && len(p.v) == 1 {
		return i.Unpack(ctx, p.Mapping, p.v[0])
	}
	fill := func(plain []byte) error { return i.Unpack(ctx, p.Mapping, plain) }
	do := func(plain []byte) { p.v.CopyFrom(plain[i.within(p.off):]) }
	if !i.watched() && p.Len < i.Cluster {
		return i.Unpacked.Use(ctx, p.Key, p.Packed, i.Cluster, fill, do)
	}
	plain := i.Buffers.Get(i.Cluster)
	defer i.Buffers.Put(plain)
	if err := fill(*plain); err != nil {
		return err
	}
	do(*plain)
	return nil
}

// watched says whether a driver counts the steps, and so also those that a cache would save.
func (i *Image) watched() bool {
	if i.Events == nil {
		return false
	}
	_, is := i.Events.Primary().(driver.EventSink)
	return is
}
