package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/script"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/repl"
)

// runner runs the lines of one source in a session: in the shell's own dialect as statements, in
// the others as they stand.
type runner struct {
	*session.Session
	interrupts *interrupts // nil if a line that runs may be interrupted already
	parser     *script.Parser
	machine    *script.Machine // nil in the dialects of QEMU
	answers    bool            // every command is answered, and lines may be requests
}

// newRunner makes the runner of a source. Those of scripts share the variables.
func (p *program) newRunner(i *interrupts) runner {
	return runner{
		Session: p.session, interrupts: i, parser: &script.Parser{}, machine: p.machine,
		answers: p.options.json,
	}
}

// Run runs one line. Ctrl-C ends it and not the program, where the dialect has it so.
func (r runner) Run(ctx context.Context, line repl.Line) error {
	ctx, done := r.interrupts.during(ctx)
	defer done()
	switch {
	case r.machine == nil:
		return r.Session.Run(ctx, session.Line{
			Text: line.Text, Words: line.Words, Pos: line.Pos, Typed: line.Typed,
		})
	case line.Words != nil:
		return r.run(ctx, script.Split(line.Words, line.Pos), line.Pos)
	case r.answers && !r.parser.Open() && isRequest(line.Text):
		return r.serve(ctx, line)
	}
	statements, err := r.parser.Add(line.Text, line.Pos, line.Typed)
	if err != nil {
		return r.FailAt(line.Pos, err)
	}
	return r.run(ctx, statements, line.Pos)
}

// run runs statements, and answers those that say nothing to whoever waits for that.
func (r runner) run(ctx context.Context, statements script.Statements, pos string) error {
	mark := r.Mark()
	err := r.machine.Run(ctx, statements)
	if r.answers && len(statements) > 0 && r.Silent(mark) {
		r.Answer(mark, pos, event.Done{Command: r.Command(mark), Status: r.StatusOf(err)})
	}
	return err
}

// End refuses a source that ends amid a statement.
func (r runner) End() error {
	if err := r.parser.End(); err != nil {
		return r.FailAt("", err)
	}
	return nil
}

// host is a session to the statements of scripts.
type host struct{ *session.Session }

// fails is what a failure is to the session, by what is expected of a command.
var fails = [...]session.Fails{
	script.Success: session.MustNot, script.Failure: session.Must, script.Either: session.May,
	script.Status: session.Must,
}

// Run runs a command.
func (h host) Run(ctx context.Context, c script.Command) error {
	return h.Session.Run(ctx, session.Line{
		Words: c.Words, Pos: c.Pos, Fails: fails[c.Expect], Typed: c.Typed,
	})
}

// Status is the exit status of an error.
func (h host) Status(err error) int { return h.StatusOf(err) }

// Object shows that a command ended as it must not.
func (h host) Object(err error) error { return h.Session.Fail(err) }

// Fail shows why a statement failed.
func (h host) Fail(pos string, err error) error { return h.FailAt(pos, err) }

// Cut says to who typed the statements that not all was done. Where nobody did, the program ends,
// and says why.
func (h host) Cut() {
	if h.Interactive {
		h.Emit(event.Interrupted{})
	}
}

// deepest is how many scripts may run inside each other, so that one that sources itself ends.
const deepest = 16

// source runs the commands of a file. Their failures have been shown then.
func (p *program) source(ctx context.Context, name string) error {
	if p.depth == deepest {
		return event.Fail(event.ScriptFailed{
			Name: name, Err: fmt.Errorf("more than %d scripts inside each other", deepest),
		})
	}
	lines, err := repl.OpenScript(ctx, name)
	if err != nil {
		return scriptFailed(name, err)
	}
	defer lines.Close()
	p.depth++
	defer func() { p.depth-- }()
	r := p.newRunner(nil)
	if !p.dialect.Policy.StopAtFailure {
		return notRead(repl.Run(ctx, lines, r))
	}
	failed, err := repl.RunScript(ctx, lines, r)
	if failed != nil {
		return session.Shown(failed)
	}
	return notRead(err)
}

// notRead is the error of a script that could not be read to its end.
func notRead(err error) error {
	if err == nil || errors.Is(err, session.ErrInterrupted) {
		return err
	}
	return event.Fail(event.ScriptFailed{Err: err})
}
