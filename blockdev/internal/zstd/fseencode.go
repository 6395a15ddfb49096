package zstd

import (
	"math"
	"math/bits"
)

// shares is a distribution of 1<<log states for symbols that come so often, into memory of the
// caller. There is more than one symbol.
func shares(counts []uint32, total, maxLog int, into []int16) distribution {
	log := min(max(bits.Len(uint(total-1))-2, minStatesLog), maxLog)
	last, distinct, most := 0, 0, 0
	for s, n := range counts {
		if n > 0 {
			last = s
			distinct++
		}
		if n > counts[most] {
			most = s
		}
	}
	for 1<<log < 2*distinct && log < maxLog {
		log++
	}
	d := distribution{log: log, states: into[:last+1]}
	left := 1 << log
	for s, n := range counts[:last+1] {
		d.states[s] = 0
		if n > 0 {
			d.states[s] = int16(max(1, (uint64(n)<<log+uint64(total)/2)/uint64(total)))
			left -= int(d.states[s])
		}
	}
	if left > 0 {
		d.states[most] += int16(left)
		left = 0
	}
	for ; left < 0; left++ { // the one that loses least by it gives up a state
		for s, n := range d.states {
			if n > d.states[most] {
				most = s
			}
		}
		d.states[most]--
	}
	return d
}

// bits is about how many bits symbols take that come so often; more than can be if there is no
// state for one.
func (d distribution) bits(counts []uint32) float64 {
	sum := 0.0
	for s, n := range counts {
		switch {
		case n == 0:
		case s >= len(d.states) || d.states[s] == 0:
			return math.Inf(1)
		default:
			sum += float64(n) * (float64(d.log) - math.Log2(float64(max(1, d.states[s]))))
		}
	}
	return sum
}

// appendTo appends the distribution as readDistribution reads it.
func (d distribution) appendTo(out []byte) []byte {
	w := forward{out: out}
	w.put(uint64(d.log-minStatesLog), 4)
	left, width := 1<<d.log+1, d.log+1
	for s := 0; left > 1; {
		states := d.states[s]
		s++
		v, small := int(states)+1, 1<<width-1-left
		switch {
		case v < small:
			w.put(uint64(v), uint(width-1))
		case v < 1<<(width-1):
			w.put(uint64(v), uint(width))
		default:
			w.put(uint64(v+small), uint(width))
		}
		left -= int(max(states, -states))
		if states == 0 {
			run := 0
			for d.states[s+run] == 0 {
				run++
			}
			s += run
			for ; run >= 3; run -= 3 {
				w.put(3, 2)
			}
			w.put(uint64(run), 2)
		}
		for left < 1<<(width-1) {
			width--
		}
	}
	return w.rest()
}

// stateCoder encodes symbols by states, from the last symbol to the first.
type stateCoder struct {
	log  int
	next [1 << maxStatesLog]uint16 // the states of each symbol, plus 1<<log
	rows [maxSymbols]struct {
		bits  uint32 // what, added to a state, has in its upper half how many bits it gives away
		first int32  // where next has the state for what remains of a state
	}
	start [maxSymbols]uint16 // the state of each symbol that takes most bits, one at least
}

func (c *stateCoder) build(d distribution) {
	var symbols [1 << maxStatesLog]uint8
	var at [maxSymbols]int
	d.spread(symbols[:1<<d.log])
	c.log = d.log
	total := 0
	for s, states := range d.states {
		n := int(max(states, -states))
		at[s] = total
		if n > 0 {
			most := d.log - bits.Len(uint(n-1)) + 1 // bits given away by the highest states
			if n == 1 {
				most = d.log
			}
			c.rows[s].bits = uint32(most<<16 - n<<most)
			c.rows[s].first = int32(total - n)
		}
		total += n
	}
	for i, s := range symbols[:1<<d.log] {
		c.next[at[s]] = uint16(1<<d.log + i)
		at[s]++
	}
	for s, states := range d.states {
		if n := int(max(states, -states)); n > 0 {
			c.start[s] = c.next[at[s]-n]
		}
	}
}

// put writes what turns the state into one of the symbol, and returns that.
func (c *stateCoder) put(w *forward, state uint16, symbol uint8) uint16 {
	row := &c.rows[symbol]
	n := (uint32(state) + row.bits) >> 16
	w.put(uint64(state)&(1<<n-1), uint(n))
	return c.next[int32(state>>n)+row.first]
}

// end writes the state that is read first.
func (c *stateCoder) end(w *forward, state uint16) {
	w.put(uint64(state)&(1<<c.log-1), uint(c.log))
}
