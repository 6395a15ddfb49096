package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
)

// statusInterrupted is the exit status of a program that was left by Ctrl-C.
const statusInterrupted = 130

// statusSignal and the number of a signal are the exit status of a program that was ended by it.
const statusSignal = 128

const (
	// grace is how long what was interrupted may take to end before the person is told that it has
	// not. Servers that have not answered when a program that was told to end has had it are given
	// up, and so the person is told a little later.
	grace = 2 * time.Second
	later = grace / 8
)

// interrupts turns Ctrl-C into the end of the program: the command that runs is stopped, requests
// in the background are given up, images are closed. Where a person types the commands it is the
// end of the command alone, and between commands of nothing: it came a moment too early for the one
// that was just entered. Other signals that ask a program to end do so everywhere, and it dies of
// them at last, unless what was written could not be stored. A second signal ends it at once, since
// a call that is already in the kernel cannot be taken back. A nil one leaves all signals to the
// system.
type interrupts struct {
	watching  sync.Once
	listening chan struct{} // closed when a signal comes here and does not kill

	errs  io.Writer
	leave func()                  // puts the terminal back
	stop  context.CancelCauseFunc // ends the program
	tell  func()                  // says how far the command has come, if one is under way
	ask   func()                  // says it, or that none is
	typed func() bool             // a person types the commands
	paged func() bool             // a program has the terminal, which deals with Ctrl-C itself
	quit  func()                  // ends that
	hurry func()                  // nobody is waited for any longer, or not for long
	// session knows the images that may lack what was written last.
	session *session.Session
	// lost is the exit status of a run that lost something, which outweighs any signal; 0 for none.
	lost int

	mu     sync.Mutex
	cancel context.CancelCauseFunc // of the running command, nil between commands
	asked  bool                    // it was interrupted,
	over   bool                    // or the whole program was
	ending bool                    // no more commands are read
	fatal  syscall.Signal          // that asked the program to end, 0 if none did
}

// watch begins to listen, unless somebody has. Signals that were ignored when the program began
// stay so. It does not wait until it listens: to ask the runtime for a signal takes two changes of
// threads, and a program that has nothing to lose may as well be killed. Who has something to lose
// awaits it.
func (i *interrupts) watch() {
	if i != nil {
		i.watching.Do(func() { go i.listen() })
	}
}

func (i *interrupts) listen() {
	signals := make(chan os.Signal, 1)
	notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGUSR1)
	close(i.listening)
	questions := make(chan struct{}, 1)
	go func() {
		for range questions {
			i.ask()
		}
	}()
	for s := range signals {
		if s != syscall.SIGUSR1 {
			i.receive(s.(syscall.Signal))
			continue
		}
		select { // an answer that nobody reads keeps no other signal from coming here
		case questions <- struct{}{}:
		default:
		}
	}
}

// await waits until signals are listened to.
func (i *interrupts) await() {
	if i != nil {
		i.watch()
		<-i.listening
	}
}

// notify is signal.Notify for those signals that are not ignored.
func notify(to chan<- os.Signal, signals ...os.Signal) {
	for _, s := range signals {
		if !signal.Ignored(s) {
			signal.Notify(to, s)
		}
	}
}

func (i *interrupts) receive(s syscall.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.over || i.asked && s == syscall.SIGINT:
		i.leave()
		i.part()
		if s != syscall.SIGINT {
			raise(int(s))
		}
		os.Exit(statusInterrupted)
	case s != syscall.SIGINT:
		i.fatal = s
		i.end()
	case !i.typed() || i.ending:
		i.end()
	case i.cancel != nil && i.paged():
		i.cancel(session.ErrInterrupted)
	case i.cancel != nil:
		i.asked = true
		i.tell()
		i.cancel(session.ErrInterrupted)
		time.AfterFunc(grace, i.explain)
	}
}

// part says what may be lost with a program that ends at once, unless losses are not told of.
func (i *interrupts) part() {
	i.hurry()
	if i.lost == 0 {
		return
	}
	for _, name := range i.session.Unflushed() {
		fmt.Fprintf(i.errs, "%s was not closed: %s\n", print.Visible(name), print.MaybeLost)
	}
}

// finish says that there is no command any more that Ctrl-C could be the end of: it is that of the
// program.
func (i *interrupts) finish() {
	if i != nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.ending = true
	}
}

// end ends the program, and with it the command that runs.
func (i *interrupts) end() {
	i.over = true
	i.hurry()
	if i.cancel != nil {
		i.tell()
	}
	i.quit()
	i.stop(session.ErrInterrupted)
	time.AfterFunc(grace+later, i.explain)
}

func (i *interrupts) explain() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.asked || i.over {
		fmt.Fprintln(i.errs, "still at work; Ctrl-C again leaves")
	}
}

// during makes the context of a command. done ends it.
func (i *interrupts) during(ctx context.Context) (_ context.Context, done func()) {
	if i == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	i.mu.Lock()
	i.cancel = cancel
	i.mu.Unlock()
	return ctx, func() {
		i.mu.Lock()
		i.cancel, i.asked = nil, false
		i.mu.Unlock()
		cancel(nil)
	}
}

// status is the exit status of a program that ends: that of the signal that ended it, if one did
// and nothing was lost.
func (i *interrupts) status(otherwise int) int {
	if i == nil {
		return otherwise
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fatal != 0 && (i.lost == 0 || otherwise != i.lost) {
		return statusSignal + int(i.fatal)
	}
	return otherwise
}

// raise makes the program die of the signal that ended it, if that is what its status says.
func (i *interrupts) raise(status int) {
	if signalled := i.status(0); signalled != 0 && signalled == status {
		raise(status - statusSignal)
	}
}

// dieBySignals lets signals do what they do to a C program: the Go runtime would print stacks at
// one of them, and a terminal must be put back.
func (p *program) dieBySignals() {
	if !p.interactive() {
		act(syscall.SIGQUIT, byDefault)
		return
	}
	signals := make(chan os.Signal, 1)
	notify(signals, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := <-signals
		p.leaveTerminal()
		raise(int(s.(syscall.Signal)))
	}()
}
