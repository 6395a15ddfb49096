package nbdserver

import "sync"

const (
	// maxMemory is how many bytes of data the requests of one connection may hold at a time. A
	// single one may hold more.
	maxMemory = 16 << 20
	// maxShared is how many the requests of all connections may hold, where a Server says nothing
	// else.
	maxShared = 256 << 20
	// ownMemory is how many bytes each connection may have besides, so that those who hold all the
	// memory do not keep others from short requests.
	ownMemory = 256 << 10
)

// shared bounds the memory of the requests of all connections. Whoever needs more than there is
// waits, behind those who wait already, and one that needs more than there can be waits until
// nobody has any.
type shared struct {
	limit int
	mu    sync.Mutex
	used  int
	queue []waiting
}

type waiting struct {
	n     int
	taken chan struct{} // closed when it is
}

func (s *shared) take(n int) {
	s.mu.Lock()
	if len(s.queue) == 0 && s.fits(n) {
		s.used += n
		s.mu.Unlock()
		return
	}
	w := waiting{n, make(chan struct{})}
	s.queue = append(s.queue, w)
	s.mu.Unlock()
	<-w.taken
}

// tryTake takes what can be had without waiting.
func (s *shared) tryTake(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 || !s.fits(n) {
		return false
	}
	s.used += n
	return true
}

// fits says whether there is memory for n bytes. It is called with mu held.
func (s *shared) fits(n int) bool { return s.used == 0 || s.used+n <= s.limit }

func (s *shared) give(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
	for len(s.queue) > 0 && s.fits(s.queue[0].n) {
		s.used += s.queue[0].n
		close(s.queue[0].taken)
		s.queue = s.queue[1:]
	}
}

// budget bounds the memory of the requests of one connection, as shared does of all.
type budget struct {
	all   *shared
	limit int
	mu    *sync.Mutex
	freed *sync.Cond
	used  int
	own   int // of what is used: not of the memory of all
}

func newBudget(limit int, all *shared) budget {
	mu := &sync.Mutex{}
	return budget{all: all, limit: limit, mu: mu, freed: sync.NewCond(mu)}
}

// hold is what one request has.
type hold struct {
	n      int
	shared bool // it is of the memory of all
}

// take waits for n bytes. One request of a connection at a time does so.
func (b *budget) take(n int) hold {
	b.mu.Lock()
	for b.used > 0 && b.used+n > b.limit {
		b.freed.Wait()
	}
	if n > ownMemory {
		b.used += n
		b.mu.Unlock()
		b.all.take(n)
		return hold{n, true}
	}
	defer b.mu.Unlock()
	for b.own+n > ownMemory {
		if b.all.tryTake(n) {
			b.used += n
			return hold{n, true}
		}
		b.freed.Wait() // for what the connection has of its own
	}
	b.used += n
	b.own += n
	return hold{n, false}
}

func (b *budget) give(h hold) {
	if h.shared {
		b.all.give(h.n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= h.n
	if !h.shared {
		b.own -= h.n
	}
	b.freed.Broadcast()
}

// idle says that nobody has any.
func (b *budget) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used == 0
}
