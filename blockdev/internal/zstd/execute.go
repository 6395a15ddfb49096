package zstd

import "encoding/binary"

// sequences are those of a block while they are done.
type sequences struct {
	tables [len(codes)]table
	recent recent

	out      []byte
	n        int // bytes that out has
	literals []byte
	used     int // of them
	src      []byte
	pos, low int                                   // as those of backward
	states   [len(codes)]int                       // which row of each table is next
	left     int                                   // sequences
	now      struct{ literals, match, offset int } // the sequence that was read last
}

// spare is how many bytes behind a copy the assembly may look at and write to.
const spare = 32

// execute does all sequences that stand in b behind the n bytes that out has.
func (s *sequences) execute(b backward) error {
	for i := range s.tables {
		s.states[i] = b.take(s.tables[i].log)
	}
	s.src, s.pos, s.low = b.src, b.pos, b.low
	for s.left > 0 {
		read := s.fast()
		if !read {
			if s.pos < s.low {
				return errCorrupt
			}
			s.read()
		}
		s.left--
		if err := s.copy(); err != nil {
			return err
		}
	}
	if s.pos != s.low {
		return errCorrupt
	}
	return nil
}

// read reads a sequence.
func (s *sequences) read() {
	l := s.tables[ofLiterals].rows[s.states[ofLiterals]]
	o := s.tables[ofOffset].rows[s.states[ofOffset]]
	m := s.tables[ofMatch].rows[s.states[ofMatch]]
	b := backward{s.src, s.pos, s.low}
	offset := o.base() + b.take(o.more())
	s.now.match = m.base() + b.take(m.more())
	s.now.literals = l.base() + b.take(l.more())
	if s.left > 1 {
		s.states[ofLiterals] = l.next() + b.take(l.take())
		s.states[ofMatch] = m.next() + b.take(m.take())
		s.states[ofOffset] = o.next() + b.take(o.take())
	}
	s.pos = b.pos
	s.now.offset = s.resolve(offset)
}

// recent are the offsets that were used last, the last one first.
type recent [3]int

// use makes an offset the last one, instead of the one at a place or, if it is none of them, of the
// one at the end.
func (r *recent) use(at, offset int) int {
	for ; at > 0; at-- {
		r[at] = r[at-1]
	}
	r[0] = offset
	return offset
}

// resolve is the offset that a number stands for: one of those that were used last, one less than
// the last, or another. It is not above 0 if that cannot be.
func (s *sequences) resolve(number int) int {
	r := &s.recent
	if number > 3 {
		return r.use(2, number-3)
	}
	if s.now.literals == 0 {
		number++
	}
	if number > 3 {
		return r.use(2, r[0]-1)
	}
	return r.use(number-1, r[number-1])
}

// copy does the sequence that was read.
func (s *sequences) copy() error {
	length, match, offset := s.now.literals, s.now.match, s.now.offset
	if length > len(s.literals)-s.used || match > len(s.out)-s.n-length ||
		offset > s.n+length || offset <= 0 {
		return errCorrupt
	}
	s.n += copy(s.out[s.n:], s.literals[s.used:s.used+length])
	s.used += length
	end := s.n + match
	if match <= 16 && offset >= 16 && len(s.out)-s.n >= 16 {
		from, to := s.out[s.n-offset:], s.out[s.n:]
		x, y := binary.LittleEndian.Uint64(from), binary.LittleEndian.Uint64(from[8:])
		binary.LittleEndian.PutUint64(to, x)
		binary.LittleEndian.PutUint64(to[8:], y)
		s.n = end
		return nil
	}
	for from := s.n - offset; s.n < end; { // what is repeated grows with each turn
		s.n += copy(s.out[s.n:end], s.out[from:s.n])
	}
	return nil
}
