package verify

import "context"

// A request is one write of a job.
type request struct {
	off    int64
	n      int
	seed   uint64
	number uint64 // of the write; of the next one if this is a read
	// read says that a mixed job reads here instead.
	read bool
	// mark is the request's index among those to be trimmed, from 1; 0 if it
	// is to stay.
	mark int64
	file int
	// unsure says that the write may not have reached the device, covered that
	// a later one over it may have, in part.
	unsure, covered bool
}

// An order makes the requests of a job again and again: the same options give
// the same requests.
type order struct {
	l     *layout
	seeds jobSeeds
	// ctx ends the order early, and err says so: a job may have more requests
	// than anybody waits for.
	ctx   context.Context
	steps uint
	err   error

	sizes                      [2]generator // of writes and of reads
	blocks, verify, mix, trims generator

	mixture mixture
	files   []place
	turn    int    // the file of the next request
	nul     uint64 // the seed of all blocks of verify=null
	done    int64  // bytes of all loops, in all files
	idle    bool   // nothing was made in this loop
	loop    int
	number  uint64
	trim    trimmer
}

// A place is where a job is in one of its files, which take turns.
type place struct {
	lfsr  *lfsr
	taken blockMap
	// pos is where the next sequential request of each direction is, from 0.
	pos [2]int64
}

func newOrder(ctx context.Context, l *layout) (*order, error) {
	p := &order{ctx: ctx, l: l, seeds: makeSeeds(&l.Options)}
	for _, g := range []*generator{&p.sizes[writes], &p.sizes[reads], &p.blocks, &p.verify, &p.mix} {
		if l.Generator == "tausworthe64" && (g != &p.mix || l.Fio == Fio22) {
			*g = &taus258{short: l.Fio == Fio22}
		} else {
			*g = new(taus88)
		}
	}
	p.trims = new(taus88)
	p.seed()
	p.trim = newTrimmer(l)
	buffer := new(taus88)
	buffer.reseed(p.seeds[l.Fio.streams().buffer])
	p.nul = drawSeed(buffer)
	return p, p.start()
}

// seed puts all generators at their beginning.
func (p *order) seed() {
	at := p.l.Fio.streams()
	for _, g := range p.sizes {
		g.reseed(p.seeds[at.size])
	}
	p.blocks.reseed(p.seeds[at.order])
	p.verify.reseed(p.seeds[at.verify])
	p.mix.reseed(p.seeds[at.mix])
	p.trims.reseed(p.seeds[at.trim])
}

