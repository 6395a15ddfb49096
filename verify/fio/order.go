package fio

import (
	"cmp"
	"context"
)

// A Request is one write of a job.
type Request struct {
	Off    int64
	N      int
	Seed   uint64
	Number uint64 // of the write; of the next one if this is a read
	// Read says that a mixed job reads here instead.
	Read bool
	// Mark is the request's index among those to be trimmed, from 1; 0 if it is to stay.
	Mark int64
	File int
	// Unsure says that the write may not have reached the device, covered that
	// a later one over it may have, in part.
	Unsure, Covered bool
}

// An Order makes the requests of a job again and again: the same workload gives the same requests.
type Order struct {
	// Err is why there are no more requests before the job has ended: that of the context. A job
	// may have more requests than anybody waits for.
	Err error
	// Number is that of the next write.
	Number uint64
	// Trim tells which requests end up trimmed.
	Trim Trimmer
	// Offsets is the generator of offsets, whose state fio's state files keep.
	Offsets Generator

	l     *Layout
	seeds jobSeeds
	ctx   context.Context
	steps uint

	sizes        [2]Generator // by direction
	verify, mix  Generator
	trims, zones taus88
	// follows decides which random requests follow the one before.
	follows [2]taus88

	rwMix  rwMix
	files  []cursor
	turn   int    // the file of the next request
	stays  int    // requests that it has before the next file's turn
	nul    uint64 // the seed of all blocks of verify=null
	done   int64  // bytes of all loops, in all files
	wrote  int64  // those of writes
	inLoop int64  // bytes of this loop
	loop   int
	// run counts down to the next random request, see [Workload.RandomEvery].
	run int
	// inZone is how many bytes were moved in the zone of zonemode=strided.
	inZone int64
}

// A cursor is where a job is in one of its files, which take turns.
type cursor struct {
	lfsr    *lfsr
	taken   blockMap
	sampler *sampler
	// base is where the zone begins, and pos where the next sequential request of
	// each direction is, from the beginning of the range.
	base int64
	pos  [2]int64
	done bool
}

// NewOrder begins the order of a job. It fails if ctx ends, and where there is no such order.
func NewOrder(ctx context.Context, l *Layout) (*Order, error) {
	p := &Order{ctx: ctx, l: l, seeds: makeSeeds(&l.Workload), run: 1}
	for _, g := range []*Generator{
		&p.sizes[writes], &p.sizes[reads], &p.Offsets, &p.verify,
		&p.mix,
	} {
		if l.Generator == "tausworthe64" && (g != &p.mix || l.Fio == Fio22) {
			*g = &taus258{short: l.Fio == Fio22}
		} else {
			*g = new(taus88)
		}
	}
	p.seed()
	p.Trim = newTrimmer(l)
	var buffer taus88
	buffer.reseed(p.seeds[l.Fio.streams().buffer])
	p.nul = drawSeed(&buffer)
	p.files = make([]cursor, l.NrFiles)
	if err := p.makeSamplers(); err != nil {
		return nil, err
	}
	return p, p.start()
}

// makeSamplers makes what draws the blocks of each file if they are not distributed evenly. fio
// seeds it from the file's name.
func (p *Order) makeSamplers() (err error) {
	d := &p.l.Distribution
	if d.Kind == "" {
		return nil
	}
	least := int64(p.l.least())
	n, zetaN := uint64((p.l.Extent+least-1)/least), 0.0
	if d.Kind == "zipf" {
		if zetaN, err = zeta(p.ctx, n, d.Value); err != nil {
			return err
		}
	}
	for i := range p.files {
		seed := uint64(nameHash(d.Names[i]) * uint32(p.l.Thread))
		if !p.l.RandRepeat || p.l.RandSeedGiven {
			seed = p.seeds[p.l.Fio.streams().order]
		}
		p.files[i].sampler = newSampler(d, n, seed, zetaN)
	}
	return nil
}

