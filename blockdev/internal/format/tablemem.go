package format

import "github.com/blksh/blksh/blockdev/internal/arena"

// chunk is how much memory is asked for at a time. The system gives it when it is written to.
const chunk = 1 << 20

// tableMemory has the buffers of a cache. The garbage collector lets a heap grow to twice what is
// in use before it looks; a cache that is full for good would take its size twice. So they are not
// in the heap, and buffers that are given back are taken again.
type tableMemory struct {
	unit   int64 // bytes in a buffer
	chunks []*arena.Arena
	free   [][]byte
	lent   int
	over   bool // when all is back it goes to the system
}

// take is a buffer with anything in it.
func (m *tableMemory) take() ([]byte, error) {
	if len(m.free) == 0 {
		if err := m.grow(); err != nil {
			return nil, err
		}
	}
	last := len(m.free) - 1
	b := m.free[last]
	m.free = m.free[:last]
	m.lent++
	return b, nil
}

func (m *tableMemory) grow() error {
	n := max(chunk/m.unit, 1)
	a, err := arena.New(1, int(n*m.unit))
	if err != nil {
		return err
	}
	m.chunks = append(m.chunks, a)
	for all := a.Slot(0); n > 0; n-- {
		m.free = append(m.free, all[(n-1)*m.unit:n*m.unit:n*m.unit])
	}
	return nil
}

// give takes a buffer back, which may be nil.
func (m *tableMemory) give(b []byte) {
	if b == nil {
		return
	}
	m.free = append(m.free, b)
	m.lent--
	if m.over {
		m.trim()
	}
}

// trim gives everything to the system if nothing is in use.
func (m *tableMemory) trim() {
	if m.lent > 0 {
		return
	}
	for _, a := range m.chunks {
		a.Free()
	}
	m.chunks, m.free = nil, nil
}
