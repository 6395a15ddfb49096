package verify

import (
	"bytes"
)

// An expectation is what is known about a block before it is read.
type expectation struct {
	request
	// known says that the request is that of the job, so seed and number count;
	// otherwise only its place may be known, with n 0 if not even that.
	known bool
}

// A checker checks blocks. It belongs to one goroutine.
type checker struct {
	l     *layout
	known *knowledge
	sums  *summer
	swap  [longHeader + maxSum]byte
	// want is room for the content of a request; made says what is in it.
	want []byte
	made remade
	// spanSeed and spanOff are the seed and the offset of the request whose
	// content was recognised last.
	spanSeed uint64
	spanOff  int64
	// piece is room for a piece of content.
	piece [scratchSize]byte
	// recipe is the one that explained a block last. learned says that it explains most blocks
	// around, so that data which do not follow from it are damaged.
	recipe  recipe
	learned learning
	// around is what was read with the block that is judged, for its neighbours.
	around view
	// searched is how many words of content were made to look for requests.
	searched int64
	// seen counts, and report gets the bad blocks.
	seen   *Result
	report func(*Bad)
	// rewritten keeps count of blocks that the job writes more than once; nil if it does not.
	rewritten *rewritten
	// history says which writes of the job were made; nil: all.
	history *History
	// rivals are other jobs whose blocks may be there.
	rivals []rival
}

// remade says which content a checker has made.
type remade struct {
	off    int64
	n      int
	seed   uint64
	recipe recipe
}

// covers reports whether the request has all of the n bytes at pos.
func (r remade) covers(pos int64, n int) bool {
	return r.off >= 0 && pos >= r.off && pos-r.off <= int64(r.n-n)
}

func newChecker(l *layout, known *knowledge, report func(*Bad)) *checker {
	return &checker{
		l: l, known: known, sums: newSummer(), recipe: l.content.recipe, learned: known.content, seen: new(Result), report: report,
	}
}

// request checks the blocks of a request of the job that were read into p.
func (c *checker) request(p []byte, r *request) {
	x := expectation{request: *r, known: true}
	if c.l.headless {
		c.plain(p, &x)
		return
	}
	every := c.l.interval
	if every == 0 {
		every = len(p)
	}
	for at := 0; at < len(p); at += every {
		c.block(p[at:min(at+every, len(p))], r.off+int64(at), &x)
	}
}

// zeroes checks a request that was trimmed.
func (c *checker) zeroes(p []byte, off int64) {
	c.judged(off, len(p), true)
	if !IsZero(p) {
		c.report(&Bad{Off: off, Len: int64(len(p)), Cause: Cause{Class: NotZero}, got: p, want: make([]byte, len(p))})
	}
}

// plain checks a request whose data have no header.
func (c *checker) plain(p []byte, x *expectation) {
	if !c.plainly(p, x) && c.judged(x.off, len(p), true) {
		c.report(c.blamePlain(p, c.make(x.off, x.n, x.seed, c.recipe), x))
	}
}

// plainly reports whether data without a header are right, and counts them if
// so.
func (c *checker) plainly(p []byte, x *expectation) bool {
	switch {
	case c.l.Verify == typeNull && c.l.Content != ContentOn:
		if c.first(x.off) {
			c.seen.Unchecked += int64(len(p))
		}
		return true
	case c.l.content.repeats(p, 0):
	case !bytes.Equal(c.make(x.off, x.n, x.seed, c.recipe), p):
		return false
	}
	c.judged(x.off, len(p), true)
	return true
}

// first reports whether the block at pos was not counted before: a job may write one more than once.
func (c *checker) first(pos int64) bool {
	return c.rewritten == nil || c.rewritten.judged.add(pos)
}

// judged counts a block of n bytes at pos, if it was not counted before, which it reports. proved
// says that its data were checked, and not only its header.
func (c *checker) judged(pos int64, n int, proved bool) (first bool) {
	if !c.first(pos) {
		return false
	}
	c.seen.Blocks++
	if proved {
		c.seen.Checked += int64(n)
	} else {
		c.seen.HeadersOnly += int64(n)
	}
	return true
}

