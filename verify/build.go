package verify

// A clock gives the two time words of the header at offset off.
type clock func(off int64) (sec, frac uint32)

// A builder makes the blocks of requests. It belongs to one goroutine.
type builder struct {
	l     *layout
	sums  *summer
	clock clock
	swap  [longHeader + maxSum]byte
}

func newBuilder(l *layout, now clock) *builder {
	return &builder{l: l, sums: newSummer(), clock: now}
}

// build makes the request r in p, which is as long as the request: the content
// first, then the headers over it.
func (b *builder) build(p []byte, r *request) {
	b.l.content.fill(p, r.off, r.seed, &b.l.content.recipe)
	if b.l.sum == nil {
		return
	}
	every := b.l.interval
	if every == 0 {
		every = len(p)
	}
	for at := 0; at < len(p); at += every {
		b.block(p[at:min(at+every, len(p))], r.off+int64(at), r)
	}
}

// block puts the header and the checksum on one block.
func (b *builder) block(p []byte, off int64, r *request) {
	h := Header{
		Long: b.l.Fio.long(), Type: b.l.sum.number(b.l.Fio), Len: uint32(len(p)), Seed: r.seed,
		Offset: uint64(off), Thread: uint16(b.l.Thread), Number: r.number,
	}
	h.Sec, h.Frac = b.clock(off)
	h.put(p)
	size := h.size()
	data := size + b.l.sum.size
	b.l.sum.put(b.sums, p[size:data], p[data:])
	exchange(p, b.l.HeaderOffset, data, b.swap[:])
}

// exchange swaps the first n bytes of p with those at at; buf has room for n.
func exchange(p []byte, at, n int, buf []byte) {
	if at == 0 {
		return
	}
	copy(buf, p[:n])
	copy(p, p[at:at+n])
	copy(p[at:], buf[:n])
}

// jobClock is the clock of a job's headers: its generation, or the time since
// the job began, as the release counts it.
func (l *layout) jobClock(now func() (sec, nsec uint32)) clock {
	if l.Generation != 0 {
		return func(int64) (uint32, uint32) { return l.Generation, generationMark }
	}
	return func(int64) (uint32, uint32) {
		sec, nsec := now()
		if l.Fio == Fio22 {
			return sec, nsec / 1000
		}
		return sec, nsec
	}
}
