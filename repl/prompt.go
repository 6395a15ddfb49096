package repl

import (
	"context"
	"errors"
	"strings"
)

// PromptConfig says how a person is asked for commands.
type PromptConfig struct {
	// Text is the prompt. It is called before each line, so that it may flush output too.
	Text func() string
	// Await is called for each line; it may be nil. What it writes should go through
	// [Terminal.Over].
	Await Await
	// InterruptLeaves: Ctrl-C is the error ErrInterrupted. Otherwise it drops the line.
	InterruptLeaves bool
	// Dropped is called when a line was dropped; it may be nil.
	Dropped func()
	// History gets the lines; it may be nil. Complain is told once when that fails.
	History  *History
	Complain func(error)
}

// Prompt is the source of what a person types.
type Prompt struct {
	PromptConfig
	editor Editor
	typing *typing // nil if nothing is asked
}

// A typing is a call of ReadLine on a goroutine of its own. Its fields may be looked at when done
// is closed.
type typing struct {
	done chan struct{}
	text string
	err  error
}

// NewPrompt makes a source of what is typed into the editor, which gets the lines of the history.
func NewPrompt(e Editor, cfg PromptConfig) *Prompt {
	if cfg.History != nil {
		for _, line := range cfg.History.Lines() {
			e.AddHistory(line)
		}
	}
	return &Prompt{PromptConfig: cfg, editor: e}
}

// Next waits for a line.
func (p *Prompt) Next(ctx context.Context) (Line, error) {
	for {
		if ctx.Err() != nil {
			return Line{}, context.Cause(ctx)
		}
		if p.typing == nil {
			p.typing = p.ask(p.Text())
		}
		if err := wait(ctx, p.typing.done, p.Await); err != nil {
			return Line{}, err
		}
		text, err := p.typing.text, p.typing.err
		p.typing = nil
		switch {
		case err == nil:
			p.remember(text)
			return Line{Text: text, Typed: true}, nil
		case !errors.Is(err, ErrInterrupted) || p.InterruptLeaves:
			return Line{}, err
		case p.Dropped != nil:
			p.Dropped()
		}
	}
}

func (p *Prompt) ask(prompt string) *typing {
	t := &typing{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.text, t.err = p.editor.ReadLine(prompt)
	}()
	return t
}

func (p *Prompt) remember(line string) {
	if strings.Trim(line, blanks) == "" {
		return
	}
	p.editor.AddHistory(line)
	if p.History == nil {
		return
	}
	if err := p.History.Add(line); err != nil && p.Complain != nil {
		p.Complain(err)
	}
}
