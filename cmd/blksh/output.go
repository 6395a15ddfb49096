package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

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

// pipePiece is what a pipe takes without a wait once it is ready, in bytes: PIPE_BUF.
const pipePiece = 4096

// Write waits until signals are listened to: whoever has seen the program say something may send it
// one. What is told to end is not held up by a reader that takes nothing: it gets errDeaf.
func (s standard) Write(b []byte) (n int, err error) {
	s.program.interrupts.await()
	conn, err := s.file.SyscallConn()
	for n < len(b) && err == nil {
		piece := b[n:]
		if s.program.interrupts != nil {
			piece = piece[:min(len(piece), pipePiece)]
			if err = s.room(conn); err != nil {
				break
			}
		}
		var wrote int
		var failed error
		err = conn.Write(func(fd uintptr) (done bool) {
			wrote, failed = unix.Write(int(fd), piece)
			return failed != unix.EAGAIN
		})
		n += max(0, wrote)
		if err == nil && failed != unix.EINTR {
			err = failed
		}
	}
	return n, err
}

// deaf is the error of what was written for a reader that takes nothing.
type deaf struct{}

func (deaf) Error() string { return "nobody reads it" }

func (deaf) Unwrap() error { return syscall.EAGAIN }

var errDeaf error = deaf{}

// room waits until the reader takes something, or has gone. In a hurry it does so for grace, and
// once in vain.
func (s standard) room(conn syscall.RawConn) error {
	if _, known := s.program.deaf.Load(s.file); known && s.program.hurried.Load() > 0 {
		return errDeaf
	}
	const look = grace / 8 // how often to see whether there is a hurry
	for waited := time.Duration(0); waited < grace; {
		var ready int
		var failed error
		err := conn.Control(func(fd uintptr) {
			ready, failed = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}},
				int(look.Milliseconds()))
		})
		switch {
		case err != nil:
			return err
		case ready > 0 || failed != nil && failed != unix.EINTR:
			return nil
		case s.program.hurried.Load() == 0:
			waited = 0
		case failed == nil:
			waited += look
		}
	}
	s.program.deaf.Store(s.file, true)
	return errDeaf
}

// hurry gives up what is written for readers that take nothing, until done is called.
func (p *program) hurry() (done func()) {
	p.hurried.Add(1)
	return func() { p.hurried.Add(-1) }
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
	if errors.Is(err, errDeaf) {
		defer p.hurry()() // nor is there one of the other stream, maybe
	}
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
