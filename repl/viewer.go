package repl

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// viewer is a program that shows text to a person, such as less.
type viewer struct {
	cmd  *exec.Cmd
	text io.WriteCloser
}

// The exit statuses of a shell whose command is no program, or none that is there.
const (
	noProgram    = 126
	noSuchThing  = 127
	viewerOption = "LESS=FRX" // what less is told where nobody tells it anything
)

// openViewer starts a command of the shell sh on the terminal.
func openViewer(command string, out *os.File) (*viewer, error) {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr = out, out
	if _, told := os.LookupEnv("LESS"); !told {
		cmd.Env = append(os.Environ(), viewerOption)
	}
	text, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &viewer{cmd, text}, nil
}

// close waits until the person has seen enough. Shown is false if the program could not be run.
func (v *viewer) close() (shown bool) {
	_ = v.text.Close()
	var ended *exec.ExitError
	err := v.cmd.Wait()
	return !errors.As(err, &ended) || !slices.Contains([]int{noProgram, noSuchThing},
		ended.ExitCode())
}

// Shown says whether the program of the pager has the terminal, and so its keys.
func (p *Pager) Shown() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.viewer != nil
}

// Quit asks the program of the pager to end. Anybody may call it.
func (p *Pager) Quit() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.viewer != nil {
		_ = p.viewer.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	}
}

// view notes which program has the terminal, nil for none.
func (p *Pager) view(v *viewer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.viewer = v
}

// give gives text to the program, which gets all that came before as well when it begins. The
// person may have seen enough.
func (g *paging) give(text string) {
	v := g.pager.viewer
	if v == nil {
		g.pager.opened(nil)
		// \x1b[A is a row up, \x1b[J takes away what stands from there on
		_, _ = io.WriteString(g.pager.out, "\r"+strings.Repeat("\x1b[A", g.seen)+"\x1b[J")
		var err error
		if v, err = openViewer(g.pager.Program, g.pager.out); err != nil {
			g.instead()
			return
		}
		g.pager.view(v)
		text, g.began = g.began, ""
	}
	if _, err := io.WriteString(v.text, text); err == nil {
		return
	}
	if g.closeViewer(v); g.gives {
		g.leave()
	}
}

// closeViewer ends the program. If it showed nothing the text is shown without it.
func (g *paging) closeViewer(v *viewer) {
	shown := v.close()
	g.pager.view(nil)
	if !shown {
		g.instead()
	}
}

// instead shows the text on the screen, since the program cannot be run.
func (g *paging) instead() {
	g.gives = false
	g.open()
	g.note = harmless("PAGER='" + g.pager.Program + "' cannot be run")
}
