package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// standard is standard output or standard error. Where the reader of a pipe has gone Write returns
// EPIPE: that of an os.File would end the program, unless os/signal knows of SIGPIPE, and to tell
// it of a signal costs a program that starts two changes of threads.
type standard struct {
	program *program
	file    *os.File
}

// Write waits until signals are listened to: whoever has seen the program say something may send it
// one.
func (s standard) Write(b []byte) (n int, err error) {
	s.program.interrupts.await()
	conn, err := s.file.SyscallConn()
	for n < len(b) && err == nil {
		var wrote int
		var failed error
		err = conn.Write(func(fd uintptr) (done bool) {
			wrote, failed = unix.Write(int(fd), b[n:])
			return failed != unix.EAGAIN
		})
		n += max(0, wrote)
		if err == nil && failed != unix.EINTR {
			err = failed
		}
	}
	return n, err
}

// heedOutput says what becomes of standard output that cannot be written to: nothing in the
// originals, which do not notice a reader that has gone away either. Where it counts it ends what
// runs, and images are closed all the same.
func (p *program) heedOutput(stop context.CancelCauseFunc) {
	if !p.dialect.Policy.OutputCounts {
		act(syscall.SIGPIPE, ignored) // as the originals do, and for the command sigraise
		return
	}
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
	// a reader that has seen enough needs no word
	if err != nil && p.dialect.Policy.OutputCounts && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintf(p.errs, "%s: %v\n", p.name, &session.OutputError{Err: err})
	}
	return p.outputStatus(status)
}

// outputStatus is the exit status with what became of standard output.
func (p *program) outputStatus(status int) int {
	if err := p.out.Err(); err != nil && p.dialect.Policy.OutputCounts {
		policy := &p.dialect.Policy
		return policy.Gravest(status, policy.Status(&session.OutputError{Err: err}))
	}
	return status
}
