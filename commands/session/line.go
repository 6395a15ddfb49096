package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	// Comments: a word that begins with '#' ends it.
	Comments bool
	// Fails says what a failure is to this line.
	Fails Fails
	// Typed: a person has typed it and can be asked.
	Typed bool
}

// Fails says whether a line is to fail. A failure that is allowed neither counts nor ends anything.
type Fails uint8

// What may be wanted of a line.
const (
	MustNot Fails = iota
	May           // a failure is shown,
	Must          // and one that is wanted is not
)

// words splits the line.
func (s *Session) split(l Line) ([]string, error) {
	if l.Words != nil {
		return l.Words, nil
	}
	words, err := s.Policy.Split(l.Text, l.Comments)
	if err != nil {
		return nil, event.Fail(event.BadValue{Message: err.Error()})
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
	return fmt.Errorf("%w: %w", ErrInterrupted, event.Fail(event.Interrupted{}))
}

// Near are the names of commands, and those of more, that a word may stand for, the likeliest first
// and at most three.
func (t *Table) Near(word string, more ...string) []string {
	type candidate struct {
		name string
		far  int
	}
	var found []candidate
	for _, name := range append(t.names(), more...) {
		far := distance(word, name)
		if far <= max(1, min(len(word), len(name))/3) || len(word) > 1 &&
			strings.HasPrefix(name, word) {
			found = append(found, candidate{name, far})
		}
	}
	slices.SortFunc(found,
		func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.far, b.far),
				cmp.Compare(a.name, b.name))
		})
	var names []string
	for _, c := range found[:min(len(found), 3)] {
		if len(c.name) > 1 {
			names = append(names, c.name)
		}
	}
	return names
}

// longestGuess bounds the words that are compared, in bytes: no command has a longer name.
const longestGuess = 32

// distance is how many letters must be changed, added, dropped or swapped with their neighbour to
// make b of a.
func distance(a, b string) int {
	if len(a) > longestGuess {
		return longestGuess
	}
	var rows [3][longestGuess + 1]int // the row before the last, the last, this one
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	for i := range len(a) {
		rows[2][0] = i + 1
		for j := range len(b) {
			change := rows[1][j]
			if a[i] != b[j] {
				change++
			}
			rows[2][j+1] = min(change, rows[1][j+1]+1, rows[2][j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				rows[2][j+1] = min(rows[2][j+1], rows[0][j-1]+1)
			}
		}
		rows[0], rows[1] = rows[1], rows[2]
	}
	return rows[1][len(b)]
}
