package hexedit

import (
	"bytes"
	"context"
)

const (
	// piece is how many bytes a search reads at a time.
	piece = 1 << 20
	// hole is how many bytes it asks about at a time, which are not read where they are zeroes.
	hole = 1 << 34
)

// finder looks for bytes in a disk with its changes.
type finder struct {
	disk   Disk
	buffer *Buffer
	size   int64
	wanted []byte
}

// nowhere is where bytes are that are not there.
const nowhere = -1

// forward finds the first place at or behind from.
func (f *finder) forward(ctx context.Context, from int64) (int64, error) {
	n := int64(len(f.wanted))
	for at := from; at+n <= f.size; {
		if err := ctx.Err(); err != nil {
			return nowhere, context.Cause(ctx)
		}
		next, err := f.behindHole(ctx, at)
		if err != nil {
			return nowhere, err
		}
		if next > at {
			at = next
			continue
		}
		p, err := f.read(ctx, at, min(f.size, at+piece+n-1))
		if err != nil {
			return nowhere, err
		}
		if i := bytes.Index(p, f.wanted); i >= 0 {
			return at + int64(i), nil
		}
		at += int64(len(p)) - n + 1
	}
	return nowhere, nil
}

// backward finds the last place that begins before from.
func (f *finder) backward(ctx context.Context, from int64) (int64, error) {
	n := int64(len(f.wanted))
	step := int64(piece)
	for end := min(from, f.size-n+1); end > 0; { // places from end on are looked at
		if err := ctx.Err(); err != nil {
			return nowhere, context.Cause(ctx)
		}
		start := max(0, end-step)
		empty, err := f.empty(ctx, start, min(f.size, end+n-1))
		switch {
		case err != nil:
			return nowhere, err
		case empty:
			end, step = start, min(2*step, hole)
			continue
		case step > piece:
			step = piece
			continue
		}
		p, err := f.read(ctx, start, min(f.size, end+n-1))
		if err != nil {
			return nowhere, err
		}
		if i := bytes.LastIndex(p, f.wanted); i >= 0 {
			return start + int64(i), nil
		}
		end = start
	}
	return nowhere, nil
}

// read is the bytes of a range as they are shown.
func (f *finder) read(ctx context.Context, off, end int64) ([]byte, error) {
	p := make([]byte, end-off)
	if err := f.disk.Read(ctx, p, off); err != nil {
		return nil, err
	}
	f.buffer.Apply(p, off)
	return p, nil
}

// behindHole is the first place at or behind an offset where the wanted bytes may begin: not where
// all of them would be zeroes that nobody has read, unless zeroes are wanted.
func (f *finder) behindHole(ctx context.Context, off int64) (int64, error) {
	if len(bytes.Trim(f.wanted, "\x00")) == 0 {
		return off, nil
	}
	zeroes, err := f.disk.Zeroes(ctx, off, min(hole, f.size-off))
	if err != nil {
		return 0, err
	}
	end := f.buffer.Next(off, off+zeroes)
	return max(off, end-int64(len(f.wanted))+1), nil
}

// empty says whether the wanted bytes cannot be in a range, since that is zeroes.
func (f *finder) empty(ctx context.Context, off, end int64) (bool, error) {
	if len(bytes.Trim(f.wanted, "\x00")) == 0 || f.buffer.Next(off, end) < end {
		return false, nil
	}
	for off < end {
		zeroes, err := f.disk.Zeroes(ctx, off, end-off)
		if err != nil || zeroes == 0 {
			return false, err
		}
		off += zeroes
	}
	return true, nil
}
