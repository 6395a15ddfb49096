// Package script is the grammar in which commands are written, wherever they come from, and the few
// statements that bind them together.
//
// A [Parser] takes lines one after the other and gives back statements when they are whole: a line
// may go on in the next one, and a block does until its brace is closed. A [Machine] runs them on a
// [Host], which knows the commands.
//
//	line ─▶ Parser ─▶ statements ─▶ Machine ─▶ Host.Run, one command at a time
//	                                   ▲ │
//	                        Host.Number┘ └▶ Host.Emit, Host.Fail
//
// # Grammar
//
//	line      = [statement {";" statement}] ["# comment"]
//	statement = ["!" | "?"] command
//	          | "let" NAME "=" (sum | "quoted text")
//	          | "repeat" COUNT block
//	          | "for" NAME "in" WORD... ["step" SIZE] block
//	          | "if" ["not"] ("ok" | "same") block ["else" block]
//	          | "time" (command | block)
//	          | "expect" STATUS command
//	          | "seed" NUMBER
//	block     = "{" statements "}"
//
// A ";" stands behind a word or alone, where it may belong to multiwrite; a brace is a word. In
// words, $NAME, ${NAME} and $((SUM)) stand for values, see args.Word. Nothing here can run for ever
// by itself: every loop has an end that is known when it begins, and looks at its context each
// time.
package script

import (
	"context"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// Expect says what a command is to come to.
type Expect uint8

// What a command may be expected to do.
const (
	Success Expect = iota // any failure is one
	Failure               // it must fail: "!"
	Either                // it may fail: "?"
	Status                // it must end with a certain exit status: "expect"
)

// A Command is one command as it is to be run.
type Command struct {
	Words []string
	Pos   string // where it stands, as file:line; "" if it stands in no file
	// Expect and Status are what it is to come to.
	Expect Expect
	Status int
	// Typed: a person has typed it and can be asked.
	Typed bool
}

// Host runs commands.
type Host interface {
	// Run runs a command and shows what comes of it. A failure that is expected is not shown, and
	// counts for nothing. The error is how it ended, expected or not.
	Run(ctx context.Context, c Command) error
	// Status is the exit status of an error that Run returned.
	Status(err error) int
	// Number reads a number as commands do.
	Number(word string) (int64, error)
	// Emit shows an event.
	Emit(e event.Event)
	// Fail shows why a statement at a place failed, counts it as a failed command, and returns err.
	Fail(pos string, err error) error
	// Object shows that the last command ended as it must not, counts that as a failure, and
	// returns err.
	Object(err error) error
	// Cut is told that statements ended between two commands, which did not fail, because ctx did.
	Cut()
	// Ended says that no more commands are wanted.
	Ended() bool
}

// statement is one of the grammar.
type statement interface {
	run(ctx context.Context, m *Machine) error
}

// place is where a statement stands.
type place struct {
	pos   string
	typed bool
}

// The statements. Words are resolved each time one is run.
type (
	simple struct {
		place
		words  []args.Word
		expect Expect
		status int
	}
	split struct { // a command whose words somebody else has split
		place
		words []string
	}
	let struct {
		place
		name string
		sum  string
		text *args.Word // instead of a sum
	}
	repeat struct {
		place
		count args.Word
		body  []statement
	}
	loop struct {
		place
		name  string
		words []args.Word
		step  *args.Word // nil for 1
		body  []statement
	}
	branch struct {
		place
		not, same   bool
		then, other []statement
	}
	timed struct {
		place
		body []statement
	}
	seed struct {
		place
		number args.Word
	}
)
