// Command blksh is an interactive shell for block devices and disk images, in the manner of qemu-io. Started under the name
// qemu-io it takes the same options and commands and prints the same bytes.
package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/commands/dialect"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
)

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

// program is one start of the shell.
type program struct {
	name    string // the last part of what it was started as
	dialect dialect.Dialect
	options options
	printer session.Printer
	out     *print.Stdout
	session *session.Session
	stdin   io.Reader
	errs    io.Writer
}

// run is the whole program as a function of its arguments and streams.
func run(argv []string, stdin *os.File, stdout, stderr *os.File) int {
	p := &program{name: "blksh", stdin: stdin, errs: stderr}
	if len(argv) == 0 {
		argv = []string{p.name}
	}
	p.name = filepath.Base(argv[0])
	p.out = print.NewStdout(stdout, isTerminal(stdout))
	var ok bool
	if p.dialect, ok = p.choose(argv[1:]); !ok {
		return 2
	}
	// As in the originals, a reader that has gone away is not noticed.
	if p.dialect.Specs != nil {
		signal.Ignore(syscall.SIGPIPE)
	}
	p.printer = p.dialect.Printer(p.out, stderr, p.name)
	defer p.printer.Flush()
	if err := p.prepare(argv); err != nil {
		var early exit
		if errors.As(err, &early) {
			return int(early)
		}
		var failure *event.Failure
		if errors.As(err, &failure) {
			p.printer.Print(event.Where{}, failure.Event)
		}
		return max(1, p.dialect.Policy.Status(err))
	}
	return p.serve(context.Background())
}

// exit is a status to leave with at once.
type exit int

func (exit) Error() string { return "exit" }

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// choose finds the dialect: by --dialect, by the environment, by the name of the program.
func (p *program) choose(words []string) (dialect.Dialect, bool) {
	name := "native"
	if p.name == qemuName {
		name = "qemu"
	}
	if env := os.Getenv("BLKSH_DIALECT"); env != "" {
		name = env
	}
	if p.name != qemuName {
		if given := givenDialect(words); given != "" {
			name = given
		}
	}
	d, ok := dialect.Find(name)
	if !ok {
		_, _ = io.WriteString(p.errs, p.name+": there is no dialect "+name+"\n")
	}
	return d, ok
}

// prepare reads the options and makes the session.
func (p *program) prepare(argv []string) error {
	if err := p.parse(argv); err != nil {
		return err
	}
	table, err := p.dialect.Table()
	if err != nil {
		return event.Fail(event.Report{Err: err})
	}
	p.session = session.New(session.Config{
		Table: table, Policy: p.dialect.Policy, Printer: p.printer, Drivers: drivers.All(),
		Step: p.options.step, Misalign: p.options.misalign, ImageOpts: p.options.imageOpts,
		Raise: raise, Abort: func() { raise(int(syscall.SIGABRT)) }, Trace: p.options.trace,
	})
	for id, data := range p.options.secrets {
		p.session.SetSecret(id, data)
	}
	return nil
}

// serve opens the image, runs the lines, and closes everything.
func (p *program) serve(ctx context.Context) int {
	if p.options.image != nil {
		if err := p.session.Open(ctx, *p.options.image); err != nil {
			p.session.Fail(err)
			if !p.dialect.Policy.StartWithout {
				return p.session.Status()
			}
		}
	}
	loop(ctx, p.session, p.source())
	p.session.Finish(ctx)
	return p.session.Status()
}

// source is where lines come from.
func (p *program) source() source {
	if len(p.options.commands) > 0 {
		lines := commandLines(p.options.commands)
		return &lines
	}
	return &inputLines{
		in: bufio.NewReaderSize(p.stdin, 64<<10), limit: p.dialect.Policy.MaxLine,
		busy: p.session.Busy, await: p.session.Await,
		prompt: func() {
			_, _ = io.WriteString(p.out, p.name+"> ")
			p.out.Flush()
		},
	}
}
