package verify

import (
	"context"
	"fmt"
)

// Scan reads the range of the job in ascending order and checks each block by
// what its header says; the job that wrote is not needed. What the options say
// about blocks is believed, what they leave out is found out from the headers:
// the release, verify_offset and the length of blocks.
func (j *Job) Scan(ctx context.Context, open Opener) (*Result, error) {
	j.state = Progress{Phase: "verify", Total: j.l.part}
	shape, err := j.probe(ctx, open)
	if err != nil {
		return j.outcome(err)
	}
	j.l.HeaderOffset = shape.headerOffset
	if j.l.Fio == FioAny {
		j.l.setRelease(shape.release(j.l))
	}
	if shape.uneven {
		err = j.scanUneven(ctx, open, shape.longest)
	} else {
		j.l.interval = shape.length
		err = j.scanEven(ctx, open)
	}
	return j.outcome(err)
}

// setRelease makes the release known whose content is expected first.
func (l *layout) setRelease(r Release) {
	l.Fio = r
	l.content.filler = r.filler()
	l.content.alternate = r == Fio22
}

// scanEven scans blocks of one length.
func (j *Job) scanEven(ctx context.Context, open Opener) error {
	step := int64(j.l.interval)
	size := max(int64(j.l.MaxRequest)/step, 1) * step
	pos := j.l.Offset + j.From
	end := j.l.Offset + j.l.part
	return j.with(ctx, open, int(size), func(e *engine) error {
		err := e.read(ctx, func(s *slot) bool {
			if pos >= end || j.stops() {
				return false
			}
			*s = slot{off: pos, n: int(min(size, end-pos)), requests: s.requests[:0]}
			pos += int64(s.n)
			j.state.Done = pos - j.l.Offset
			return true
		}, j.unreadable)
		if err == nil && j.stops() {
			err = errStop
		}
		j.result.Position = pos - j.l.Offset
		j.result.Done = err == nil
		return err
	})
}

// scan checks the blocks of one length that were read into p.
func (c *checker) scan(p []byte, off int64) {
	every := c.l.interval
	for at := 0; at < len(p); at += every {
		block := p[at:min(at+every, len(p))]
		c.seen.Checked += int64(len(block))
		if len(block) < every && (IsZero(block) || c.l.headless) {
			c.seen.Unchecked += int64(len(block)) // fio leaves the rest of a range alone
			continue
		}
		c.found(block, off+int64(at))
	}
}

// found checks a block of which only the place is known.
func (c *checker) found(p []byte, pos int64) {
	x := expectation{}
	if bs := int64(c.l.MinBlock); c.l.MinBlock == c.l.MaxBlock && c.l.content.pattern != nil && bs >= int64(len(p)) {
		x.n = int(bs)
		x.off = c.l.Offset + (pos-c.l.Offset)/bs*bs
	}
	if c.l.headless {
		x.off, x.n = pos, len(p)
		c.plain(p, &x)
		return
	}
	if c.l.Holes && IsZero(p) {
		c.seen.Unchecked += int64(len(p))
		return
	}
	c.block(p, pos, &x)
}

// scanUneven scans blocks of different lengths. Where one ends is only known
// when its header was read, so there is one request at a time.
func (j *Job) scanUneven(ctx context.Context, open Opener, longest int) error {
	for {
		size := max(j.l.MaxRequest, longest+pageSize)
		more, err := 0, error(nil)
		err = j.with(ctx, open, size, func(e *engine) error {
			more, err = j.walk(ctx, e, size)
			return err
		})
		if err != nil || more == 0 {
			return err
		}
		longest = more
	}
}

// pageSize is what reads of an uneven scan begin at.
const pageSize = 4096

// walk goes from header to header. A block that is longer than a slot ends it:
// more is its length.
func (j *Job) walk(ctx context.Context, e *engine, size int) (more int, err error) {
	c := e.workers[0].checker
	end := j.l.Offset + j.l.part
	for pos := j.l.Offset + j.From; ; {
		j.result.Position = pos - j.l.Offset
		j.From = j.result.Position
		if err := ctx.Err(); err != nil || pos >= end || j.stops() {
			j.result.Done = pos >= end
			return 0, err
		}
		start := pos &^ (pageSize - 1)
		n := int(min(int64(size), end-start))
		if err := e.single(func(i int) { e.q.Read(i, start, n) }); err != nil {
			return 0, fmt.Errorf("read %d bytes at %d: %w", n, start, err)
		}
		p := e.q.Buffer(0)[pos-start : n]
		used, longer := c.walk(p, pos, pos+int64(len(p)) == end)
		if used == 0 {
			return longer, nil
		}
		pos += int64(used)
		j.state.Done = pos - j.l.Offset
		e.progress()
	}
}

// walk checks the whole blocks at the beginning of p and returns how many bytes
// they have, or the length of the first if it does not fit. last says that p
// goes to the end of the range.
func (c *checker) walk(p []byte, off int64, last bool) (used, longer int) {
	for used < len(p) {
		rest := p[used:]
		pos := off + int64(used)
		n := c.span(rest, pos)
		if n > len(rest) && !last {
			if used == 0 {
				longer = n
			}
			return used, longer
		}
		if n <= 0 || n > len(rest) {
			n = len(rest)
			if !last && used > 0 {
				return used, 0
			}
		}
		c.seen.Checked += int64(n)
		if n == len(rest) && last && IsZero(rest) {
			c.seen.Unchecked += int64(n) // fio leaves the rest of a range alone
		} else {
			c.found(rest[:n], pos)
		}
		used += n
	}
	return used, 0
}

// span is how long the block at the beginning of p is: what its header says,
// or up to the next header, or 0 if there is none.
func (c *checker) span(p []byte, pos int64) int {
	if h, ok := c.header(p); ok && h.Len >= shortHeader && h.Len <= maxBlockSize {
		return int(h.Len)
	}
	for from := 1; from < len(p); {
		h, at, ok := strayHeader(p[from:])
		if !ok {
			return 0
		}
		next := from + at - c.l.HeaderOffset
		if h.Offset == uint64(pos+int64(next)) && next > 0 {
			return next
		}
		from += at + 1
	}
	return 0
}
