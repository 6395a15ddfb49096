package undo

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// A File is where a log is kept. It is new: the recorder writes it from its beginning.
type File interface {
	io.Writer
	// Sync puts what was written on stable storage.
	Sync() error
}

// DriverName is the name of the filter.
const DriverName = "undo"

type config struct {
	File driver.Child `option:"file" help:"the disk"`
}

// Driver is a filter that notes in log what is changed through it. It stands in front of one disk.
func Driver(log File) driver.Driver {
	return driver.Driver{
		Name: DriverName, Kind: driver.FilterKind,
		Doc:    "keeps what was there before it is changed",
		Config: config{},
		Open: func(ctx context.Context, o *driver.Opening) (driver.Node, error) {
			next, err := o.Child(ctx, o.Config.(*config).File, driver.RoleFiltered)
			if err != nil {
				return nil, err
			}
			return newRecorder(next, log)
		},
	}
}

// newRecorder begins a log of changes.
func newRecorder(next driver.Node, log File) (*recorder, error) {
	r := &recorder{Filter: driver.Filter{Next: next}, log: log}
	if _, err := log.Write(header(next.Info().Size)); err != nil {
		return nil, fmt.Errorf("begin the log of changes: %w", err)
	}
	return r, r.sync()
}

// recorder is the filter. A change holds its range alone from the reading of the old bytes to the
// end of the change, so that no other comes between.
type recorder struct {
	driver.Filter
	ranges wait.RangeLock

	mu    sync.Mutex // what follows, and the end of the log
	log   File
	saved blockSet
	fresh bool  // records were written that are not on stable storage
	err   error // of the log; nothing is changed after it
}

var _ driver.Node = (*recorder)(nil)

// Info asks for whole sectors, since sums are of these.
func (r *recorder) Info() driver.Info {
	info := r.Next.Info()
	info.Driver = DriverName
	info.RequestAlign = max(sectorSize, info.RequestAlign)
	return info
}

// WriteVec notes the old bytes and the sums of the new ones, and writes.
func (r *recorder) WriteVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	return r.change(ctx, off, v.Len(), func(at, n int64) error {
		part := v.Slice(at-off, n)
		if err := r.record(newSums, at, n, sectorSums(part), f); err != nil {
			return err
		}
		return r.Next.WriteVec(ctx, part, at, f)
	})
}

// Zero notes the old bytes, and zeroes.
func (r *recorder) Zero(ctx context.Context, off, n int64, f driver.Flags) error {
	return r.change(ctx, off, n, func(at, n int64) error {
		if err := r.record(newZeroes, at, n, nil, f); err != nil {
			return err
		}
		return r.Next.Zero(ctx, at, n, f)
	})
}

// Discard notes the old bytes, and discards.
func (r *recorder) Discard(ctx context.Context, off, n int64, f driver.Flags) error {
	return r.change(ctx, off, n, func(at, n int64) error {
		if err := r.record(newUnknown, at, n, nil, f); err != nil {
			return err
		}
		return r.Next.Discard(ctx, at, n, f)
	})
}

