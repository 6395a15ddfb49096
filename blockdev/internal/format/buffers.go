package format

import "sync"

// Buffers lends memory for the time of a request. The zero value is ready.
type Buffers struct{ pool sync.Pool } // of *[]byte

// Get is n bytes of any contents.
func (b *Buffers) Get(n int64) *[]byte {
	if p, _ := b.pool.Get().(*[]byte); p != nil && int64(cap(*p)) >= n {
		*p = (*p)[:n]
		return p
	}
	p := make([]byte, n)
	return &p
}

// Put takes buffers back.
func (b *Buffers) Put(buffers ...*[]byte) {
	for _, p := range buffers {
		b.pool.Put(p)
	}
}