// make makes the content of a request, unless it is what was made last.
func (c *checker) make(off int64, n int, seed uint64, by recipe) []byte {
	if what := (remade{off, n, seed, by}); c.made != what {
		if cap(c.want) < n {
			c.want = make([]byte, n)
		}
		c.want = c.want[:n]
		c.l.content.fill(c.want, off, seed, &by)
		c.made = what
	}
	return c.want
}

// block checks one block with a header at offset pos.
func (c *checker) block(p []byte, pos int64, x *expectation) {
	if c.others(p, pos) {
		if c.first(pos) {
			c.seen.Others += int64(len(p))
		}
		return
	}
	if c.intact(p, pos, x) {
		return
	}
	b := c.blame(p, pos, x)
	if !c.judged(pos, len(p), b.Cause.Class != Unfaithful || !b.blind) {
		return
	}
	if !x.unsure && !x.covered || !c.excused(b, x) {
		c.report(b)
	}
}

// intact reports whether a block is as it should be, and counts it if so.
func (c *checker) intact(p []byte, pos int64, x *expectation) bool {
	h, ok := c.header(p)
	if !ok || int(h.Len) != len(p) || h.Offset != uint64(pos) || !c.current(&h, x) {
		return false
	}
	if c.replaced(&h, x) {
		c.rewritten.replaced.add(pos)
		return true
	}
	k, sound := c.sound(p, &h)
	if !sound {
		return false
	}
	proved := !k.blind
	if c.l.compares(k) && !c.untold(&h, x) {
		follows, known := c.faithful(p, pos, &h, k, x)
		if known && !follows {
			return false
		}
		proved = proved || known
	}
	if !c.judged(pos, len(p), proved) {
		return true
	}
	if gen, has := h.Generation(); has {
		c.seen.generation(gen, 1)
	}
	if x.unsure {
		c.seen.InFlight.New++
	}
	return true
}

// excused reports whether a block may look like that because a write to it was
// in flight when the power went. What was there before it may be anything, but
// no damaged or misplaced version of what was written.
func (c *checker) excused(b *Bad, x *expectation) bool {
	partly := b.Parts != nil && wholeSectors(b.Parts, b.Off, int(b.Len))
	switch b.Cause.Class {
	case Torn:
		partly = true
	case Zeroed, Filled, PayloadOnly:
	case Stale, OtherType, Foreign, Unfaithful:
		partly = false
	default:
		return false
	}
	switch {
	case partly:
		c.seen.InFlight.Torn++
	case !x.unsure || b.Cause.Class == PayloadOnly:
		return false
	default:
		c.seen.InFlight.Old++
	}
	return true
}

// header reads the header of a block, which verify_offset may have moved.
func (c *checker) header(p []byte) (Header, bool) {
	if c.l.HeaderOffset >= len(p) {
		return Header{}, false
	}
	return parseHeader(p[c.l.HeaderOffset:])
}

// current reports whether a header is the one that the job wrote last there.
func (c *checker) current(h *Header, x *expectation) bool {
	if c.l.Generation != 0 {
		if gen, ok := h.Generation(); !ok || gen != c.l.Generation {
			return false
		}
	}
	if !x.known {
		return true
	}
	if c.l.Sequence && !h.numbered(x.number) || c.l.HeaderSeed && h.Seed != x.seed {
		return c.replaced(h, x)
	}
	return true
}

// replaced reports whether a later write of the job is there, as may be. It is
// judged when it is its turn.
func (c *checker) replaced(h *Header, x *expectation) bool {
	if !x.known || c.rewritten == nil {
		return false
	}
	vague := !c.l.Sequence || c.rewritten.many && !h.Long // the number does not tell
	switch {
	case c.l.Sequence && h.after(x.number):
		return true
	case c.l.Sequence && vague && !h.numbered(x.number):
		return true
	}
	return vague && c.l.HeaderSeed && h.Seed != x.seed
}

