package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// heedOutput says what becomes of standard output that cannot be written to: nothing in the originals, which do not notice a reader that has
// gone away either. Where it counts it ends what runs, and images are closed all the same.
func (p *program) heedOutput(stop context.CancelCauseFunc) {
	if !p.dialect.Policy.OutputCounts {
		signal.Ignore(syscall.SIGPIPE)
		return
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // not ignored, so that the command sigraise can raise it
	p.out.Failed = func(err error) { stop(&session.OutputError{Err: err}) }
}

// conclude says the last word, and returns the exit status.
func (p *program) conclude(status int) int {
	p.printer.Flush()
	if p.native() {
		p.printer.Print(event.Where{}, event.Exit{Status: p.outputStatus(status)})
		p.printer.Flush()
	}
	err := p.out.Err()
	if err != nil && p.dialect.Policy.OutputCounts && !errors.Is(err, syscall.EPIPE) { // a reader that has seen enough needs no word
		fmt.Fprintf(p.errs, "%s: %v\n", p.name, &session.OutputError{Err: err})
	}
	return p.outputStatus(status)
}

// outputStatus is the exit status with what became of standard output.
func (p *program) outputStatus(status int) int {
	if err := p.out.Err(); err != nil && p.dialect.Policy.OutputCounts {
		return max(status, p.dialect.Policy.Status(&session.OutputError{Err: err}))
	}
	return status
}
