package undo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/blksh/blksh/blockdev/driver"
)

// Disk is what is put back: a blockdev.Device is one.
type Disk interface {
	Info() driver.Info
	Read(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error
	Write(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error
	Zero(ctx context.Context, off, n int64, f driver.Flags) error
	Truncate(ctx context.Context, size int64, p driver.Prealloc) error
	Flush(ctx context.Context) error
}

// Range is a run of bytes of the disk.
type Range struct {
	Off int64 `json:"offset"` // in bytes
	Len int64 `json:"length"` // in bytes
}

// maxForeign is how many ranges of a ForeignError are kept.
const maxForeign = 100

// ForeignError says that the disk holds what neither was there before nor was written under the
// log. Nothing was put back.
type ForeignError struct {
	Ranges []Range // the first of them
	Count  int64   // of ranges
	Bytes  int64   // in all of them
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%d bytes in %d ranges, the first at %d, were changed by others",
		e.Bytes, e.Count, e.Ranges[0].Off)
}

// add notes a sector; those that touch are one range. Sectors come in order.
func (e *ForeignError) add(off, n int64) {
	e.Bytes += n
	if last := len(e.Ranges) - 1; last >= 0 && e.Count == int64(last+1) &&
		e.Ranges[last].Off+e.Ranges[last].Len == off {
		e.Ranges[last].Len += n
		return
	}
	if e.Count++; len(e.Ranges) < maxForeign {
		e.Ranges = append(e.Ranges, Range{off, n})
	}
}

// Log is an open log of changes.
type Log struct {
	// Size is the length that the disk had, in bytes.
	Size int64
	// Torn is how much of the file, in bytes, stands behind the last whole record: what a program
	// that was stopped had begun to write.
	Torn int64
	// Damage says what of the log is damaged, nil if nothing is. The rest of it can be put back.
	Damage *DamagedError

	r     io.ReaderAt
	old   []record // by offset
	new   []record // in the order of writing
	sizes []int64  // that the disk was given
	over  map[int64][]int32
}

// bucket is the unit, in bytes, in which changes of a place are looked up.
const bucket = maxPiece

// DamagedError says that a part of a log is neither a record nor the beginning of one. What it kept
// is lost.
type DamagedError struct {
	At    int64 // where in the log the first damage is, in bytes
	Bytes int64 // of the log that are damaged
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the log is damaged at %d: %d bytes of it tell nothing any more", e.At,
		e.Bytes)
}

// Read reads a log of length bytes.
func Read(ctx context.Context, r io.ReaderAt, length int64) (*Log, error) {
	c, err := readLog(ctx, r, length)
	if err != nil {
		return nil, err
	}
	l := &Log{Size: c.size, Torn: c.torn, r: r, over: map[int64][]int32{}}
	if c.damaged > 0 {
		l.Damage = &DamagedError{At: c.first, Bytes: c.damaged}
	}
	for _, rec := range c.records {
		switch rec.kind {
		case oldBytes, oldZeroes:
			l.old = append(l.old, rec)
		case newSize:
			l.sizes = append(l.sizes, rec.end())
		default:
			l.new = append(l.new, rec)
		}
	}
	slices.SortStableFunc(l.old, func(a, b record) int { return cmp.Compare(a.off, b.off) })
	for i := 1; i < len(l.old); i++ {
		if l.old[i].off < l.old[i-1].end() {
			return nil, fmt.Errorf("the log keeps what was at %d twice", l.old[i].off)
		}
	}
	for i, rec := range l.new {
		if rec.n > maxRange {
			return nil, fmt.Errorf("the log has a change of %d bytes, more than %d", rec.n,
				maxRange)
		}
		for b := range bucketsOf(rec.off, rec.n) {
			l.over[b] = append(l.over[b], int32(i))
		}
	}
	return l, nil
}

// bucketsOf are the buckets that a range touches.
func bucketsOf(off, n int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for b := off / bucket; n > 0 && b <= (off+n-1)/bucket && yield(b); b++ {
		}
	}
}

// Changed is how many bytes the log can put back.
func (l *Log) Changed() int64 {
	var n int64
	for _, rec := range l.old {
		n += max(0, min(rec.end(), l.Size)-rec.off)
	}
	return n
}

// Check compares the disk with the log. A *ForeignError says what others changed, a *DamagedError
// that not all can be put back; a disk of a length that it never had under the log is another.
func (l *Log) Check(ctx context.Context, d Disk) error {
	if l.Damage != nil {
		return l.Damage
	}
	now := d.Info().Size
	if now != l.Size && !slices.Contains(l.sizes, now) {
		return fmt.Errorf("the disk is %d bytes long; it was %d, and nothing made it so", now,
			l.Size)
	}
	var foreign ForeignError
	err := l.pieces(ctx, now, func(p piece) error {
		found := make([]byte, p.n)
		if err := d.Read(ctx, driver.Vec{found}, p.off, 0); err != nil {
			return err
		}
		return l.judge(p, found, &foreign)
	})
	if err == nil && foreign.Count > 0 {
		return &foreign
	}
	return err
}

