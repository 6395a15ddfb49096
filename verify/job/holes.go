package job

import "github.com/blksh/blksh/verify"

// leastHole is from how many bytes on a scan judges zeroes without reading them: less is read sooner
// than a pass is ended for it.
const leastHole = 4 << 20

// A told is what [Hooks.Extent] told of the bytes from from to end.
type told struct {
	from, end int64
	zero      bool
}

// hole is how many bytes from pos on a scan need not read: whole blocks that are known to be zero. It
// is 0 where each block is wanted by itself, or where zeroes may be right content.
func (s *scanning) hole(pos int64) int64 {
	t := s.task
	if t.hooks.Extent == nil || t.hooks.Dump != nil || t.run.StopAtFirst || t.l.Headerless {
		return 0
	}
	if pos < s.told.from || pos >= s.told.end {
		n, zero := t.hooks.Extent(pos, s.end-pos)
		s.told = told{pos, pos + max(n, 1), zero}
	}
	if !s.told.zero {
		return 0
	}
	n := min(s.told.end, s.end) - pos
	if n -= n % int64(t.l.BlockLen); n < leastHole {
		return 0
	}
	return n
}

// passOver judges a hole of n bytes as its blocks would be judged that were read.
func (s *scanning) passOver(n int64) {
	t := s.task
	if t.run.Holes {
		t.count(&Result{Unchecked: n})
	} else {
		length := int64(t.l.BlockLen)
		t.count(&Result{Blocks: n / length, Checked: n})
		t.badRun(&Bad{
			Off: s.pos, Len: length, Type: t.l.Verify, Cause: verify.Cause{Class: verify.Zeroed},
		}, n/length)
	}
	s.pos += n
	t.reached(s.pos - t.l.Offset)
}
