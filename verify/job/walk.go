package job

import (
	"context"
	"fmt"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

const (
	// pageSize is what the reads of a walk begin at.
	pageSize = 4096
	// leastWalk is how far a walk looks ahead at least, in bytes.
	leastWalk = 64 << 10
)

// walk goes from header to header. Where a block ends is only known when its header was read, so
// there is one request at a time. It ends where blocks go on alike, or where none is in sight.
func (s *scanning) walk(ctx context.Context) error {
	for s.uneven && s.pos < s.end && !s.stops() {
		size := 2*max(s.run.MaxRequest, leastWalk, s.longest, s.need) + pageSize
		err := s.withPipeline(ctx, s.open, size,
			func(pl *pipeline) error { return s.walkIn(ctx, pl, size) })
		if err != nil {
			return err
		}
	}
	return nil
}

// walkIn walks with reads of size bytes, as long as that is right for the blocks.
func (s *scanning) walkIn(ctx context.Context, pl *pipeline, size int) error {
	c := pl.workers[0].checker
	t := steps{checker: c, patience: s.patience, shortest: s.longest}
	for s.uneven && s.pos < s.end && !s.stops() {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := s.pos &^ (pageSize - 1)
		n := int(min(int64(size), s.end-start))
		if err := once(pl.q, OpRead, start, int64(n)); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("read %d bytes at %d: %w", n, start, err)
			}
			s.unreadable(&slot{off: s.pos, n: int(start + int64(n) - s.pos)}, err)
			s.pos = start + int64(n)
			continue
		}
		p := pl.q.Buffer(0)[s.pos-start : n]
		used := t.take(p, s.pos, s.pos+int64(len(p)) == s.end)
		s.pos += int64(used)
		s.longest = max(s.longest, t.longest)
		if t.lost {
			s.nothing = s.pos
		}
		s.uneven = !t.settled && !t.lost
		s.reached(s.pos - s.l.Offset)
		pl.progress()
		if wide := s.need > s.longest; used == 0 || wide {
			s.need = t.need
			break
		}
	}
	if t.settled {
		s.l.BlockLen = t.length
		s.patience = min(2*s.patience, mostRun)
	}
	return nil
}

// steps are the blocks of a walk.
type steps struct {
	*checker
	// patience is how many blocks in a row have to be alike.
	patience int
	// length is that of the last block, run how many in a row had it, and seed
	// what the last was made from. Those that were all there are between shortest
	// and longest. need is how long the next says it is, if that was not read.
	length, run       int
	shortest, longest int
	need              int
	seed              uint64
	// settled says that the blocks are alike from now on, lost that none is in sight.
	settled, lost bool
}

// take checks the whole blocks at the beginning of p and returns how many bytes
// they have. last says that p goes to the end of the range.
func (t *steps) take(p []byte, off int64, last bool) (used int) {
	quiet := int64(0)
	t.need = 0
	t.around = view{p, off}
	for used < len(p) && !t.settled {
		rest := p[used:]
		pos := off + int64(used)
		n, known := t.blockLength(rest, pos, last, &quiet)
		switch {
		case n == 0 && last && len(rest) < t.shortest && verify.IsZero(rest):
			t.seen.Unchecked += int64(len(rest)) // fio left the rest alone
			return len(p)
		case n > len(rest) && last:
			n = len(rest) // the end of the range cuts it off
		case n > len(rest):
			t.need = n
			return used
		case n == 0:
			t.lost = used == 0 || last
			return used
		}
		t.count(n, known)
		t.found(rest[:n], pos)
		used += n
	}
	return used
}

// count tells how many blocks in a row are alike.
func (t *steps) count(n int, known bool) {
	if n != t.length || !known {
		t.length, t.run = n, 0
	}
	if known {
		t.shortest, t.longest = min(t.shortest, n), max(t.longest, n)
	}
	t.run++
	t.settled = known && t.run >= t.patience
}

