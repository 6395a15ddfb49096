package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Script is a source of the commands in a text. Blank lines and lines that begin with '#' are none.
// Before a command, "!" says that it must fail and "?" that it may.
type Script struct {
	lines *Reader
	in    io.Reader
}

// NewScript makes a source of the commands in in. The name is for the positions of lines.
func NewScript(name string, in io.Reader) *Script {
	return &Script{lines: NewReader(in, ReaderConfig{Name: name, Comments: true}), in: in}
}

// OpenScript makes a source of the commands in a file; "-" is the standard input.
func OpenScript(name string) (*Script, error) {
	if name == "-" {
		return NewScript("stdin", io.NopCloser(os.Stdin)), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return NewScript(name, f), nil
}

// Next reads on to the next command.
func (s *Script) Next(ctx context.Context) (Line, error) {
	for {
		l, err := s.lines.Next(ctx)
		if err != nil {
			return Line{}, err
		}
		l.Text = strings.Trim(l.Text, blanks)
		switch {
		case l.Text == "", l.Text[0] == '#':
			continue
		case l.Text[0] == '!':
			l.Expect, l.Text = Failure, strings.TrimLeft(l.Text[1:], blanks)
		case l.Text[0] == '?':
			l.Expect, l.Text = Either, strings.TrimLeft(l.Text[1:], blanks)
		}
		return l, nil
	}
}

// Close closes the text if it can be closed.
func (s *Script) Close() error {
	if c, ok := s.in.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// blanks stand between words.
const blanks = " \t\r\n"

// ErrUnexpectedSuccess is the error of a line that had to fail and did not.
var ErrUnexpectedSuccess = errors.New("succeeded, but was expected to fail")

// Judge turns the outcome of the line into what it means: nil is as expected.
func (l Line) Judge(err error) error {
	switch {
	case l.Expect == Either:
		return nil
	case l.Expect == Success:
		return err
	case err == nil:
		return ErrUnexpectedSuccess
	}
	return nil
}

// deepest is how many scripts may be open at a time, so that one that sources itself ends.
const deepest = 16

// Stack is a source that can be interrupted by others: its lines are those of the source that came
// last, until that one ends.
type Stack struct {
	base    Source
	scripts []*Script
}

// NewStack makes a stack with one source.
func NewStack(base Source) *Stack { return &Stack{base: base} }

// Next waits for a line of the topmost source.
func (s *Stack) Next(ctx context.Context) (Line, error) {
	for {
		n := len(s.scripts)
		if n == 0 {
			return s.base.Next(ctx)
		}
		l, err := s.scripts[n-1].Next(ctx)
		switch {
		case err == nil:
			return l, nil
		case ctx.Err() != nil:
			return Line{}, err
		case !errors.Is(err, io.EOF):
			s.Abandon()
			return Line{}, &ScriptError{err}
		}
		s.pop()
	}
}

// ScriptError says that a script could not be read to its end. The source below it is as good as
// before.
type ScriptError struct{ Err error }

func (e *ScriptError) Error() string { return e.Err.Error() }

// Unwrap is the error of reading.
func (e *ScriptError) Unwrap() error { return e.Err }

// Source puts the commands of a file before all that were to come.
func (s *Stack) Source(name string) error {
	if len(s.scripts) == deepest {
		return fmt.Errorf("%s: more than %d scripts inside each other", name, deepest)
	}
	script, err := OpenScript(name)
	if err != nil {
		return err
	}
	s.scripts = append(s.scripts, script)
	return nil
}

// Abandon drops what is left of all scripts. What the stack was made with stays.
func (s *Stack) Abandon() {
	for len(s.scripts) > 0 {
		s.pop()
	}
}

func (s *Stack) pop() {
	last := len(s.scripts) - 1
	s.scripts[last].Close()
	s.scripts = s.scripts[:last]
}
