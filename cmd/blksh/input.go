package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/script"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/repl"
)

// lines is where lines come from: the command line, a person at a terminal, or a stream.
func (p *program) lines(ctx context.Context) (repl.Source, error) {
	if src, err := p.nativeLines(ctx); src != nil || err != nil {
		return src, err
	}
	if len(p.options.commands) > 0 {
		if p.native() {
			return repl.Texts("-c", p.options.commands...), nil
		}
		return repl.Strings(p.options.commands...), nil
	}
	p.interrupts.watch() // while lines are waited for
	if p.terminal != nil {
		return p.prompt(), nil
	}
	return repl.NewReader(p.stdin, repl.ReaderConfig{
		Prompt: func() {
			if p.dialect.Specs != nil { // the originals prompt programs too
				_, _ = io.WriteString(p.out, p.promptText())
			}
			p.out.Flush()
		},
		Await:   p.session.Await,
		MaxLine: p.dialect.Policy.MaxLine,
		Name:    p.streamName(),
	}), nil
}

// streamName is what the standard input is called in positions, "" where nobody tells them.
func (p *program) streamName() string {
	if p.native() {
		return "stdin"
	}
	return ""
}

func (p *program) promptText() string {
	if p.parser.Open() {
		return "... "
	}
	if p.native() {
		return p.nativePrompt()
	}
	return p.name + "> "
}

// openTerminal gets a line editor if a person types the lines. Without one the terminal is a stream
// like any other.
func (p *program) openTerminal(stdout *os.File) {
	n := &p.options
	if len(p.options.commands) > 0 || len(n.words) > 0 || n.script != "" || n.json ||
		!repl.IsTerminal(p.stdin) || !repl.IsTerminal(stdout) {
		return
	}
	t, err := repl.NewTerminal(p.stdin, stdout, completer{p})
	if err != nil {
		return
	}
	p.terminal = t
	if native, ok := p.printer.(*print.Native); ok {
		t.Paint = func(prompt string) string { return native.Look.Out.Paint(colour.Prompt, prompt) }
	}
	p.out.SetWriter(p.around(stdout))
	p.errs.Writer = t.Over(p.folding(p.errs.Writer, stdout))
}

// prompt asks the person at the terminal. A history that cannot be read or written is told of once.
func (p *program) prompt() repl.Source {
	complain := func(err error) { p.printer.Print(event.Where{}, event.Report{Err: err}) }
	history, err := repl.OpenHistory(repl.HistoryPath(os.Getenv))
	if err != nil {
		complain(err)
	}
	return repl.NewPrompt(p.terminal, repl.PromptConfig{
		Text: func() string {
			p.out.Flush()
			return p.promptText()
		},
		Await:           p.session.Await,
		InterruptLeaves: p.dialect.Policy.InterruptKills,
		Dropped:         func() { p.parser.Reset() },
		History:         history,
		Complain:        complain,
	})
}

// read runs all lines. The error is about where they come from.
func (p *program) read(ctx context.Context) error {
	lines, err := p.lines(ctx)
	if err != nil {
		return err
	}
	if p.native() {
		p.machine = script.NewMachine(host{p.session})
		if p.options.timeless {
			p.machine.NewSeed = func() uint64 { return sameSeed }
		}
		p.machine.KeepGoing = !p.dialect.Policy.StopAtFailure
	}
	r := p.newRunner(p.interrupts)
	p.parser = r.parser
	err = repl.Run(ctx, lines, r)
	p.leaveTerminal()
	switch {
	case errors.Is(err, repl.ErrInterrupted):
		p.printer.Flush()
		raise(int(syscall.SIGINT))
	case errors.Is(err, session.ErrInterrupted):
		return fmt.Errorf("%w: %w", err, event.Fail(event.Interrupted{}))
	case errors.As(err, new(*session.OutputError)):
		return err
	case err != nil:
		return event.FailReport(err)
	}
	return nil
}

// confirm asks the person who types the lines.
func (p *program) confirm(_ context.Context, question string) (string, error) {
	p.printer.Flush()
	return p.terminal.Ask(question)
}

// completer knows what may be typed.
type completer struct{ p *program }

// Commands are the names of all commands.
func (c completer) Commands() []string {
	var names []string
	for _, row := range c.p.session.Table.Rows() {
		names = append(names, row.Name)
	}
	return names
}

// Flags are the flags that may stand behind a line.
func (c completer) Flags(line []string) []repl.Choice {
	row, _ := c.p.session.Table.Innermost(line)
	if row == nil {
		return nil
	}
	var choices []repl.Choice
	for _, o := range row.Options() {
		spelled := append(o.Spellings(), "")
		choices = append(choices, repl.Choice{Word: spelled[0], Also: spelled[1], Help: o.Text()})
	}
	return choices
}

// Args are what may stand behind a line, by what its command declares.
func (c completer) Args(line []string, prefix string) []string {
	row, before := c.p.session.Table.Innermost(line)
	switch {
	case row == nil:
		return nil
	case c.p.machine != nil && strings.HasPrefix(prefix, "$"):
		return c.variables()
	}
	switch v := row.Expects(before); v.Type {
	case args.TypeFile, args.TypeDir:
		return repl.FileNames(prefix)
	case args.TypeImage:
		return c.images()
	case args.TypeImageFile:
		return append(c.images(), repl.FileNames(prefix)...)
	case args.TypeFormat:
		return c.formats()
	case args.TypeCommand:
		return c.Commands()
	case args.TypeTopic:
		return c.helped()
	case args.TypeEnum:
		return v.Words()
	}
	return nil
}

// Begin is where the command begins that the next word belongs to. Only the shell's own dialect has
// more than one in a line, and statements.
func (c completer) Begin(line []string) (before int, keywords []string, alone bool) {
	if c.p.machine == nil {
		return 0, nil, false
	}
	p := script.At(line, c.p.parser.Open())
	return p.Before, p.Keywords, p.Alone
}

// variables are those that have a value, as they stand in a word.
func (c completer) variables() []string {
	var names []string
	for _, name := range c.p.machine.Names() {
		names = append(names, "$"+name)
	}
	return names
}

// formats are the names of the drivers of formats.
func (c completer) formats() []string {
	var names []string
	for _, d := range c.p.session.Drivers {
		if d.Kind == driver.Format {
			names = append(names, d.Name)
		}
	}
	return names
}

// images are the names of the open images.
func (c completer) images() []string {
	var names []string
	for _, im := range c.p.session.Images() {
		names = append(names, im.Name)
	}
	return names
}

// helped is what there is help on.
func (c completer) helped() []string {
	names := c.Commands()
	for _, topic := range c.p.session.Topics {
		names = append(names, topic.Name)
	}
	return names
}
