package repl

import (
	"context"
	"io"
	"os"

	"github.com/blksh/blksh/blockdev/target"
)

// Script is a source of the lines of a text.
type Script struct {
	*Reader
	in io.Reader
}

// NewScript makes a source of the lines in in. The name is for their positions.
func NewScript(name string, in io.Reader) *Script {
	return &Script{Reader: NewReader(in, ReaderConfig{Name: name}), in: in}
}

// OpenScript makes a source of the lines of a file; "-" is the standard input. Where reading waits
// for somebody, it fails when ctx ends.
func OpenScript(ctx context.Context, name string) (*Script, error) {
	if name == "-" {
		return NewScript("stdin", io.NopCloser(os.Stdin)), nil
	}
	f, err := target.OpenInput(ctx, name)
	if err != nil {
		return nil, err
	}
	return NewScript(name, f), nil
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
