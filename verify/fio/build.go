package fio

// A Clock gives the two time words of the header at offset off.
type Clock func(off int64) (sec, frac uint32)

// A Builder makes the blocks of requests. It belongs to one goroutine.
type Builder struct {
	l     *Layout
	sums  *Hasher
	clock Clock
}

// NewBuilder makes what makes the blocks of a job, with the time that a clock tells.
func NewBuilder(l *Layout, now Clock) *Builder {
	return &Builder{l: l, sums: NewHasher(), clock: now}
}

// Build makes the request r in p, which is as long as the request: the content
// first, then the headers over it.
func (b *Builder) Build(p []byte, r *Request) {
	b.l.Payload.Fill(p, r.Off, r.Seed, &b.l.Payload.Recipe)
	if b.l.Checksum == nil {
		return
	}
	every := b.l.Every(len(p))
	for at := 0; at < len(p); at += every {
		b.block(p[at:min(at+every, len(p))], r.Off+int64(at), r)
	}
}

// block puts the header and the checksum on one block.
func (b *Builder) block(p []byte, off int64, r *Request) {
	h := Header{
		Long: b.l.Fio.long(), Type: b.l.Checksum.number(b.l.Fio), Len: uint32(len(p)), Seed: r.Seed,
		Offset: uint64(off), Thread: uint16(b.l.Thread), Number: r.Number,
	}
	h.Sec, h.Frac = b.clock(off)
	h.Put(p)
	size := h.Size()
	data := size + b.l.Checksum.Size
	b.l.Checksum.Compute(b.sums, p[size:data], p[data:])
	SwapHeader(p, b.l.HeaderOffset, data)
}

// SwapHeader swaps the first n bytes of p, which are a header with its checksum, with those at at.
func SwapHeader(p []byte, at, n int) {
	if at == 0 {
		return
	}
	var buf [LongHeader + MaxSum]byte
	copy(buf[:], p[:n])
	copy(p, p[at:at+n])
	copy(p[at:], buf[:n])
}

// JobClock is the clock of a job's headers: its generation, or the time since
// the job began, as the release counts it.
func (l *Layout) JobClock(now func() (sec, nsec uint32)) Clock {
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
