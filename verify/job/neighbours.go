package job

import "github.com/blksh/blksh/verify/fio"

// A view is what was read at an offset.
type view struct {
	p   []byte
	off int64
}

// neighbour is the header of the block that begins at pos, if all of that was read.
func (c *checker) neighbour(pos int64) (h fio.Header, ok bool) {
	in := pos - c.around.off
	if in < 0 || in >= int64(len(c.around.p)) {
		return h, false
	}
	rest := c.around.p[in:]
	if h, ok = c.header(rest); !ok {
		// verify_offset does not move those of blocks that were judged
		h, ok = fio.ParseHeader(rest)
	}
	return h, ok && h.Offset == uint64(pos) && h.Possible() && int(h.Len) <= len(rest)
}

// locateRequest finds the request of a block whose header is h by those of its neighbours, if they
// tell where it begins and ends and the job does not. It reports whether it is another one than x
// says.
func (c *checker) locateRequest(h *fio.Header, pos int64, x *expectation) bool {
	if x.known {
		return false
	}
	first, begins := c.outermost(h, pos, -int64(h.Len))
	last, ends := c.outermost(h, pos, int64(h.Len))
	n := int(last-first) + int(h.Len)
	if !begins || !ends || x.Off == first && x.N == n {
		return false
	}
	x.Off, x.N = first, n
	return true
}

// outermost is where the last block of a write begins, in steps from pos on. ok says that it is
// known to be the last.
func (c *checker) outermost(h *fio.Header, pos, step int64) (at int64, ok bool) {
	for at = pos; at-pos <= maxLookBehind && pos-at <= maxLookBehind; at += step {
		next := at + step
		if next < c.l.Offset || next+int64(h.Len) > c.l.Offset+c.l.Extent {
			return at, true
		}
		switch n, ok := c.neighbour(next); {
		case !ok:
			return at, false
		case !n.SameWrite(h):
			return at, true
		}
	}
	return at, false
}
