package session

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/blksh/blksh/blockdev/wait"
	"github.com/blksh/blksh/commands/event"
)

// said is a printer that remembers.
type said struct{ lengths []int64 }

func (s *said) Print(_ event.Where, e event.Event) bool {
	s.lengths = append(s.lengths, e.(event.Length).Bytes)
	return true
}

func (*said) Flush() {}

// TestTell: events come in order, whether the request has a goroutine of its own or not.
func TestTell(t *testing.T) {
	for _, holds := range []bool{false, true} {
		p := &said{}
		s := New(Config{Printer: p, Policy: Policy{Status: func(error) int { return 1 }}})
		s.images = []*Image{{holds: holds}}
		wrong := errors.New("wrong")
		err := s.Tell(t.Context(), func(ctx context.Context, say func(event.Event)) error {
			for i := range 3 {
				say(event.Length{Bytes: int64(i)})
			}
			if wait.MeterOf(ctx) == nil {
				t.Error("nobody counts the request")
			}
			return wrong
		})
		if err != wrong || !slices.Equal(p.lengths, []int64{0, 1, 2}) {
			t.Errorf("%v, %v", p.lengths, err)
		}
	}
}
