package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/blksh/blksh/verify/fio"
)

// acrossWindow is how far before a place a block is looked for that goes over it, in bytes.
const acrossWindow = 4 << 20

// Unit is how long the blocks of the range are, as headers in it tell, in bytes: a scan may be cut
// between them, from the start of the range on. It is 0 if there are no headers in sight.
func (j *Job) Unit(ctx context.Context, open Opener) (int64, error) {
	t := j.newTask("verify", 0, 0)
	s, err := t.probe(ctx, open)
	switch {
	case err != nil:
		return 0, err
	case len(s.headers) == 0:
		return 0, nil
	case s.uneven:
		return 0, errors.New("the blocks are of several lengths")
	case (int64(s.headers[0].Offset)-t.l.Offset)%int64(s.length) != 0:
		return 0, fmt.Errorf("the blocks of %d bytes do not begin where the range does", s.length)
	}
	return int64(s.length), nil
}

// Across finds a block that begins before an offset in the range and goes on behind it, as the
// headers around it tell. n is 0 if there is none.
func (j *Job) Across(ctx context.Context, open Opener, off int64) (at, n int64, err error) {
	from := max(j.l.Offset, off-acrossWindow)
	to := min(j.l.Offset+j.l.Extent, off+leastWalk)
	q, err := open(ctx, 1, int(to-from))
	if err != nil {
		return 0, 0, err
	}
	defer q.Close()
	if err := once(q, OpRead, from, to-from); err != nil {
		return 0, 0, nil // it will be reported when it is its turn
	}
	p := q.Buffer(0)[:to-from]
	for i := 0; ; i += fio.ShortHeader {
		h, next, ok := fio.FindHeader(p[i:])
		if !ok {
			return at, n, nil
		}
		i += next
		home, length, pos := int64(h.Offset), int64(h.Len), from+int64(i)
		switch {
		case !h.Possible() || home > pos || pos-home >= length: // moved, or none
		case home == off:
			return 0, 0, nil
		case home < off && off-home < length:
			at, n = home, length
		}
	}
}
