package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/repl"
)

// standard is standard output or standard error. Where the reader of a pipe has gone Write returns
// EPIPE: that of an os.File would end the program, unless os/signal knows of SIGPIPE, and to tell
// it of a signal costs a program that starts two changes of threads.
type standard struct {
	program *program
	file    *os.File
	deaf    atomic.Bool             // nobody read it when there was a hurry
	call    atomic.Pointer[sysCall] // that writes to it; nil before the first write
}

// sysCall writes a part of b.
type sysCall func(fd int, b []byte) (int, error)

// pipePiece is what a pipe takes without a wait once it is ready, in bytes: PIPE_BUF.
const pipePiece = 4096

// Write waits until signals are listened to: whoever has seen the program say something may send it
// one. What is told to end is not held up by a reader that takes nothing: it gets errDeaf.
func (s *standard) Write(b []byte) (n int, err error) {
	s.program.interrupts.await()
	conn, err := s.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	write := s.writer(conn)
	for n < len(b) && err == nil {
		var wrote int
		var failed error
		err = conn.Write(func(fd uintptr) (done bool) {
			wrote, failed = write(int(fd), b[n:])
			return failed != unix.EAGAIN || s.program.interrupts != nil
		})
		n += max(0, wrote)
		switch {
		case err != nil || failed == nil || failed == unix.EINTR:
		case failed == unix.EAGAIN:
			err = s.room(conn)
		default:
			err = failed
		}
	}
	return n, err
}

// writer is a call of the system that writes. Where a reader may take nothing for long it does not
// wait, but fails with EAGAIN. Only such streams cost more than a plain call.
func (s *standard) writer(conn syscall.RawConn) sysCall {
	if s.program.interrupts == nil {
		return unix.Write
	}
	call := s.call.Load()
	if call == nil {
		found := sysCall(unix.Write)
		_ = conn.Control(func(fd uintptr) {
			var st unix.Stat_t
			if unix.Fstat(int(fd), &st) != nil {
				return
			}
			switch kind := st.Mode & unix.S_IFMT; {
			case kind == unix.S_IFIFO:
				found = writePipe
			case kind == unix.S_IFSOCK || repl.IsTerminal(s.file):
				found = writeReady
			}
		})
		call = &found
		s.call.Store(call)
	}
	return *call
}

// writePipe writes what there is room for.
func writePipe(fd int, b []byte) (int, error) {
	n, err := unix.Pwritev2(fd, [][]byte{b}, -1, unix.RWF_NOWAIT)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS { // an old kernel
		return writeReady(fd, b)
	}
	return n, err
}

// writeReady writes what a stream that is ready takes at least.
func writeReady(fd int, b []byte) (int, error) {
	if ready, err := awaitRoom(fd, 0); ready == 0 && err == nil {
		return 0, unix.EAGAIN
	}
	return unix.Write(fd, b[:min(len(b), pipePiece)])
}

// awaitRoom waits for so many milliseconds until something can be written.
func awaitRoom(fd, patience int) (ready int, err error) {
	return unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, patience)
}

// unheard is the error of what was written for a reader that takes nothing.
type unheard struct{}

func (unheard) Error() string { return "nobody reads it" }

func (unheard) Unwrap() error { return syscall.EAGAIN }

var errDeaf error = unheard{}

// room waits until the reader takes something, or has gone. In a hurry it does so for grace, and
// once in vain.
func (s *standard) room(conn syscall.RawConn) error {
	if s.deaf.Load() && s.program.hurried.Load() > 0 {
		return errDeaf
	}
	const look = grace / 8 // how often to see whether there is a hurry
	for waited := time.Duration(0); waited < grace; {
		var ready int
		var failed error
		err := conn.Control(func(fd uintptr) {
			ready, failed = awaitRoom(int(fd), int(look.Milliseconds()))
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
	s.deaf.Store(true)
	return errDeaf
}

// hurry gives up what is written for readers that take nothing, until done is called.
func (p *program) hurry() (done func()) {
	p.hurried.Add(1)
	return func() { p.hurried.Add(-1) }
}

// giveUpLater gives up servers that have not answered after grace.
func (p *program) giveUpLater() {
	if p.session != nil {
		time.AfterFunc(grace, p.session.GiveUp)
	}
}

// heedOutput says what becomes of standard output that cannot be written to: nothing in the
// originals, which do not notice a reader that has gone away either. Where it counts it ends what
// runs, and images are closed all the same.
func (p *program) heedOutput(stop context.CancelCauseFunc) {
	if !p.dialect.Policy.OutputCounts {
		act(syscall.SIGPIPE, ignored) // as the originals do, and for the command sigraise
		return
	}
	p.out.Failed = func(err error) {
		stop(&session.OutputError{Err: err})
		p.giveUpLater()
	}
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
