package qcow2

import "sync"

// pins are the host ranges with guest I/O under way. A cluster under a pin may be given back by somebody else meanwhile, and
// must then keep its contents until the pin is gone.
type pins struct {
	mu     sync.Mutex
	active []span
	unused []int // indexes into active
}

// span is a range of the file.
type span struct{ off, n int64 }

func (s span) end() int64 { return s.off + s.n }

func (s span) overlaps(off, n int64) bool { return s.off < off+n && off < s.end() }

// add pins a range; the result is for remove.
func (p *pins) add(off, n int64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := len(p.unused); k > 0 {
		id := p.unused[k-1]
		p.unused = p.unused[:k-1]
		p.active[id] = span{off, n}
		return id
	}
	p.active = append(p.active, span{off, n})
	return len(p.active) - 1
}

func (p *pins) remove(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active[id] = span{}
	p.unused = append(p.unused, id)
}

// cover says whether any of the range is pinned.
func (p *pins) cover(off, n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.active {
		if s.n > 0 && s.overlaps(off, n) {
			return true
		}
	}
	return false
}