// blockLength is how long the block at the beginning of p is: what its header says if it is its
// own, and otherwise up to where the next one begins. It is 0 if none is in sight. known says that
// it is the block's own length, last that nothing follows p.
func (t *steps) blockLength(p []byte, pos int64, last bool, quiet *int64) (n int, known bool) {
	h, ok := t.header(p)
	switch {
	case !ok || !h.Possible():
		n, _ = t.next(p, 0, pos, quiet)
		return n, false
	case h.Offset != uint64(pos): // that of another block
		if n, ok = t.next(p, 0, pos, quiet); !ok || n > int(h.Len) {
			n = int(h.Len)
		}
		return min(n, len(p)), false
	}
	n = int(h.Len)
	t.known.multiBlock = t.known.multiBlock || h.Seed != 0 && h.Seed == t.seed
	t.seed = h.Seed
	if n > len(p) && !last || n <= len(p) && t.claims(p[:n], &h, t.l.HeaderOffset) {
		return n, true
	}
	// A block that is not sound may be an old one, whose end was written over.
	if next, ok := t.next(p[:min(n, len(p))], 1, pos, quiet); ok {
		return next, false
	}
	return n, true
}

// next is how far the next block from byte from on is, whose header may lie
// elsewhere in it than those before.
func (t *steps) next(p []byte, from int, pos int64, quiet *int64) (n int, ok bool) {
	for from < len(p) {
		b, ok := t.locate(p[from:], len(p)-from, pos+int64(from), quiet)
		if !ok {
			return 0, false
		}
		if n = from + b.start; n == 0 && b.headerOffset != t.l.HeaderOffset {
			t.l.HeaderOffset = b.headerOffset
			return b.length, true
		}
		if n > 0 {
			return n, true
		}
		from++
	}
	return 0, false
}

// The bounds of a block are where it begins in what was read, how long it is, and
// where in it its header lies.
type blockBounds struct {
	start, length, headerOffset int
}

// locate looks for the first block that begins in the first n bytes of p, which is at offset pos,
// and has its header in p. Data that were moved have headers as well: one that lies elsewhere in
// its block than those before is believed only if the checksum is right; if the block goes on
// behind p its length is told and ok is false. No header begins before quiet, which goes on.
func (c *checker) locate(p []byte, n int, pos int64, quiet *int64) (b blockBounds, ok bool) {
	for from := int(max(0, min(*quiet-pos, int64(len(p))))); from < len(p); {
		h, i, ok := fio.FindHeader(p[from:])
		if !ok {
			*quiet = pos + int64(len(p)) - fio.LongHeader
			return b, false
		}
		at := from + i
		*quiet = pos + int64(at)
		home := int64(h.Offset) - pos
		within := h.Possible() && home >= 0 && home < int64(n) && home <= int64(at) &&
			int64(at)-home < int64(h.Len)
		if within {
			b = blockBounds{start: int(home), length: int(h.Len), headerOffset: at - int(home)}
			end := b.start + b.length
			switch {
			case b.headerOffset == c.l.HeaderOffset, end <= len(p) &&
				c.claims(p[b.start:end], &h, b.headerOffset):
				return b, true
			case end > len(p):
				return b, false
			}
			b = blockBounds{}
		}
		if at >= n {
			return b, false
		}
		from = at + 1
	}
	return b, false
}

// claims reports whether p is a block with its header at at, of whatever type,
// as far as the checksum tells; where there is none, by what the seed makes.
func (c *checker) claims(p []byte, h *fio.Header, at int) bool {
	for _, k := range h.Checksums() {
		data := h.Size() + k.Size
		if data > len(p) || !c.restoreFrom(p, at, data) {
			continue
		}
		sound := c.sums.Matches(k, p[h.Size():data], p[data:])
		if sound && k.Blind && at != c.l.HeaderOffset {
			sound = c.recipe.Filler.Makes(p, data, h.Seed, c.piece[:])
		}
		c.restoreFrom(p, at, data)
		if sound {
			return true
		}
	}
	return false
}
