package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/blksh/blksh/commands/session"
)

// statusInterrupted is the exit status of a program that was left by Ctrl-C.
const statusInterrupted = 130

// grace is how long an interrupted command may take to end before the person is told what it waits for.
const grace = 2 * time.Second

// interrupts turns Ctrl-C into the end of a command, and between commands into the end of the program, unless a person types them: then
// it came a moment too early for the command that was just entered, and ends nothing. A second one leaves at once,
// since a call that is already in the kernel cannot be taken back. A nil one leaves Ctrl-C to the system, which kills the program.
type interrupts struct {
	errs  io.Writer
	leave func()                  // puts the terminal back
	stop  context.CancelCauseFunc // ends the program
	tell  func()                  // says how far the command has come
	typed func() bool             // a person types the commands

	mu     sync.Mutex
	cancel context.CancelCauseFunc // of the running command, nil between commands
	asked  bool                    // it was interrupted before,
	over   bool                    // or the whole program was
}

// watch begins to listen.
func (i *interrupts) watch() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	go func() {
		for range signals {
			i.interrupt()
		}
	}()
}

func (i *interrupts) interrupt() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.asked || i.over {
		i.leave()
		os.Exit(statusInterrupted)
	}
	if i.cancel == nil && i.typed() {
		return
	}
	if i.cancel == nil {
		i.over = true
		i.stop(session.ErrInterrupted)
		return
	}
	i.asked = true
	i.tell()
	i.cancel(session.ErrInterrupted)
	time.AfterFunc(grace, i.explain)
}

func (i *interrupts) explain() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.asked {
		fmt.Fprintln(i.errs, "waiting for a request that the system has begun; Ctrl-C again leaves")
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
