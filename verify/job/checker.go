package job

import (
	"bytes"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// An expectation is what is known about a block before it is read.
type expectation struct {
	fio.Request
	// known says that the request is that of the job, so seed and number count;
	// otherwise only its offset and length may be known, with n 0 if not even that.
	known bool
}

// pieceSize is how much content is made at a time where it is only compared, in bytes.
const pieceSize = 16 << 10

// A checker checks blocks. It belongs to one goroutine.
type checker struct {
	l     *fio.Layout
	run   *fio.Run
	known *knowledge
	sums  *fio.Hasher
	// want is room for the content of a request; made says what is in it.
	want []byte
	made requestContent
	// lastSeed and lastOff are the seed and the offset of the request whose
	// content was recognised last.
	lastSeed uint64
	lastOff  int64
	// piece is room for a piece of content.
	piece [pieceSize]byte
	// Recipe is the one that explained a block last. learned says that it explains most blocks
	// around, so that data which do not follow from it are damaged.
	recipe fio.Recipe
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
	// others are those of other jobs whose blocks may be there.
	others []*checker
}

// requestContent says which content a checker has made.
type requestContent struct {
	off    int64
	n      int
	seed   uint64
	recipe fio.Recipe
}

// covers reports whether the request has all of the n bytes at pos.
func (r requestContent) covers(pos int64, n int) bool {
	return r.off >= 0 && pos >= r.off && pos-r.off <= int64(r.n-n)
}

func newChecker(l *fio.Layout, run *fio.Run, known *knowledge, report func(*Bad)) *checker {
	return &checker{
		l: l, run: run, known: known, sums: fio.NewHasher(), recipe: l.Payload.Recipe,
		seen: new(Result), report: report,
	}
}

// newChecker makes a checker of the blocks of the job.
func (t *task) newChecker(report func(*Bad)) *checker {
	return newChecker(t.l, &t.run, t.known, report)
}

// Request checks the blocks of a request of the job that were read into p.
func (c *checker) checkRequest(p []byte, r *fio.Request) {
	x := expectation{Request: *r, known: true}
	if c.l.Headerless {
		c.checkPlain(p, &x)
		return
	}
	every := c.l.Every(len(p))
	for at := 0; at < len(p); at += every {
		c.checkBlock(p[at:min(at+every, len(p))], r.Off+int64(at), &x)
	}
}

// checkZeroes checks a request that was trimmed.
func (c *checker) checkZeroes(p []byte, off int64) {
	c.judged(off, len(p), true)
	if !verify.IsZero(p) {
		c.report(&Bad{
			Off: off, Len: int64(len(p)), Cause: verify.Cause{Class: verify.NotZero},
			got: p, want: make([]byte, len(p)),
		})
	}
}

// checkPlain checks a request whose data have no header.
func (c *checker) checkPlain(p []byte, x *expectation) {
	if !c.plainly(p, x) && c.judged(x.Off, len(p), true) {
		c.report(c.diagnosePlain(p, c.make(x.Off, x.N, x.Seed, c.recipe), x))
	}
}

// plainly reports whether data without a header are right, and counts them if so.
func (c *checker) plainly(p []byte, x *expectation) bool {
	switch {
	case c.l.Verify == fio.TypeNull && c.run.Content != fio.ContentOn:
		if c.first(x.Off) {
			c.seen.Unchecked += int64(len(p))
		}
		return true
	case c.l.Payload.Repeats(p, 0):
	case !bytes.Equal(c.make(x.Off, x.N, x.Seed, c.recipe), p):
		return false
	}
	c.judged(x.Off, len(p), true)
	return true
}

// first reports whether the block at pos was not counted before: a job may write one more than
// once.
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
func (c *checker) make(off int64, n int, seed uint64, by fio.Recipe) []byte {
	if what := (requestContent{off, n, seed, by}); c.made != what {
		if cap(c.want) < n {
			c.want = make([]byte, n)
		}
		c.want = c.want[:n]
		c.l.Payload.Fill(c.want, off, seed, &by)
		c.made = what
	}
	return c.want
}

// checkBlock checks one block with a header at offset pos.
func (c *checker) checkBlock(p []byte, pos int64, x *expectation) {
	if c.isOthers(p, pos) {
		if c.first(pos) {
			c.seen.Others += int64(len(p))
		}
		return
	}
	if c.intact(p, pos, x) {
		return
	}
	b := c.diagnose(p, pos, x)
	first := c.judged(pos, len(p), b.Cause.Class != verify.ContentMismatch || !b.blind)
	if (x.Unsure || x.Covered) && (!first || c.excused(b, x)) {
		return
	}
	if c.rewritten == nil || c.rewritten.bad.add(pos) {
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
	proved := !k.Blind
	if c.compares(k) && !c.untold(&h, x) {
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
	if x.Unsure {
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
	case verify.Torn:
		partly = true
	case verify.Zeroed, verify.Filled, verify.PayloadOnly:
	case verify.Stale, verify.OtherType, verify.Foreign, verify.ContentMismatch:
		partly = false
	default:
		return false
	}
	switch {
	case partly:
		c.seen.InFlight.Torn++
	case !x.Unsure || b.Cause.Class == verify.PayloadOnly:
		return false
	default:
		c.seen.InFlight.Old++
	}
	return true
}

// header reads the header of a block, which verify_offset may have moved.
func (c *checker) header(p []byte) (fio.Header, bool) {
	if c.l.HeaderOffset >= len(p) {
		return fio.Header{}, false
	}
	return fio.ParseHeader(p[c.l.HeaderOffset:])
}

// current reports whether a header is the one that the job wrote last there.
func (c *checker) current(h *fio.Header, x *expectation) bool {
	if c.l.Generation != 0 {
		if gen, ok := h.Generation(); !ok || gen != c.l.Generation {
			return false
		}
	}
	if !x.known {
		return true
	}
	if c.run.Sequence && !h.Numbered(x.Number) || c.run.HeaderSeed && h.Seed != x.Seed {
		return c.replaced(h, x)
	}
	return true
}

// replaced reports whether a later write of the job is there, as may be. It is
// judged when it is its turn.
func (c *checker) replaced(h *fio.Header, x *expectation) bool {
	if !x.known || c.rewritten == nil {
		return false
	}
	vague := !c.run.Sequence || c.rewritten.many && !h.Long // the number does not tell
	switch {
	case c.run.Sequence && h.After(x.Number):
		return true
	case c.run.Sequence && vague && !h.Numbered(x.Number):
		return true
	}
	return vague && c.run.HeaderSeed && h.Seed != x.Seed
}

// types lists what the type of a header may mean, given the type of the job.
func (c *checker) types(h *fio.Header) []*fio.Checksum {
	list := h.Checksums()
	if c.l.Verify == "" {
		return list
	}
	for i, k := range list {
		if c.l.Checksum != nil && k.OptionName() == c.l.Checksum.OptionName() {
			if k.Name == "sha512" && i+1 < len(list) {
				return list[i : i+2]
			}
			return list[i : i+1]
		}
	}
	return nil
}

// sound reports whether the checksum of a block is right, and of which type it
// is. It leaves the header at the beginning of p.
func (c *checker) sound(p []byte, h *fio.Header) (*fio.Checksum, bool) {
	list := c.types(h)
	held := c.known.types[h.Type].Load()
	if held != nil && !h.Long && len(list) > 1 && c.holds(p, h, held) {
		return held, true
	}
	for _, k := range list {
		if k.Size == 0 && len(list) > 1 && held != nil || !c.holds(p, h, k) {
			continue // without a checksum it could be anything
		}
		if !h.Long && k.Size > 0 && held != k {
			c.known.types[h.Type].Store(k)
		}
		return k, true
	}
	return nil, false
}

// holds reports whether a block has the right checksum of type k. If so the
// header is now at the beginning of p, where it was before verify_offset.
func (c *checker) holds(p []byte, h *fio.Header, k *fio.Checksum) bool {
	data := h.Size() + k.Size
	if data > len(p) || !c.restore(p, data) {
		return false
	}
	if c.sums.Matches(k, p[h.Size():data], p[data:]) {
		return true
	}
	c.restore(p, data)
	return false
}

// restore exchanges the header of n bytes and the data that lie where it belongs; twice is
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
	fio.SwapHeader(p, at, n)
	return true
}

// faithful reports whether the data of a sound block, its header at the
// beginning, are what its seed makes, if that is known.
func (c *checker) faithful(p []byte, pos int64, h *fio.Header, k *fio.Checksum,
	x *expectation,
) (follows, known bool) {
	data := h.Size() + k.Size
	plain := c.l.Payload.Pattern == nil && c.recipe.Compress == 0 && (x.N == 0 || x.N == len(p))
	if plain && c.recipe.Filler.Makes(p, data, h.Seed, c.piece[:]) {
		return true, true
	}
	start := pos
	if x.N > 0 {
		start = x.Off
	}
	if c.l.Payload.Repeats(p[data:], pos+int64(data)-start) ||
		c.asPresumed(p, pos, h.Seed, data, x) {
		return true, true
	}
	if c.locateRequest(h, pos, x) && c.asPresumed(p, pos, h.Seed, data, x) {
		return true, true
	}
	if want := c.origin(p, pos, h.Seed, data, x); want != nil &&
		bytes.Equal(want[data:], p[data:]) {
		return true, true
	}
	if !x.known && c.anotherShare(p, pos, h.Seed, data, x) {
		return true, true
	}
	known = x.N > 0 || !c.recipe.MayMake(p[data:])
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
func (c *checker) untold(h *fio.Header, x *expectation) bool {
	return h.Seed == 0 && c.l.Payload.Pattern == nil && !x.known
}

// compares reports whether the content of blocks is to be made again even if the checksum is right.
func (c *checker) compares(s *fio.Checksum) bool {
	switch c.run.Content {
	case fio.ContentOn:
		return true
	case fio.ContentOff:
		return false
	}
	return s != nil && s.Blind
}