// start begins a loop.
func (p *order) start() error {
	p.idle, p.turn, p.mixture.least = true, 0, 0
	p.files = make([]place, p.l.files)
	for i := range p.files {
		if err := p.startFile(&p.files[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *order) startFile(f *place) (err error) {
	if !p.l.Direction.Random() {
		return nil
	}
	n := p.l.part / int64(p.l.MinBlock)
	switch {
	case p.l.Generator == "lfsr":
		f.lfsr, err = newLFSR(n, p.seeds[p.l.Fio.streams().order])
		if err == nil && p.loop == 0 {
			f.lfsr.step() // fio takes two steps for the first block of all
		}
	case p.l.NoRandomMap:
	case p.l.Fio == Fio22:
		f.taken = newQuirkyMap(n)
	default:
		f.taken = newPlainMap(n)
	}
	return err
}

// lookEvery is how many requests are made between two looks at the context.
const lookEvery = 1 << 12

// cancelled notes from time to time whether the context has ended.
func (p *order) cancelled() bool {
	if p.steps++; p.steps%lookEvery == 0 && p.err == nil {
		p.err = p.ctx.Err()
	}
	return p.err != nil
}

// next makes the next request; false if there is none, or with err set. A loop
// ends when the files are done. The job ends also with so many bytes, or
// requests, as its loops may have in all: norandommap never ends a loop.
func (p *order) next(r *request) bool {
	if p.cancelled() || p.exceeds() {
		return false
	}
	if !p.place(r) {
		p.loop++
		if !p.l.TimeBased && p.loop >= p.l.Loops || p.idle || p.start() != nil {
			return false
		}
		if p.l.reseeds() {
			p.seed()
		}
		if !p.place(r) {
			return false
		}
	}
	if r.read {
		return true
	}
	p.number++
	r.seed = p.contentSeed()
	r.mark = p.trim.mark(p.trims)
	return true
}

// exceeds reports whether the job has made all that it may.
func (p *order) exceeds() bool {
	loops, made := int64(p.l.Loops), p.mixture.issued[writes]+p.mixture.issued[reads]
	if p.l.NumberIOs > 0 && made/loops >= p.l.NumberIOs {
		return true
	}
	return !p.l.TimeBased && p.done/loops >= p.l.Size
}

func (p *order) contentSeed() uint64 {
	switch {
	case p.l.content.pattern != nil:
		return 0
	case p.l.Verify == typeNull:
		return p.nul
	}
	return drawSeed(p.verify)
}

// place makes a request that has its place and direction; false if there is
// none.
func (p *order) place(r *request) bool {
	for range p.files {
		file := p.turn
		if p.turn++; p.turn == len(p.files) {
			p.turn = 0
		}
		way := writes
		if p.l.Direction.Mixed() {
			way = p.mixture.draw(p.mix, p.l.MixRead)
		}
		if off, n := p.placeIn(&p.files[file], way); n > 0 {
			p.files[file].pos[way] = off + int64(n)
			p.done += int64(n)
			p.idle = false
			p.mixture.issued[way]++
			*r = request{off: p.l.Offset + off, n: n, number: p.number, file: file, read: way == reads}
			return true
		}
	}
	return false
}

// placeIn finds the offset of the next request from the start of the range, and
// the length, which is 0 if there is none.
func (p *order) placeIn(f *place, way way) (off int64, n int) {
	size, least := p.l.part, int64(p.l.MinBlock)
	if size < least {
		return 0, 0
	}
	off = f.pos[way]
	if p.l.Direction.Random() {
		b := p.block(f, size/least)
		if b < 0 {
			return 0, 0
		}
		off = b * least
	}
	if off > size-least {
		return 0, 0
	}
	n = p.length(p.sizes[way], size-off)
	if f.taken != nil {
		marked := f.taken.set(off/least, (n+p.l.MinBlock-1)/p.l.MinBlock)
		n = min(n, marked*p.l.MinBlock)
	}
	return off, n
}

// block draws the next of n blocks of a file; -1 if there is none.
func (p *order) block(f *place, n int64) int64 {
	if f.lfsr != nil {
		return f.lfsr.next()
	}
	b := below(p.blocks, float64(n))
	if f.taken != nil && f.taken.isSet(b) {
		return f.taken.nextFree(b)
	}
	return b
}

// maxDraws is how often a length is drawn that may fit.
const maxDraws = 1 << 16

// length draws a length that fits into room, which is at least MinBlock.
func (p *order) length(g generator, room int64) int {
	lo, hi := p.l.MinBlock, p.l.MaxBlock
	if lo == hi {
		return lo
	}
	for range maxDraws {
		if n := p.drawLength(g, lo, hi, room); n > 0 && int64(n) <= room {
			return n
		}
	}
	return lo
}

func (p *order) drawLength(g generator, lo, hi int, room int64) int {
	if p.l.Split != nil {
		return p.splitLength(g, room)
	}
	n := int(below(g, float64(hi)))
	if p.l.Fio == Fio22 {
		n = max(n+1, lo)
		if every := p.l.interval; p.l.DoVerify && every > 0 {
			n = (n + every - 1) &^ (every - 1)
		}
		if lo&(lo-1) == 0 {
			n &^= lo - 1
		}
		return n
	}
	n += lo
	if !p.l.BSUnaligned {
		n -= n % lo
	}
	return min(n, hi)
}

// splitLength draws one of the sizes of bssplit; one that does not fit into room
// gives way to the next.
func (p *order) splitLength(g generator, room int64) int {
	r := float64(g.next()) * 100
	percent := 0
	for _, share := range p.l.Split {
		percent += share.Percent
		if r <= float64(percent)*(g.max()-1) && int64(share.Block) <= room {
			return share.Block
		}
	}
	return p.l.Split[len(p.l.Split)-1].Block
}

// A trimmer tells which requests of a job end up trimmed. fio marks each with a
// chance, and after every backlog of writes trims a batch of the marked ones,
// the oldest first; what is left at the end stays.
type trimmer struct {
	limit          uint64 // an output up to it marks the request
	backlog, batch int64
	marked         int64 // requests marked so far
}

func newTrimmer(l *layout) trimmer {
	t := trimmer{limit: (1<<32 - 1) / 100 * uint64(l.TrimPercent), backlog: l.TrimBacklog, batch: l.TrimBatch}
	if t.batch == 0 {
		t.batch = t.backlog
	}
	return t
}

// mark draws for the next request. It returns its index among the marked ones
// from 1, or 0.
func (t *trimmer) mark(g generator) int64 {
	if t.limit == 0 || g.next() > t.limit {
		return 0
	}
	t.marked++
	return t.marked
}

// due is how many of the marked requests are trimmed when number writes are
// done and before were already.
func (t *trimmer) due(number uint64, before int64) int64 {
	if t.limit == 0 || number == 0 || number%uint64(t.backlog) != 0 {
		return before
	}
	return min(before+t.batch, t.marked)
}
