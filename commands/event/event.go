// Package event has everything that a shell command can have to say, as plain values.
//
// A command formats nothing: it emits events, and the printer of the current dialect turns them into
// bytes on one of two streams. So the same command speaks the words of three QEMU versions, or JSON, and a test can
// look at what happened instead of at text.
//
// An event tells facts: numbers, names as typed, the error itself. It holds no sentence, except where the
// sentence is the fact (a complaint about options that do not go together).
package event

import (
	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// Event is one thing that happened. Kind names its type and is stable: programs that read JSON rely on it.
type Event interface{ Kind() string }

// Failure is an event that ends a command without success. It is an error, so that a command returns what it has to say.
type Failure struct{ Event Event }

func (f *Failure) Error() string { return f.Event.Kind() }

// Unwrap is the error that the event tells of, if it does.
func (f *Failure) Unwrap() error {
	if c, ok := f.Event.(interface{ Cause() error }); ok {
		return c.Cause()
	}
	return nil
}

// Fail makes an event the outcome of a command.
func Fail(e Event) error { return &Failure{e} }

// Notice is something that a layer of the block stack reports by itself.
type Notice struct{ Notice blockdev.Notice }

// Kind is "suspended", "resumed", "bitmaps_retired" or "warning".
func (n Notice) Kind() string {
	switch n.Notice.(type) {
	case driver.Suspended:
		return "suspended"
	case driver.Resumed:
		return "resumed"
	case driver.BitmapsRetired:
		return "bitmaps_retired"
	default:
		return "warning"
	}
}

// Where says what an event belongs to.
type Where struct {
	Line    int    // of the input, from 1; 0 before the first
	Pos     string // of the line in a script, as file:line; "" if it stands in none
	Command string // its first word
	Image   string // "" if there is none, or only one
	ID      int64  // of the request in the background, 0 for what a command does itself
}