// types lists what the type of a header may mean, given the type of the job.
func (c *checker) types(h *Header) []*sum {
	list := h.sums()
	if c.l.Verify == "" {
		return list
	}
	for i, k := range list {
		if c.l.sum != nil && k.userName() == c.l.sum.userName() {
			if k.name == "sha512" && i+1 < len(list) {
				return list[i : i+2]
			}
			return list[i : i+1]
		}
	}
	return nil
}

// sound reports whether the checksum of a block is right, and of which type it
// is. It leaves the header at the beginning of p.
func (c *checker) sound(p []byte, h *Header) (*sum, bool) {
	list := c.types(h)
	held := c.known.types[h.Type].Load()
	if held != nil && !h.Long && len(list) > 1 && c.holds(p, h, held) {
		return held, true
	}
	for _, k := range list {
		if k.size == 0 && len(list) > 1 && held != nil || !c.holds(p, h, k) {
			continue // without a checksum it could be anything
		}
		if !h.Long && k.size > 0 && held != k {
			c.known.types[h.Type].Store(k)
		}
		return k, true
	}
	return nil, false
}

// holds reports whether a block has the right checksum of type k. If so the
// header is now at the beginning of p, where it was before verify_offset.
func (c *checker) holds(p []byte, h *Header, k *sum) bool {
	data := h.size() + k.size
	if data > len(p) || !c.restore(p, data) {
		return false
	}
	if c.sums.holds(k, p[h.size():data], p[data:]) {
		return true
	}
	c.restore(p, data)
	return false
}

// restore exchanges the header of n bytes and the data at its place; twice is
// nothing. It reports whether that is possible.
func (c *checker) restore(p []byte, n int) bool {
	return c.restoreFrom(p, c.l.HeaderOffset, n)
}

// restoreFrom is restore for a header at at.
func (c *checker) restoreFrom(p []byte, at, n int) bool {
	if at == 0 {
		return true
	}
	if at < n || at+n > len(p) {
		return false
	}
	exchange(p, at, n, c.swap[:])
	return true
}

// faithful reports whether the data of a sound block, its header at the
// beginning, are what its seed makes, if that is known.
func (c *checker) faithful(p []byte, pos int64, h *Header, k *sum, x *expectation) (follows, known bool) {
	data := h.size() + k.size
	plain := c.l.content.pattern == nil && c.recipe.compress == 0 && (x.n == 0 || x.n == len(p))
	if plain && c.recipe.filler.made(p, data, h.Seed, c.piece[:]) {
		return true, true
	}
	start := pos
	if x.n > 0 {
		start = x.off
	}
	if c.l.content.repeats(p[data:], pos+int64(data)-start) || c.asPresumed(p, pos, h.Seed, data, x) {
		return true, true
	}
	if c.locateRequest(h, pos, x) && c.asPresumed(p, pos, h.Seed, data, x) {
		return true, true
	}
	if want := c.origin(p, pos, h.Seed, data, x); want != nil && bytes.Equal(want[data:], p[data:]) {
		return true, true
	}
	if !x.known && c.anotherShare(p, pos, h.Seed, data, x) {
		return true, true
	}
	known = x.n > 0 || !c.recipe.mayMake(p[data:])
	if known {
		c.restore(p, data)
	}
	return false, known
}

// asPresumed reports whether the data of a block are those that are presumed.
func (c *checker) asPresumed(p []byte, pos int64, seed uint64, data int, x *expectation) bool {
	return bytes.Equal(c.presumed(p, pos, seed, x)[data:], p[data:])
}

// untold reports whether the content of a block is a pattern that nobody told.
func (c *checker) untold(h *Header, x *expectation) bool {
	return h.Seed == 0 && c.l.content.pattern == nil && !x.known
}