// Truncate notes what is cut off, and the new length.
func (r *recorder) Truncate(
	ctx context.Context, size int64, p driver.Prealloc, f driver.Flags,
) error {
	hold, err := r.ranges.Lock(ctx, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	defer r.ranges.Unlock(hold)
	old := r.Next.Info().Size
	for at := size; at < old; at += maxRange {
		n := min(maxRange, old-at)
		if err := r.save(ctx, at, n); err != nil {
			return err
		}
		if err := r.note(newUnknown, at, n, nil); err != nil { // should the disk grow again
			return err
		}
	}
	if err := r.record(newSize, 0, size, nil, f); err != nil {
		return err
	}
	return r.Next.Truncate(ctx, size, p, f)
}

// Flush puts the log on stable storage before the disk.
func (r *recorder) Flush(ctx context.Context) error {
	if err := r.sync(); err != nil {
		return err
	}
	return r.Next.Flush(ctx)
}

// Close puts the log on stable storage. Whoever opened it closes it.
func (r *recorder) Close() error { return r.sync() }

// change saves the old bytes of a range and does something to it, in pieces that a record can tell.
func (r *recorder) change(
	ctx context.Context, off, n int64, do func(at, n int64) error,
) error {
	start, end := blocksAround(off, n)
	hold, err := r.ranges.Lock(ctx, start, end-start)
	if err != nil {
		return err
	}
	defer r.ranges.Unlock(hold)
	for at := off; at < off+n; {
		piece := min(maxRange, off+n-at)
		if err := r.save(ctx, at, piece); err != nil {
			return err
		}
		if err := do(at, piece); err != nil {
			return err
		}
		at += piece
	}
	return nil
}

// record notes what a change is to be. For one that is durable when it returns that is on stable
// storage before it is made.
func (r *recorder) record(k kind, off, n int64, follows []byte, f driver.Flags) error {
	err := r.note(k, off, n, follows)
	if err == nil && f&driver.FUA != 0 {
		err = r.sync()
	}
	return err
}

// blocksAround is the range of whole blocks around one.
func blocksAround(off, n int64) (start, end int64) {
	return off &^ (blockSize - 1), driver.RoundUp(off+n, blockSize)
}

// save notes the bytes of those blocks of a range that were not changed before, and waits until
// they are on stable storage.
func (r *recorder) save(ctx context.Context, off, n int64) error {
	start, end := blocksAround(off, n)
	end = min(end, r.Next.Info().Size) // behind the end there is nothing to save
	added := false
	for at := start; at < end; {
		missing, length := r.missing(at, end)
		if !missing {
			at += length
			continue
		}
		length = min(length, maxPiece)
		if err := r.saveRun(ctx, at, length); err != nil {
			return err
		}
		added = true
		at += length
	}
	if !added {
		return nil
	}
	return r.sync()
}

// missing says of the longest run from at to end whose blocks are alike whether they must be saved.
func (r *recorder) missing(at, end int64) (bool, int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.saved.has(at / blockSize)
	next := at - at%blockSize + blockSize
	for next < end && r.saved.has(next/blockSize) != first {
		next += blockSize
	}
	return first, min(next, end) - at
}

// saveRun notes what a run of blocks holds: nothing is read that is known to be zero.
func (r *recorder) saveRun(ctx context.Context, off, n int64) error {
	for at := off; at < off+n; {
		e, err := r.Next.Status(ctx, at, off+n-at)
		if err != nil {
			return fmt.Errorf("look at what is to be kept: %w", err)
		}
		k, bytes := oldZeroes, []byte(nil)
		if !e.Zero {
			k, bytes = oldBytes, make([]byte, e.Len)
			if err := r.Next.ReadVec(ctx, driver.Vec{bytes}, at, 0); err != nil {
				return fmt.Errorf("read what is to be kept: %w", err)
			}
		}
		if err := r.note(k, at, e.Len, bytes); err != nil {
			return err
		}
		at = e.End()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for at := off; at < off+n; at += blockSize {
		r.saved.add(at / blockSize)
	}
	return nil
}

// note appends a record. After an error of the log nothing is noted any more, and so nothing
// changed.
func (r *recorder) note(k kind, off, n int64, follows []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	if _, err := r.log.Write(appendRecord(nil, k, off, n, follows)); err != nil {
		r.err = fmt.Errorf("write the log of changes: %w", err)
	}
	r.fresh = true
	return r.err
}

// sync puts the log on stable storage.
func (r *recorder) sync() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil || !r.fresh {
		return r.err
	}
	if err := r.log.Sync(); err != nil {
		r.err = fmt.Errorf("write the log of changes: %w", err)
		return r.err
	}
	r.fresh = false
	return nil
}

// sectorSums are the sums of the sectors of v.
func sectorSums(v driver.Vec) []byte {
	sums := make([]byte, 0, v.Len()/sectorSize*sumSize)
	var crc uint32
	filled := 0
	for _, piece := range v {
		for len(piece) > 0 {
			n := min(sectorSize-filled, len(piece))
			crc = updateSum(crc, piece[:n])
			piece, filled = piece[n:], filled+n
			if filled == sectorSize {
				sums = binary.LittleEndian.AppendUint32(sums, crc)
				crc, filled = 0, 0
			}
		}
	}
	return sums
}
