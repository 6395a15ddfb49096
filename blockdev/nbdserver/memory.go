package nbdserver

import (
	"errors"
	"sync"
	"time"
)

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
	// stallTime is how long a client may keep others waiting, where a Server says nothing else, and
	// leastMoved how many bytes it moves meanwhile, not to be hung up on.
	stallTime, leastMoved = 10 * time.Second, 64 << 10
)

// errStalled is why a client was hung up on.
var errStalled = errors.New("moved next to no data while others waited for the memory it has")

// shared bounds the memory of the requests of all connections. Whoever needs more than there is
// waits, behind those who wait already, and one that needs more than there can be waits until
// nobody has any.
//
// Who has memory and is itself waited for, to send data or to receive it, is in debt. While
// somebody waits for memory, debtors that move next to nothing are hung up on.
type shared struct {
	limit    int
	patience time.Duration // between two looks at the debtors
	mu       sync.Mutex
	used     int
	queue    []waiting
	debtors  map[*client]*debt
	looking  bool // another look comes
}

// debt is what a client does that is waited for.
type debt struct {
	requests int   // for which it is
	moved    int64 // what it had moved at the last look, in bytes, -1 if it was in no debt then
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
	if !s.looking {
		s.remember()
	}
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

// owe notes that c is waited for, with memory of all, until pay is called.
func (s *shared) owe(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.debtors == nil {
		s.debtors = map[*client]*debt{}
	}
	d := s.debtors[c]
	if d == nil {
		d = &debt{moved: -1}
		s.debtors[c] = d
	}
	d.requests++
}

// pay ends what owe began.
func (s *shared) pay(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.debtors[c]
	if d.requests--; d.requests == 0 {
		delete(s.debtors, c)
	}
}

// look hangs up on debtors that have moved next to nothing since the last look, if somebody waits.
func (s *shared) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looking = false
	if len(s.queue) == 0 {
		return
	}
	for c, d := range s.debtors {
		if d.moved >= 0 && c.stream.moved()-d.moved < leastMoved {
			c.hangUp()
		}
	}
	s.remember()
}

// remember notes what debtors have moved until now, for the next look. It is called with mu held.
func (s *shared) remember() {
	for c, d := range s.debtors {
		d.moved = c.stream.moved()
	}
	s.looking = true
	time.AfterFunc(s.patience, s.look)
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
