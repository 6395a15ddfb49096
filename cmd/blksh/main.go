// Command blksh is an interactive shell for block devices and disk images, in the manner of
// qemu-io. Started under the name qemu-io it takes the same options and commands and prints the
// same bytes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"

	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/dialect"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/script"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/repl"
)

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

// program is one start of the shell.
type program struct {
	name    string // the last part of what it was started as
	asked   string // the dialect that --dialect names, "" if it is not there
	dialect dialect.Dialect
	options options
	printer session.Printer
	out     *print.Stdout
	session *session.Session
	stdin   *os.File
	errs    *stream

	terminal   *repl.Terminal              // nil if nobody types lines
	screen     atomic.Pointer[repl.Screen] // nil while lines are shown
	pager      *repl.Pager                 // nil if nobody reads
	passwords  repl.Passwords
	interrupts *interrupts     // nil if Ctrl-C kills
	machine    *script.Machine // nil in the dialects of QEMU
	parser     *script.Parser  // of the lines that come from outside
	depth      int             // how many scripts run inside each other

	stdout, stderr *standard
	hurried        atomic.Int32 // how many have asked for it, see hurry

	settings      settings
	wrongSettings []error

	bar *repl.Progress
}

// stream is standard error, which goes around the line editor once there is one.
type stream struct{ io.Writer }

// run is the whole program as a function of its arguments and streams.
func run(argv []string, stdin *os.File, stdout, stderr *os.File) int {
	p := &program{name: "blksh", stdin: stdin, errs: &stream{}}
	p.stderr = &standard{program: p, file: stderr}
	p.stdout = &standard{program: p, file: stdout}
	p.errs.Writer = p.stderr
	if len(argv) == 0 {
		argv = []string{p.name}
	}
	p.name = filepath.Base(argv[0])
	p.out = print.NewStdout(p.stdout, repl.IsTerminal(stdout))
	if p.name == qemuName {
		argv = p.takeOwn(argv)
	}
	var ok bool
	var early first
	joined := joinBrackets(argv)
	if p.dialect, early, ok = p.choose(joined[1:],
		repl.IsTerminal(stdin) && repl.IsTerminal(stdout)); !ok {
		return 2
	}
	if p.native() {
		argv = joined
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	p.heedOutput(stop)
	p.speak(early, stdout, stderr)
	status := p.conclude(p.start(ctx, stop, argv, stdout, stderr))
	p.interrupts.raise(status)
	return status
}

// start does everything between the choice of a voice and its last word, and returns the exit
// status. stop ends ctx.
func (p *program) start(ctx context.Context, stop context.CancelCauseFunc, argv []string, stdout,
	stderr *os.File,
) int {
	if err := p.prepare(argv, stdout, stderr); err != nil {
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
	defer p.leaveTerminal()
	if p.dialect.Policy.InterruptKills {
		p.dieBySignals()
	} else {
		p.interrupts = &interrupts{
			listening: make(chan struct{}), errs: p.errs, leave: p.leaveTerminal, stop: stop,
			tell: p.tellProgress, ask: p.bar.Print, typed: p.interactive,
			paged: p.pager.Shown, quit: p.pager.Quit, lost: p.dialect.Policy.Lost,
			hurry:   func() { p.hurry(); p.giveUpLater() },
			session: p.session,
		}
		if p.options.json { // the last line is due in any case
			p.interrupts.await()
		}
	}
	return p.interrupts.status(p.serve(ctx))
}

// interactive: a person types the lines.
func (p *program) interactive() bool { return p.terminal != nil }

// exit is a status to leave with at once.
type exit int

func (exit) Error() string { return "exit" }

func (p *program) leaveTerminal() {
	_ = p.passwords.Show()
	if screen := p.screen.Load(); screen != nil {
		_ = screen.Leave()
	}
	if p.terminal != nil {
		_ = p.terminal.Close()
	}
}

// choose finds the dialect: by --dialect, by the environment, by the name of the program. early is
// what the words say of the output.
func (p *program) choose(words []string, terminal bool) (d dialect.Dialect, early first, ok bool) {
	name := nativeName
	if p.name == qemuName {
		name = "qemu"
	}
	env := os.Getenv("BLKSH_DIALECT")
	if env != "" {
		name = env
	}
	if p.name != qemuName {
		early = p.preview(words)
		p.asked = early.dialect
	}
	if p.asked != "" {
		name = p.asked
	}
	if name == nativeName {
		p.loadSettings(early, terminal)
		if p.settings.dialect != "" && env == "" && p.asked == "" {
			name = p.settings.dialect
		}
	}
	d, ok = dialect.Find(name)
	if !ok {
		fmt.Fprintf(p.errs, "%s: there is no dialect %s, only %s\n", p.name, print.Visible(name),
			args.Listed(dialect.Names(), "and"))
	}
	return d, early, ok
}

// prepare reads the options and makes the session.
func (p *program) prepare(argv []string, stdout, stderr *os.File) error {
	if err := p.parse(argv); err != nil {
		return err
	}
	table := p.dialect.Table()
	p.openTerminal(stdout)
	cfg := session.Config{
		Table: table, Policy: p.dialect.Policy, Printer: p.printer, Drivers: drivers.All(),
		Interactive: p.interactive(), Step: p.options.step, Misalign: p.options.misalign,
		ImageOpts: p.options.imageOpts,
		Raise:     raise, Abort: func() { raise(int(syscall.SIGABRT)) },
		Ready: func() { p.interrupts.await() }, Trace: p.options.trace.hook(),
		Ask: p.asker(), Workers: makeRoom, Hurry: p.hurry,
	}
	if p.native() {
		p.equip(&cfg, stdout, stderr)
	}
	p.session = session.New(cfg)
	for id, object := range p.options.objects {
		p.session.SetObject(id, object)
	}
	return nil
}

// makeRoom has the runtime run n goroutines more at a time until done is called. It counts one that
// is in the kernel among those that run, until it has not come back for a while, and has another
// wait all that time though a processor stands idle.
func makeRoom(n int) (done func()) {
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(before + n)
	return func() { runtime.GOMAXPROCS(before) }
}

// serve opens the image, runs the lines, and closes everything.
func (p *program) serve(ctx context.Context) int {
	p.runLines(ctx)
	p.heedTrace()
	return p.session.Status()
}

func (p *program) runLines(ctx context.Context) {
	if p.options.image != nil {
		opening, done := p.interrupts.during(ctx)
		err := p.session.Open(opening, *p.options.image)
		done()
		if err != nil {
			p.session.Fail(p.meant(err))
			if !p.dialect.Policy.StartWithout {
				return
			}
		}
	}
	p.greet()
	if err := p.read(ctx); err != nil {
		p.session.Fail(err)
	}
	p.warnOfInput()
	p.interrupts.finish()
	p.session.Finish(ctx)
}
