package main

import (
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

// Close leaves the terminal as it was found.
func (s *shownScreen) Close() error {
	s.program.screen.Store(nil)
	return s.Screen.Close()
}
