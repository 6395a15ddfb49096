// Package repl is where lines come from: strings of the command line, a pipe, a script, or a person
// at a terminal.
//
// All of them are a [Source]. [Run] hands line after line to a [Runner] until one of them has
// enough. What lines mean together, as the blocks of scripts, is the runner's to know:
//
//	Strings ──┐
//	Reader  ──┤  Next          Run
//	Script  ──┼────────▶ loop ──────▶ runner
//	Prompt  ──┘
//
// Whoever waits for a line may have other things to do meanwhile, such as showing what a request in
// the background came to. So a source that has to wait reads on a goroutine, and leaves the one it
// was called on to a function, Await, which returns when it is told to.
//
// A terminal is more than lines: an editor ([Terminal]), completion ([Completer]), [History], a
// line of [Progress] while a command runs, and all of its rows at once ([Screen]), for text that is
// longer than it ([Pager]).
package repl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A Line is what one command is made from.
type Line struct {
	Text string
	// Words are what the command is made of if somebody has split it already; Text is not looked at
	// then.
	Words []string
	// Pos is where the line stands, as file:line; "" if it stands in no file.
	Pos string
	// Typed: a person has typed it and can be asked.
	Typed bool
}

// Source gives lines one after the other.
type Source interface {
	// Next waits for the next line. The error is io.EOF after the last one, and the cause of ctx if
	// that ends first; a line that was being waited for is not lost then but comes with a later
	// call. Calls must not overlap.
	Next(ctx context.Context) (Line, error)
}

// Await keeps a goroutine busy until ready is closed. It may return before, if there is nothing to
// do.
type Await func(ready <-chan struct{})

// ErrLineTooLong is the error of a line above 1 MiB.
var ErrLineTooLong = errors.New("line is longer than 1 MiB")

const (
	longestLine = 1 << 20
	firstBuffer = 32 << 10
	// idleReads is how many reads in a row may give neither bytes nor an error.
	idleReads = 100
)

// stringList is a source of lines that are there already.
type stringList struct{ rest []Line }

// Strings is a source of the given texts, a line each.
func Strings(texts ...string) Source {
	list := &stringList{}
	for _, text := range texts {
		list.rest = append(list.rest, Line{Text: text})
	}
	return list
}

// Texts is a source of the lines of the given texts. name and number are the position of a line in
// a text that has several.
func Texts(name string, texts ...string) Source {
	list := &stringList{}
	for _, text := range texts {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		for i, line := range lines {
			at := Line{Text: line}
			if len(lines) > 1 {
				at.Pos = fmt.Sprintf("%s:%d", name, i+1)
			}
			list.rest = append(list.rest, at)
		}
	}
	return list
}

// Words is a source of one command that was split by somebody else.
func Words(words ...string) Source { return &stringList{[]Line{{Words: words}}} }

func (s *stringList) Next(ctx context.Context) (Line, error) {
	if ctx.Err() != nil {
		return Line{}, context.Cause(ctx)
	}
	if len(s.rest) == 0 {
		return Line{}, io.EOF
	}
	line := s.rest[0]
	s.rest = s.rest[1:]
	return line, nil
}

// ReaderConfig says how lines are taken from a stream.
type ReaderConfig struct {
	// Prompt is called before each line, and before the end of the stream is looked for; it may be
	// nil.
	Prompt func()
	// Await is called for each line; it may be nil.
	Await Await
	// MaxLine cuts lines of more bytes: what is left of one is the next. It also makes a NUL end
	// its line. Both are what the C library's fgets does to programs that give it a buffer of
	// MaxLine+1 bytes. At 0 a line is what stands before a newline, at most 1 MiB, without the byte
	// order mark that editors put before the first one.
	MaxLine int
	// Name makes Pos of each line; "" leaves it out.
	Name string
}

// Reader is a source of the lines of a stream. It reads ahead.
type Reader struct {
	ReaderConfig
	in      io.Reader
	already <-chan struct{} // closed, for lines that are there
	// read and not taken is buf[start:end]; a read under way owns what follows
	buf      []byte
	start    int
	end      int
	searched int // bytes from start on without a newline
	number   int
	prompted bool
	idle     int
	err      error    // what the stream ended with
	reading  *reading // nil if none is under way
}

// A reading is a call of io.Reader.Read on a goroutine of its own. Its fields may be looked at when
// done is closed.
type reading struct {
	done chan struct{}
	n    int
	err  error
}

