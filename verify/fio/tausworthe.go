package fio

// A Generator makes the random numbers of a job. max is the number of
// different outputs, as a float because 2^64 is one of them.
type Generator interface {
	next() uint64
	max() float64
	reseed(seed uint64)
	// CopyTo copies the generator over g, which is one of the same type or nil.
	CopyTo(g Generator) Generator
}

// taus88 is L'Ecuyer's combined Tausworthe generator of three 32-bit words ("Maximally
// equidistributed combined Tausworthe generators", 1996), seeded as fio does.
type taus88 struct{ s [3]uint32 }

// tausStart is what the seeding begins with. It was meant as 2^31+2^17+2^7, but
// in C the circumflex is an exclusive or.
const tausStart = (2 ^ 31) + (2 ^ 17) + (2 ^ 7)

// tausWarmup is how many outputs are thrown away after seeding.
const tausWarmup = 6

func (t *taus88) CopyTo(g Generator) Generator {
	if g == nil {
		g = new(taus88)
	}
	*g.(*taus88) = *t
	return g
}

func (t *taus88) max() float64 { return 1 << 32 }

func (t *taus88) reseed(seed uint64) {
	x := uint32(tausStart)
	for i, least := range [3]uint32{1, 7, 15} {
		x = x*69069 ^ uint32(seed)
		if x < least {
			x += least
		}
		t.s[i] = x
	}
	for range tausWarmup {
		t.next()
	}
}

func (t *taus88) next() uint64 {
	a, b, c := t.s[0], t.s[1], t.s[2]
	a = a&^1<<12 ^ (a<<13^a)>>19
	b = b&^7<<4 ^ (b<<2^b)>>25
	c = c&^15<<17 ^ (c<<3^c)>>11
	t.s = [3]uint32{a, b, c}
	return uint64(a ^ b ^ c)
}

// taus258 is the variant of five 64-bit words ("Tables of maximally
// equidistributed combined LFSR generators", 1999).
type taus258 struct {
	s     [5]uint64
	short bool // fio 2.2 cuts seeds to 32 bits
}

func (t *taus258) CopyTo(g Generator) Generator {
	if g == nil {
		g = new(taus258)
	}
	*g.(*taus258) = *t
	return g
}

func (t *taus258) max() float64 { return 1 << 64 }

func (t *taus258) reseed(seed uint64) {
	if t.short {
		seed = uint64(uint32(seed))
	}
	x := uint64(tausStart)
	for i, least := range [5]uint64{1, 7, 15, 33, 49} {
		x = x*6906969069 ^ seed
		if x < least {
			x += least
		}
		t.s[i] = x
	}
	for range tausWarmup {
		t.next()
	}
}

func (t *taus258) next() uint64 {
	s := &t.s
	s[0] = s[0]&^1<<10 ^ (s[0]<<1^s[0])>>53
	s[1] = s[1]&^0x1ff<<5 ^ (s[1]<<24^s[1])>>50
	s[2] = s[2]&^0xfff<<29 ^ (s[2]<<3^s[2])>>23
	s[3] = s[3]&^0x1ffff<<23 ^ (s[3]<<5^s[3])>>24
	s[4] = s[4]&^0x7fffff<<8 ^ (s[4]<<3^s[4])>>33
	return s[0] ^ s[1] ^ s[2] ^ s[3] ^ s[4]
}

// drawSeed is the seed of the next request: the product of two outputs.
func drawSeed(g Generator) uint64 {
	a := g.next()
	return a * g.next()
}

// below maps the next output to 0..n-1 in floating point, as fio does.
func below(g Generator, n float64) int64 {
	return int64(n * (float64(g.next()) / g.max()))
}

// jobSeeds are the seeds of a job's generators.
type jobSeeds [20]uint64

// allRandSeed is what fio up to 3.34 seeds everything from with allrandrepeat,
// and the order of blocks with randrepeat.
const allRandSeed = 0xb1899bed

// seedStep spreads the seeds; 2^32 divided by the golden ratio, roundish.
const seedStep = 0x9e370001

// makeSeeds derives the generators' seeds from randseed and the job's number.
func makeSeeds(o *Workload) (s jobSeeds) {
	thread := uint64(o.Thread)
	if o.AllRandRepeat && o.Fio < Fio340 {
		for i := range s {
			s[i] = allRandSeed*thread + uint64(i)
		}
		overrideOrder(&s, o)
		return s
	}
	x := o.RandSeed
	for range 4 {
		x *= seedStep
	}
	for i := range s {
		s[i] = x
		if o.Fio != Fio22 {
			s[i] = x*thread + uint64(i)
		}
		x *= seedStep
	}
	overrideOrder(&s, o)
	return s
}

// overrideOrder gives the order of blocks the seed that releases before 3.35
// gave it with randrepeat; fio 2.2 only if there is no randseed.
func overrideOrder(s *jobSeeds, o *Workload) {
	overrides := o.Fio == Fio333 || o.Fio == Fio22 && !o.RandSeedGiven
	if overrides && o.Direction.Random() && o.RandRepeat {
		s[o.Fio.streams().order] = allRandSeed * uint64(o.Thread)
	}
}
