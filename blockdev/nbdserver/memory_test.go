package nbdserver

import (
	"testing"
	"time"
)

// counting is a stream of which a test says how much has moved.
type counting struct {
	stream
	movedBytes
	aborted bool
}

func (c *counting) moved() int64 { return c.movedBytes.moved() }

func (c *counting) abort() { c.aborted = true }

// TestLook looks at clients that are waited for with memory: those that have moved next to nothing
// from one look to the next are hung up on, if somebody waits at both.
func TestLook(t *testing.T) {
	s := &shared{limit: 100, patience: time.Hour} // looks come from the test alone
	still, slow, late, idle := &counting{}, &counting{}, &counting{}, &counting{}
	owes := func(c *counting) *client {
		debtor := &client{stream: c}
		s.owe(debtor)
		return debtor
	}
	hungUp := func(when string, want ...*counting) {
		t.Helper()
		for _, c := range []*counting{still, slow, late, idle} {
			wanted := false
			for _, w := range want {
				wanted = wanted || c == w
			}
			if c.aborted != wanted {
				t.Errorf("%s: %v", when, c)
			}
		}
	}
	s.take(100)
	a, b := owes(still), owes(slow)
	_ = b
	free := owes(idle)
	s.pay(free)
	s.look()
	hungUp("nobody waits")
	taken := make(chan struct{})
	go func() {
		s.take(50)
		close(taken)
	}()
	for waits := false; !waits; {
		s.mu.Lock()
		waits = len(s.queue) > 0
		s.mu.Unlock()
	}
	slow.n.Add(leastMoved)
	owes(late)
	s.look()
	hungUp("somebody waits", still)
	if !a.stalled.Load() {
		t.Error("it does not know why")
	}
	slow.n.Add(leastMoved - 1)
	late.n.Add(leastMoved)
	s.look()
	hungUp("for longer", still, slow)
	s.give(100)
	<-taken
	s.look()
	hungUp("nobody waits any more", still, slow)
}
