package session

import (
	"context"
	"time"

	"github.com/blksh/blksh/commands/event"
)

// utterance is an event that waits for the session goroutine. done is closed when it has been
// shown.
type utterance struct {
	event event.Event
	done  chan struct{}
}

// Tell is Do for a request that has much to say before it ends: say shows an event and returns when
// what it holds may be reused. It belongs to the goroutine that op is called on.
func (s *Session) Tell(ctx context.Context,
	op func(ctx context.Context, say func(event.Event)) error,
) error {
	say := s.say
	if s.alone() { // Do will not leave this goroutine
		say = s.Emit
	}
	return s.Do(ctx, func(ctx context.Context) error { return op(ctx, say) })
}

func (s *Session) say(e event.Event) {
	u := utterance{e, make(chan struct{})}
	s.mu.Lock()
	s.said = append(s.said, u)
	s.mu.Unlock()
	s.poke()
	<-u.done
}

func (s *Session) deliverSaid() {
	s.mu.Lock()
	said := s.said
	s.said = nil
	s.mu.Unlock()
	for _, u := range said {
		s.Emit(u.event)
		close(u.done)
	}
}

// Work is what a command is about to do, for who watches it.
type Work struct {
	What  string
	Total int64 // bytes; 0 if nobody knows
	// Request is how many bytes one request has, 0 if they are not of one length. Time is how long
	// the work takes, 0 if that is not known.
	Request int64
	Time    time.Duration
}

// Track begins work on so many bytes, see Config.Progress.
func (s *Session) Track(what string, total int64) (add func(n int64), end func()) {
	return s.Watch(Work{What: what, Total: total})
}

// Watch begins work, see Config.Progress.
func (s *Session) Watch(w Work) (add func(n int64), end func()) {
	if s.Progress == nil {
		return func(int64) {}, func() {}
	}
	return s.Progress(w)
}
