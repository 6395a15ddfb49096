// Package print turns events into bytes.
//
// A printer is the voice of one dialect. It is closed: an event that it has no case for prints
// nothing and makes Print say so, which tests look for. The printers of older dialects are patches:
// a switch over the events that were worded otherwise, and the newer printer for all others.
package print

import (
	"bytes"
	"io"
)

// stdioSize is the buffer of the C library's stdout, in bytes.
const stdioSize = 4096

// Stdout is a stream that is buffered as the C library buffers stdout: full blocks of 4096 bytes
// where it is no terminal, lines where it is one. Which part of the output comes before what
// another stream says is visible when both end in one pipe, and a program that dies by abort loses
// what is still buffered. An error of writing is kept, and fails nothing here: whether it counts is
// for the dialect to say.
type Stdout struct {
	// Failed is told of the first error of writing; nothing more is written then. Nil tells nobody,
	// and each write is tried, as qemu-io does.
	Failed func(error)

	w     io.Writer
	lines bool
	buf   []byte
	err   error // the first one
}

// NewStdout buffers w. lines is set for a terminal.
func NewStdout(w io.Writer, lines bool) *Stdout {
	return &Stdout{w: w, lines: lines}
}

// SetWriter changes where the stream goes.
func (s *Stdout) SetWriter(w io.Writer) {
	s.Flush()
	s.w = w
}

// Write buffers p. It never fails.
func (s *Stdout) Write(p []byte) (int, error) {
	if s.buf == nil {
		s.buf = make([]byte, 0, stdioSize)
	}
	for rest := p; len(rest) > 0; {
		if len(s.buf) == cap(s.buf) {
			s.Flush()
		}
		n := min(len(rest), cap(s.buf)-len(s.buf))
		s.buf = append(s.buf, rest[:n]...)
		rest = rest[n:]
	}
	if s.lines && bytes.IndexByte(p, '\n') >= 0 {
		s.Flush()
	}
	return len(p), nil
}

// Flush writes out what is buffered.
func (s *Stdout) Flush() {
	if len(s.buf) > 0 && (s.err == nil || s.Failed == nil) {
		if _, err := s.w.Write(s.buf); err != nil {
			s.fail(err)
		}
	}
	s.buf = s.buf[:0]
}

func (s *Stdout) fail(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	if s.Failed != nil {
		s.Failed(err)
	}
}

// Err is the first error of writing, nil if there was none.
func (s *Stdout) Err() error { return s.err }
