package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// Line is one line of input.
type Line struct {
	Text string
	// Words are what the line is made of if somebody has split it already; otherwise Text is split
	// as the dialect has it.
	Words []string
	// Pos is where it stands in a script, as file:line; "" if it stands in none.
	Pos string
	// Fails says what a failure is to this line.
	Fails Fails
	// Typed: a person has typed it and can be asked.
	Typed bool
}

// Fails says whether a line is to fail. A failure that is allowed neither counts nor ends anything.
// That there is no such command is never wanted.
type Fails uint8

// What may be wanted of a line.
const (
	MustNot Fails = iota
	May           // a failure is shown,
	Must          // and one that is wanted is not
)

// split makes words of the line.
func (s *Session) split(l Line) ([]string, error) {
	if l.Words != nil {
		return l.Words, nil
	}
	words, err := s.Policy.Split(l.Text)
	if err != nil {
		return nil, event.BadValuef("%v", err)
	}
	return words, nil
}

// outcome is err, or what ended the context of the command: output that takes no more, or a person
// who stopped it. Whoever stops a command that no longer notices wants those behind it no more; at
// the prompt there are none.
func (s *Session) outcome(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if errors.As(cause, new(*OutputError)) {
		return cause
	}
	if err == nil && s.Interactive || !errors.Is(cause, ErrInterrupted) {
		return err
	}
	var failure *event.Failure
	// it says how far it came
	if errors.As(err, &failure) && failure.Event.Class() == event.ClassInterrupted {
		return err
	}
	if failure != nil && failure.Event.Class() == event.ClassIO && !errors.Is(err, ErrInterrupted) {
		s.tell(err) // it failed by itself
		s.count(err)
	}
	return fmt.Errorf("%w: %w", ErrInterrupted, event.Fail(event.Interrupted{}))
}

// Near are the names of commands, and those of more, that a word may stand for, the likeliest
// first. A name that the command has elsewhere comes before those that look alike.
func (t *Table) Near(word string, more ...string) []string {
	var found []string
	for _, row := range t.Rows() {
		for _, elsewhere := range row.Elsewhere {
			if name, call, _ := strings.Cut(elsewhere, ": "); name == word {
				found = append(found, cmp.Or(call, row.Name))
			}
		}
	}
	return append(found, args.Near(word, append(t.names(), more...))...)
}
