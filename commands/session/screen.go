package session

import (
	"context"

	"github.com/blksh/blksh/commands/event"
)

// Screen is a terminal as a whole, see repl.Screen. Close leaves the terminal as it was found.
type Screen interface {
	Size() (rows, columns int)
	Key(ctx context.Context) (string, error)
	Draw(rows []string, row, column int) error
	Close() error
}

// noScreen says that a command wants a terminal that is not there.
type noScreen struct{ op string }

func (n noScreen) Error() string {
	return n.op + " needs a terminal, and standard output that is no pipe and no JSON"
}

// Class is that of wrong usage.
func (noScreen) Class() event.Class { return event.ClassUsage }

// OnScreen runs show on the screen of a terminal, which it owns meanwhile. The error is an
// event.Failure if there is none.
func (s *Session) OnScreen(op string, show func(Screen) error) error {
	if s.Config.Screen == nil {
		return event.FailReport(noScreen{op})
	}
	s.Printer.Flush()
	s.Ready()
	screen, err := s.Config.Screen()
	if err != nil {
		return event.FailReport(err)
	}
	err = show(screen)
	if closed := screen.Close(); err == nil {
		err = closed
	}
	return err
}
