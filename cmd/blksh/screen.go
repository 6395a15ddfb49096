package main

import (
	"io"
	"os"

	"github.com/blksh/blksh/repl"
)

// shownScreen is a screen that the program knows to leave when it is ended.
type shownScreen struct {
	*repl.Screen
	program *program
}

// openScreen shows a screen on the terminal.
func (p *program) openScreen(stdout *os.File) (*shownScreen, error) {
	screen, err := repl.OpenScreen(p.stdin, stdout)
	if err != nil {
		return nil, err
	}
	p.screen.Store(screen)
	return &shownScreen{screen, p}, nil
}

// paged is standard output whose text is shown a screen at a time where a person reads it, over w.
// The line of progress is not drawn over that.
func (p *program) paged(stdout *os.File, w io.Writer) io.Writer {
	if p.terminal == nil {
		return w
	}
	p.pager = repl.NewPager(p.stdin, stdout, func(screen *repl.Screen) {
		p.screen.Store(screen)
		p.bar.Leave()
	})
	p.pager.Program = os.Getenv("PAGER")
	return p.pager.Over(w)
}

// Close leaves the terminal as it was found.
func (s *shownScreen) Close() error {
	s.program.screen.Store(nil)
	return s.Screen.Close()
}