// Restore puts back what the log has, and flushes. It asks nothing: Check does that.
func (l *Log) Restore(ctx context.Context, d Disk) error {
	if d.Info().Size != l.Size {
		if err := d.Truncate(ctx, l.Size, driver.PreallocOff); err != nil {
			return fmt.Errorf("give the disk its length: %w", err)
		}
	}
	err := l.pieces(ctx, l.Size, func(p piece) error {
		if p.old == nil {
			return d.Zero(ctx, p.off, p.n, driver.MayUnmap)
		}
		return d.Write(ctx, driver.Vec{p.old}, p.off, 0)
	})
	if err != nil {
		return err
	}
	return d.Flush(ctx)
}

// piece is a range whose old bytes are at hand; nil stands for zeroes.
type piece struct {
	off, n int64
	old    []byte
}

// holds says whether the piece held a sector's bytes, at an offset in the piece.
func (p piece) holds(at int64, sector []byte) bool {
	if p.old == nil {
		return driver.AllZero(sector)
	}
	return bytes.Equal(sector, p.old[at:at+int64(len(sector))])
}

// pieces calls do for all that was saved, in order, in pieces of at most maxPiece bytes, up to the
// end of a disk of size bytes and of what the log is about.
func (l *Log) pieces(ctx context.Context, size int64, do func(piece) error) error {
	size = min(size, l.Size)
	buf := make([]byte, maxPiece)
	for _, rec := range l.old {
		for at := rec.off; at < min(rec.end(), size); {
			if err := ctx.Err(); err != nil {
				return err
			}
			p := piece{off: at, n: min(maxPiece, min(rec.end(), size)-at)}
			if rec.kind == oldBytes {
				p.old = buf[:p.n]
				if _, err := l.r.ReadAt(p.old, rec.at+at-rec.off); err != nil {
					return fmt.Errorf("read the log: %w", err)
				}
			}
			if err := do(p); err != nil {
				return err
			}
			at += p.n
		}
	}
	return nil
}

// judge adds to foreign the sectors of a piece that hold neither the old bytes nor what was
// written.
func (l *Log) judge(p piece, found []byte, foreign *ForeignError) error {
	var written map[int64][]uint32 // by sector; nil where anything may be
	for at := int64(0); at < p.n; at += sectorSize {
		sector := found[at:min(at+sectorSize, p.n)]
		if p.holds(at, sector) {
			continue
		}
		if written == nil {
			var err error
			if written, err = l.written(p.off, p.n); err != nil {
				return err
			}
		}
		sums, known := written[(p.off+at)/sectorSize]
		anything := known && sums == nil
		if !anything && !slices.Contains(sums, sum(sector)) {
			foreign.add(p.off+at, int64(len(sector)))
		}
	}
	return nil
}

// written collects the sums of all that was written in a range, by sector. A sector that was
// discarded has nil: whatever it holds is right.
func (l *Log) written(off, n int64) (map[int64][]uint32, error) {
	sectors := map[int64][]uint32{}
	seen := map[int32]bool{}
	for b := range bucketsOf(off, n) {
		for _, i := range l.over[b] {
			if seen[i] {
				continue
			}
			seen[i] = true
			if err := l.collect(l.new[i], off, n, sectors); err != nil {
				return nil, err
			}
		}
	}
	return sectors, nil
}

// collect adds the sums of one change that lie in a range.
func (l *Log) collect(rec record, off, n int64, sectors map[int64][]uint32) error {
	first := max(rec.off, off) / sectorSize
	end := (min(rec.end(), off+n) + sectorSize - 1) / sectorSize
	if end <= first {
		return nil
	}
	var sums []byte
	if rec.kind == newSums {
		sums = make([]byte, (end-first)*sumSize)
		if _, err := l.r.ReadAt(sums, rec.at+(first-rec.off/sectorSize)*sumSize); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
	}
	zeroes := sum(make([]byte, sectorSize))
	for s := first; s < end; s++ {
		known, there := sectors[s]
		switch {
		case there && known == nil: // anything may be there already
		case rec.kind == newUnknown:
			sectors[s] = nil
		case rec.kind == newZeroes:
			sectors[s] = append(known, zeroes)
		default:
			sectors[s] = append(known, binary.LittleEndian.Uint32(sums[(s-first)*sumSize:]))
		}
	}
	return nil
}
