package main

import (
	"io"
	"os"

	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/repl"
)

// progress shows on stderr how far long commands have come: by itself if that is a terminal, and a
// line for every SIGUSR1. What is written to the same terminal goes around the line.
func (p *program) progress(stdout,
	stderr *os.File,
) func(w session.Work) (add func(n int64), end func()) {
	var width func() int
	if repl.IsTerminal(stderr) {
		width = func() int { return repl.Width(stderr) }
	}
	progress := repl.NewProgress(p.stderr, width)
	p.bar = progress
	if width != nil {
		p.errs.Writer = progress.Over(p.errs.Writer)
		if repl.IsTerminal(stdout) {
			p.out.SetWriter(p.paged(stdout, progress.Over(p.around(stdout))))
		}
	}
	return func(w session.Work) (add func(n int64), end func()) {
		return progress.Begin(repl.Work(w))
	}
}

// tellProgress is called when what is under way is about to be stopped.
func (p *program) tellProgress() {
	if p.bar != nil {
		p.bar.Leave()
	}
}

// folding is a terminal on which lines are broken between words, in the shell's own dialect.
func (p *program) folding(w io.Writer, terminal *os.File) io.Writer {
	if !p.native() {
		return w
	}
	return repl.Folding(w, terminal)
}

// around is a terminal on which a line may be edited.
func (p *program) around(f *os.File) io.Writer {
	if p.terminal == nil {
		return p.stdout
	}
	return p.terminal.Over(p.folding(p.stdout, f))
}
