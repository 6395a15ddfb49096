package blockdev

import (
	"cmp"
	"context"
	"errors"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// Zero makes any range read as zeroes: whole blocks by the node where it can, the edges by
// read-modify-write.
func (g *guard) Zero(ctx context.Context, off, n int64, f Flags) (err error) {
	if n == 0 {
		return nil
	}
	done := g.begin("zero", off, n, f)
	defer func() { done(err) }()
	if !g.unmap.Load() {
		f &^= MayUnmap
	}
	if f&NoFallback != 0 && padTo(requestAlign(g.node.Info().Limits), off, n).needed() {
		return ErrNotSupported // the parts of blocks at its edges would be written
	}
	c, err := g.change(ctx, off, n)
	if err != nil {
		return err
	}
	defer g.tracker.end(c.tracked)
	if !c.needed() {
		return g.zeroAligned(ctx, c.lim, off, n, f)
	}
	if c.oneBlock {
		clear(c.headBlock[c.head : c.n-c.tail])
		return g.writeAligned(ctx, c.lim, Vec{c.headBlock}, c.off, f)
	}
	if c.head > 0 {
		clear(c.headBlock[c.head:])
		if err := g.writeAligned(ctx, c.lim, Vec{c.headBlock}, c.off, f); err != nil {
			return err
		}
	}
	inner, end := roundUp(off, c.align), roundDown(off+n, c.align)
	if inner < end {
		if err := g.zeroAligned(ctx, c.lim, inner, end-inner, f); err != nil {
			return err
		}
	}
	if c.tail > 0 {
		clear(c.tailBlock[:c.align-c.tail])
		return g.writeAligned(ctx, c.lim, Vec{c.tailBlock}, end, f)
	}
	return nil
}

func (g *guard) zeroAligned(ctx context.Context, lim driver.Limits, off, n int64, f Flags) error {
	if err := g.OnEvent(ctx, driver.EvPwritevZero); err != nil {
		return err
	}
	err := g.zeroPieces(ctx, lim, off, n, f)
	if derr := g.OnEvent(ctx, driver.EvPwritevDone); err == nil {
		err = derr
	}
	return err
}

// maxZeroWrite is how much is written at once where zeroes must be written out, in bytes.
const maxZeroWrite = 1 << 20

// zeroPieces cuts the range so that a piece is either within one unit of ZeroAlign or made of whole
// units.
func (g *guard) zeroPieces(ctx context.Context, lim driver.Limits, off, n int64, f Flags) error {
	if f&NoFallback&^lim.ZeroTakes != 0 {
		return ErrNotSupported
	}
	flush, err := g.zeroData(ctx, lim, off, n, f)
	return g.wrote(ctx, err, flush)
}

// zeroData says whether FUA must be had by a flush behind it.
func (g *guard) zeroData(ctx context.Context, lim driver.Limits, off, n int64,
	f Flags,
) (flush bool, err error) {
	align := max(lim.ZeroAlign, requestAlign(lim))
	most := mostUnits(lim.MaxZero, align)
	var zeroes []byte
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		num := n
		if head := off % align; head != 0 {
			num = min(n, maxTransfer(lim), align-head)
		} else if tail := n % align; tail != 0 && num > align {
			num -= tail
		}
		num = min(num, most)
		err := g.node.Zero(ctx, off, num, f&lim.ZeroTakes)
		if err == nil {
			flush = flush || f&FUA&^lim.ZeroTakes != 0
		} else if errors.Is(err, ErrNotSupported) && f&NoFallback == 0 {
			num = min(num, maxTransfer(lim), max(maxZeroWrite, requestAlign(lim)))
			if int64(len(zeroes)) < num {
				zeroes = driver.Aligned(num, lim.MemAlign)
			}
			err = g.node.WriteVec(ctx, Vec{zeroes[:num]}, off, f&lim.WriteTakes)
			flush = flush || f&FUA&^lim.WriteTakes != 0
		}
		if err != nil {
			return false, err
		}
		off, n = off+num, n-num
	}
	return flush, nil
}

// mostUnits is the longest request of whole units of align, where limit bounds it unless it is 0.
func mostUnits(limit, align int64) int64 {
	return max(roundDown(cmp.Or(limit, math.MaxInt64), align), align)
}

// Discard passes on what the node can take of the range. It is advice: what cannot be discarded
// stays as it is.
func (g *guard) Discard(ctx context.Context, off, n int64, f Flags) (err error) {
	if n == 0 || !g.unmap.Load() {
		return nil
	}
	done := g.begin("discard", off, n, f)
	defer func() { done(err) }()
	if err := reachable(off, n); err != nil {
		return err
	}
	lim := g.node.Info().Limits
	r, err := g.tracker.enter(ctx, off, n)
	if err != nil {
		return err
	}
	defer g.tracker.end(r)
	if err := g.checkWritable(); err != nil {
		return err
	}
	defer g.written.Add(1)
	req := requestAlign(lim)
	align := max(lim.DiscardAlign, req)
	most := mostUnits(lim.MaxDiscard, align)
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		num := min(discardPiece(off, n, align, req), most)
		misaligned := off%align != 0 || num%align != 0
		err := g.node.Discard(ctx, off, num, f)
		switch {
		case err == nil, errors.Is(err, ErrNotSupported):
		// the device only takes whole units: skip the edge
		case misaligned && !g.exactDiscard && errors.Is(err, syscall.EINVAL):
		default:
			return err
		}
		off, n = off+num, n-num
	}
	return nil
}

// discardPiece is the length of the first piece of a discard: unaligned edges go down on their own,
// since a device may collect them or refuse them, and parts of a block (req) again on their own.
func discardPiece(off, n, align, req int64) int64 {
	num := n
	if head := off % align; head != 0 {
		num = min(n, align-head)
		if r := num % req; r != 0 {
			num = r
		}
		return num
	}
	tail := (off + n) % align
	if tail == 0 {
		return num
	}
	if num > align {
		return num - tail
	}
	if r := tail % req; r != 0 && tail > req {
		return num - r
	}
	return num
}
