package format

import "sync"

// Pins are the ranges of a file with guest I/O under way. A cluster under a pin may be given back
// by somebody else meanwhile, and must then keep its contents until the pin is gone. The zero value
// has none.
type Pins struct {
	mu     sync.Mutex
	active []Span
	unused []int // indexes into active
}

// Add pins a range; the result is for Remove.
func (p *Pins) Add(off, n int64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := len(p.unused); k > 0 {
		id := p.unused[k-1]
		p.unused = p.unused[:k-1]
		p.active[id] = Span{off, n}
		return id
	}
	p.active = append(p.active, Span{off, n})
	return len(p.active) - 1
}

// Remove takes a pin out.
func (p *Pins) Remove(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active[id] = Span{}
	p.unused = append(p.unused, id)
}

// Cover says whether any of the range is pinned.
func (p *Pins) Cover(off, n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.active {
		if s.Len > 0 && s.Overlaps(off, n) {
			return true
		}
	}
	return false
}