// NewReader makes a source of what can be read from in.
func NewReader(in io.Reader, cfg ReaderConfig) *Reader {
	already := make(chan struct{})
	close(already)
	return &Reader{ReaderConfig: cfg, in: in, buf: make([]byte, firstBuffer), already: already}
}

// Next waits for a line.
func (r *Reader) Next(ctx context.Context) (Line, error) {
	if ctx.Err() != nil {
		return Line{}, context.Cause(ctx)
	}
	if r.Prompt != nil && !r.prompted {
		r.Prompt()
	}
	r.prompted = true
	for {
		text, ok, err := r.take()
		if err != nil {
			return Line{}, err
		}
		if ok {
			r.prompted = false
			if r.Await != nil {
				r.Await(r.already)
			}
			return r.line(text), nil
		}
		if err := r.fill(ctx); err != nil {
			return Line{}, err
		}
	}
}

// byteOrderMark says of a text that it is in UTF-8.
const byteOrderMark = "\ufeff"

func (r *Reader) line(text []byte) Line {
	r.number++
	l := Line{Text: string(text)}
	if r.number == 1 && r.MaxLine == 0 {
		l.Text = strings.TrimPrefix(l.Text, byteOrderMark)
	}
	if r.Name != "" {
		l.Pos = fmt.Sprintf("%s:%d", r.Name, r.number)
	}
	return l
}

// take takes the next line out of the buffer; ok is false if it is not whole yet. The error is that
// of the end.
func (r *Reader) take() (text []byte, ok bool, err error) {
	limit := r.MaxLine
	if limit == 0 {
		limit = longestLine + 1
	}
	window := r.buf[r.start:min(r.end, r.start+limit)]
	switch i := bytes.IndexByte(window[r.searched:], '\n'); {
	case i >= 0:
		line := window[:r.searched+i]
		r.advance(len(line) + 1)
		return r.cutNUL(line), true, nil
	case len(window) == limit && r.MaxLine == 0:
		return nil, false, r.at(ErrLineTooLong)
	case len(window) == limit, r.err != nil && len(window) > 0:
		r.advance(len(window))
		return r.cutNUL(window), true, nil
	case r.err != nil:
		return nil, false, r.err
	}
	r.searched = len(window)
	return nil, false, nil
}

func (r *Reader) advance(n int) {
	r.start += n
	r.searched = 0
}

func (r *Reader) cutNUL(text []byte) []byte {
	if r.MaxLine > 0 {
		text, _, _ = bytes.Cut(text, []byte{0})
	}
	return text
}

// fill waits for more bytes, or for the end.
func (r *Reader) fill(ctx context.Context) error {
	if r.reading == nil {
		r.makeRoom()
		r.reading = startReading(r.in, r.buf[r.end:])
	}
	if err := wait(ctx, r.reading.done, r.Await); err != nil {
		return err
	}
	n, err := r.reading.n, r.reading.err
	r.reading = nil
	r.end += n
	if r.idle++; n > 0 {
		r.idle = 0
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		r.err = r.at(err)
	case err != nil:
		r.err = io.EOF
	case r.idle == idleReads:
		r.err = r.at(io.ErrNoProgress)
	}
	return nil
}

// at says where in the stream an error happened.
func (r *Reader) at(err error) error {
	if r.Name == "" {
		return err
	}
	return fmt.Errorf("%s:%d: %w", r.Name, r.number+1, err)
}

// makeRoom leaves space behind what was not taken yet, the amount of which take bounds. It moves
// bytes only when a quarter of the buffer or less is free, so that each is moved a few times at
// most however little comes at a time.
func (r *Reader) makeRoom() {
	left := r.buf[r.start:r.end]
	if len(left) > 0 && len(r.buf)-r.end > len(r.buf)/4 {
		return
	}
	if len(left) > len(r.buf)/2 {
		r.buf = make([]byte, 2*len(r.buf))
	}
	r.start, r.end = 0, copy(r.buf, left)
}

func startReading(in io.Reader, space []byte) *reading {
	r := &reading{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.n, r.err = in.Read(space)
	}()
	return r
}

// wait returns when done is closed, or with the cause of ctx when that ends; await fills the time.
func wait(ctx context.Context, done <-chan struct{}, await Await) error {
	if await != nil {
		either, stop := context.WithCancel(ctx)
		defer stop()
		go func() {
			select {
			case <-done:
				stop()
			case <-either.Done():
			}
		}()
		await(either.Done())
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
