package main

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// source gives one line after the other, without its newline. The error after the last one is io.EOF.
type source interface {
	Next() (string, error)
}

// commandLines is the lines that were given on the command line.
type commandLines []string

// Next is the next line.
func (c *commandLines) Next() (string, error) {
	if len(*c) == 0 {
		return "", io.EOF
	}
	line := (*c)[0]
	*c = (*c)[1:]
	return line, nil
}

// longestLine bounds lines that no dialect bounds, in bytes.
const longestLine = 1 << 20

var errLongLine = errors.New("a line of the input is longer than 1 MiB")

// inputLines is a stream of lines behind a prompt.
type inputLines struct {
	in     *bufio.Reader
	line   []byte // the one that is read
	limit  int    // where a line is cut, the rest being the next one; 0: nowhere
	prompt func()
	// busy says whether anything can happen while a line is read.
	busy func() bool
	// await is called while a line is read, until ready is closed. Requests in the background complete meanwhile.
	await func(ready <-chan struct{})
}

// Next prompts and reads a line. As in C, a NUL byte ends what is seen of it.
func (l *inputLines) Next() (string, error) {
	l.prompt()
	line, err := l.attend()
	if err != nil {
		return "", err
	}
	line, _, _ = strings.Cut(line, "\x00")
	return line, nil
}

// attend reads a line while the session goes on.
func (l *inputLines) attend() (line string, err error) {
	if !l.busy() {
		return l.read()
	}
	ready := make(chan struct{})
	go func() {
		line, err = l.read()
		close(ready)
	}()
	l.await(ready)
	return line, err
}

func (l *inputLines) read() (string, error) {
	l.line = l.line[:0]
	for {
		c, err := l.in.ReadByte()
		switch {
		case err != nil && len(l.line) == 0:
			return "", err
		case err != nil || c == '\n':
			return string(l.line), nil
		}
		l.line = append(l.line, c)
		switch {
		case len(l.line) == l.limit:
			return string(l.line), nil
		case len(l.line) > longestLine:
			return "", errLongLine
		}
	}
}