// seed puts all generators at their beginning.
func (p *Order) seed() {
	at := p.l.Fio.streams()
	for _, g := range p.sizes {
		g.reseed(p.seeds[at.size])
	}
	p.Offsets.reseed(p.seeds[at.order])
	p.verify.reseed(p.seeds[at.verify])
	p.mix.reseed(p.seeds[at.mix])
	p.trims.reseed(p.seeds[at.trim])
	p.zones.reseed(p.seeds[at.zone])
	for i := range p.follows {
		p.follows[i].reseed(p.seeds[at.follow])
	}
}

// start begins a loop.
func (p *Order) start() error {
	p.inLoop, p.turn, p.stays, p.rwMix.least, p.inZone = 0, 0, p.l.FileTurn, 0, 0
	for i := range p.files {
		if err := p.startFile(&p.files[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *Order) startFile(f *cursor) (err error) {
	*f = cursor{sampler: f.sampler}
	if !p.l.Direction.Random() {
		return nil
	}
	if p.l.Generator == "lfsr" {
		f.lfsr, err = newLFSR(p.l.Extent/int64(p.l.MinBlock), p.seeds[p.l.Fio.streams().order])
		if err == nil && p.loop == 0 {
			f.lfsr.step() // fio takes two steps for the first block of all
		}
		return err
	}
	f.taken = p.newMap()
	return nil
}

// newMap is a map of the blocks of a file; nil if none is kept.
func (p *Order) newMap() blockMap {
	n := p.l.Extent / int64(p.l.least())
	switch {
	case p.l.mapless():
		return nil
	case p.l.Fio == Fio22:
		return newOldAxmap(n)
	}
	return newAxmap(n)
}

// MaxWrites is a number that no write of a job has.
const MaxWrites = 1 << 62

// lookEvery is how many requests are made between two looks at the context.
const lookEvery = 1 << 12

// cancelled notes from time to time whether the context has ended.
func (p *Order) cancelled() bool {
	if p.steps++; p.steps%lookEvery == 0 && p.Err == nil {
		p.Err = p.ctx.Err()
	}
	return p.Err != nil
}

// Next makes the next request; false if there is none, or with err set. A loop ends when the files
// are done, or as many bytes were moved as it may have. The job ends when its loops are done.
func (p *Order) Next(r *Request) bool {
	if p.cancelled() || p.exceeds() {
		return false
	}
	if p.loopExceeds() || !p.draw(r) {
		if p.loop++; p.inLoop == 0 || !p.goesOn() || p.start() != nil {
			return false
		}
		if p.l.reseeds() {
			p.seed()
		}
		if !p.draw(r) {
			return false
		}
	}
	if r.Read {
		return true
	}
	p.Number++
	r.Seed = p.contentSeed()
	r.Mark = p.Trim.mark(&p.trims)
	return true
}

// exceeds reports whether the job has made all that it may.
func (p *Order) exceeds() bool {
	loops, made := int64(p.l.Loops), p.rwMix.issued[writes]+p.rwMix.issued[reads]
	if p.l.NumberIOs > 0 && made/loops >= p.l.NumberIOs {
		return true
	}
	return !p.l.TimeBased && p.done/loops >= p.l.limit()
}

// limit is how many bytes the job moves in a loop, if its files have as many.
func (l *Layout) limit() int64 { return cmp.Or(l.IOSize, l.Size) }

// loopExceeds reports whether the loop has made all that it may, and the next
// begins. With ioengines that do not queue fio goes on until the files are done.
func (p *Order) loopExceeds() bool {
	if !p.l.Async {
		return false
	}
	size := p.l.Size
	if p.l.Direction.Random() && p.l.mapless() {
		size = max(size, p.l.IOSize)
	}
	return p.inLoop > 0 && p.inLoop >= size
}

// goesOn reports whether another loop follows.
func (p *Order) goesOn() bool {
	if p.l.TimeBased || p.loop < p.l.Loops {
		return true
	}
	// fio counts what it has read to verify, and goes on while a block is missing.
	return p.l.repeats() && p.l.limit()-p.done-p.wrote >= int64(max(p.l.MaxBlock, p.l.Reads.Max))
}

func (p *Order) contentSeed() uint64 {
	switch {
	case p.l.Payload.Pattern != nil:
		return 0
	case p.l.Verify == TypeNull:
		return p.nul
	}
	return drawSeed(p.verify)
}

// draw makes a request that has its offset, length and direction; false if there is none.
func (p *Order) draw(r *Request) bool {
	for range p.files {
		file := p.turn
		f := &p.files[file]
		way, off, n := writes, int64(0), 0
		if !f.done {
			if p.l.Direction.Mixed() {
				way = p.rwMix.draw(p.mix, p.l.MixRead)
			}
			off, n = p.drawIn(f, way)
			f.done = n == 0
		}
		if p.stays--; p.stays <= 0 || f.done {
			p.stays = p.l.FileTurn
			p.turn = (p.turn + 1) % len(p.files)
		}
		if f.done {
			continue
		}
		f.pos[way] = off + int64(n)
		p.done += int64(n)
		p.inLoop += int64(n)
		p.inZone += int64(n)
		if way == writes {
			p.wrote += int64(n)
		}
		p.rwMix.issued[way]++
		*r = Request{Off: p.l.Offset + off, N: n, Number: p.Number, File: file, Read: way == reads}
		return true
	}
	return false
}

// drawIn finds the offset of the next request from the start of the range, and
// the length, which is 0 if there is none.
func (p *Order) drawIn(f *cursor, way ddir) (off int64, n int) {
	p.enterZone(f, way)
	sizes := p.l.sizes(way)
	off, marks := p.position(f, way, sizes)
	if off < 0 || off >= p.l.Extent {
		return 0, 0
	}
	off += f.base
	n = p.length(p.sizes[way], sizes, p.l.Extent-off)
	if n == 0 || off > p.l.length-int64(n) {
		return 0, 0
	}
	if marks {
		marked := f.taken.set((off-f.base)/int64(sizes.Min), (n+sizes.Min-1)/sizes.Min)
		n = min(n, marked*sizes.Min)
	}
	return off, n
}

// enterZone moves on to the next zone of zonemode=strided if this one is done,
// and to the beginning of the zone if its end is reached.
func (p *Order) enterZone(f *cursor, way ddir) {
	if p.l.ZoneSize == 0 {
		return
	}
	extent := p.l.zoneRange()
	if p.inZone >= p.l.ZoneSize {
		p.inZone = 0
		if f.base += extent + p.l.ZoneSkip; f.base >= p.l.length {
			f.base = 0
		}
		f.pos[way] = f.base
	}
	if f.pos[way] >= f.base+extent {
		f.pos[way] = f.base
	}
	if p.inZone%extent == 0 {
		f.pos = [2]int64{f.base, f.base}
		if f.taken != nil {
			f.taken = p.newMap()
		}
	}
}

// zoneRange is how much of the file a zone has.
func (l *Layout) zoneRange() int64 { return cmp.Or(l.ZoneRange, l.ZoneSize) }

// position finds where the next request is, from the beginning of the zone; -1
// if there is none. marks says that its blocks are to be marked as taken.
func (p *Order) position(f *cursor, way ddir, sizes Sizes) (off int64, marks bool) {
	if !p.l.Direction.Random() {
		return p.sequential(f, way), false
	}
	p.run--
	follows := p.run > 0
	if !follows {
		p.run = max(p.l.RandomEvery, 1)
		if percent := p.l.Sequential[way]; percent > 0 {
			follows = 1+below(&p.follows[way], 100) > int64(100-percent)
		}
	}
	if follows {
		if off = p.sequential(f, way); off >= 0 {
			return off, false
		}
	}
	b := p.block(f, sizes)
	if b < 0 {
		return -1, false
	}
	return b * int64(sizes.Min), f.taken != nil && !follows // fio marks none that was to follow
}

// sequential is where the next sequential request is, which the job's step may
// have moved: behind the last, and from the start again behind the end.
func (p *Order) sequential(f *cursor, way ddir) int64 {
	last := f.pos[way]
	if last >= p.l.length {
		return -1
	}
	if p.l.Step < 0 && last == f.base && p.l.Offset > 0 {
		last = min(p.l.Extent, p.l.Offset+p.l.length) - p.l.Offset
	}
	pos := last - f.base
	if pos == 0 || p.l.Step == 0 {
		return pos
	}
	end := p.l.Offset + p.l.length
	switch pos += p.l.Step; {
	case pos >= 0 && pos < end:
	case p.l.Step > 0:
		pos = p.l.Offset
	default:
		pos = min(p.l.Extent, end) + p.l.Step
	}
	return pos
}

// block draws the next block of a file; -1 if there is none.
func (p *Order) block(f *cursor, sizes Sizes) int64 {
	n := p.l.Extent
	if p.l.ZoneSize > 0 {
		n = min(n, p.l.zoneRange())
	}
	n /= int64(sizes.Min)
	if n == 0 {
		return -1
	}
	if f.lfsr != nil {
		return f.lfsr.next()
	}
	first := int64(0)
	if p.l.Distribution.Zones != nil {
		first, n = p.zoneOf(n)
	}
	b := int64(0)
	if f.sampler != nil {
		b = int64(f.sampler.next())
	} else {
		b = below(p.Offsets, float64(n))
	}
	if f.taken != nil && f.taken.isSet(b) {
		if b = f.taken.nextFree(b); b < 0 {
			return b
		}
	}
	return first + b
}

// zoneOf draws in which part of n blocks the next one is.
func (p *Order) zoneOf(n int64) (first, size int64) {
	v := 1 + below(&p.zones, 100)
	requests, from := 0, 0
	for _, z := range p.l.Distribution.Zones {
		if requests += z.Requests; v <= int64(requests) {
			return int64(from) * n / 100, n * int64(z.Range) / 100
		}
		from += z.Range
	}
	return 0, n
}

// maxDraws is how often a length is drawn that may fit.
const maxDraws = 1 << 16

// length draws a length that fits into room; 0 if not even the least does. Blocks
// of one size may go on behind the range, if not behind the file.
func (p *Order) length(g Generator, s Sizes, room int64) int {
	lo, hi := s.Min, s.Max
	if lo == hi {
		return lo
	}
	if int64(lo) > room {
		return 0
	}
	for range maxDraws {
		if n := p.drawLength(g, s, room); n > 0 && int64(n) <= room {
			return n
		}
	}
	return lo
}

func (p *Order) drawLength(g Generator, s Sizes, room int64) int {
	lo, hi := s.Min, s.Max
	if s.Split != nil {
		return splitLength(g, s.Split, room)
	}
	n := int(below(g, float64(hi)))
	if p.l.Fio == Fio22 {
		n = max(n+1, lo)
		if every := p.l.BlockLen; p.l.DoVerify && every > 0 {
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
func splitLength(g Generator, shares []Share, room int64) int {
	r := float64(g.next()) * 100
	percent := 0
	for _, share := range shares {
		percent += share.Percent
		if r <= float64(percent)*(g.max()-1) && int64(share.Block) <= room {
			return share.Block
		}
	}
	return shares[len(shares)-1].Block
}

// A Trimmer tells which requests of a job end up trimmed. fio marks each with a
// chance, and after every backlog of writes trims a batch of the marked ones,
// the oldest first; what is left at the end stays.
type Trimmer struct {
	limit          uint64 // an output up to it marks the request
	backlog, batch int64
	Marked         int64 // requests marked so far
}

func newTrimmer(l *Layout) Trimmer {
	return Trimmer{
		limit: (1<<32 - 1) / 100 * uint64(l.TrimPercent), backlog: l.TrimBacklog,
		batch: cmp.Or(l.TrimBatch, l.TrimBacklog),
	}
}

// mark draws for the next request. It returns its index among the marked ones from 1, or 0.
func (t *Trimmer) mark(g Generator) int64 {
	if t.limit == 0 || g.next() > t.limit {
		return 0
	}
	t.Marked++
	return t.Marked
}

// Due is how many of the marked requests are trimmed when number writes are
// done and before were already.
func (t *Trimmer) Due(number uint64, before int64) int64 {
	if t.limit == 0 || number == 0 || number%uint64(t.backlog) != 0 {
		return before
	}
	return min(before+t.batch, t.Marked)
}

// CountWrites is how many writes a job with an end makes.
func (l *Layout) CountWrites(ctx context.Context) (uint64, error) {
	o, err := NewOrder(ctx, l)
	if err != nil {
		return 0, err
	}
	var r Request
	for o.Next(&r) {
	}
	return o.Number, o.Err
}
