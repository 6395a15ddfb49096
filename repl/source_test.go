package repl

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// all reads a source to its end.
func all(t *testing.T, src Source) ([]Line, error) {
	t.Helper()
	var lines []Line
	for {
		l, err := src.Next(t.Context())
		if err != nil {
			return lines, err
		}
		lines = append(lines, l)
	}
}

func texts(lines []Line) []string {
	out := []string{}
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return out
}

func TestStrings(t *testing.T) {
	t.Parallel()
	lines, err := all(t, Strings("length", "read 0 512"))
	if !slices.Equal(texts(lines), []string{"length", "read 0 512"}) || !errors.Is(err, io.EOF) {
		t.Errorf("%q, %v", texts(lines), err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	if _, err := Strings("length").Next(ctx); !errors.Is(err, why) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	x := strings.Repeat
	for _, c := range []struct {
		name  string
		cut   int
		input string
		want  []string
	}{
		{"nothing", 0, "", nil},
		{"lines", 0, "a\nb c\n", []string{"a", "b c"}},
		{"no newline at the end", 0, "a\nb", []string{"a", "b"}},
		{"blank lines", 0, "\n  \n", []string{"", "  "}},
		{"carriage return", 0, "a\r\n", []string{"a\r"}},
		{"byte order mark", 0, "\ufeffa\n\ufeffb\n", []string{"a", "\ufeffb"}},
		{"byte order mark of an original", 1023, "\ufeffa\n", []string{"\ufeffa"}},
		{"NUL is a byte", 0, "a\x00b\n", []string{"a\x00b"}},
		{"a long line", 0, x("x", 200_000) + "\ny", []string{x("x", 200_000), "y"}},
		{"the longest line", 0, x("x", longestLine) + "\n", []string{x("x", longestLine)}},
		{"NUL ends a line", 1023, "length\x00 x\nlength\n", []string{"length", "length"}},
		{"cut", 1023, x("x", 1030) + "\ny\n", []string{x("x", 1023), x("x", 7), "y"}},
		{"cut before the newline", 1023, x("x", 1023) + "\ny\n", []string{x("x", 1023), "", "y"}},
		{"not cut", 1023, x("x", 1022) + "\ny\n", []string{x("x", 1022), "y"}},
		{"cut at the end", 1023, x("x", 1023), []string{x("x", 1023)}},
		{"NUL in what is cut", 4, "ab\x00defgh\n", []string{"ab", "efgh", ""}},
	} {
		for name, in := range map[string]io.Reader{
			"at once":     strings.NewReader(c.input),
			"in pieces":   &pieces{in: strings.NewReader(c.input), size: 1 + len(c.input)/5000},
			"end at once": iotest.DataErrReader(strings.NewReader(c.input)),
		} {
			lines, err := all(t, NewReader(in, ReaderConfig{MaxLine: c.cut}))
			if !slices.Equal(texts(lines), append([]string{}, c.want...)) ||
				!errors.Is(err, io.EOF) {
				t.Errorf("%s, %s: %.60q, %v", c.name, name, texts(lines), err)
			}
		}
	}
}

// pieces reads few bytes at a time, which is one at a time from what is short.
type pieces struct {
	in   io.Reader
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.in.Read(b[:min(len(b), p.size)]) }

func TestReaderErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	idle := iotest.ErrReader(nil) // neither bytes nor an error
	for _, c := range []struct {
		name string
		in   io.Reader
		want error
		text string
	}{
		{"too long", io.MultiReader(strings.NewReader("a\n"), strings.NewReader(strings.Repeat("x", longestLine+1)+"\n")), ErrLineTooLong, "f:2: "},
		{"never ends", &endless{}, ErrLineTooLong, "f:1: "},
		{"broken", io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), broken, "f:2: "},
		{"idle", idle, io.ErrNoProgress, "f:1: "},
	} {
		_, err := all(t, NewReader(c.in, ReaderConfig{Name: "f"}))
		if !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// endless reads as one line without an end.
type endless struct{ given int }

func (e *endless) Read(p []byte) (int, error) {
	if e.given += len(p); e.given > 16<<20 {
		return 0, errors.New("this is too much to read for one line")
	}
	return copy(p, bytes.Repeat([]byte("x"), len(p))), nil
}

// What happens while a line is waited for happens on the goroutine that waits.
func TestReaderAwaits(t *testing.T) {
	t.Parallel()
	var prompts, awaited int
	in, out := io.Pipe()
	r := NewReader(in, ReaderConfig{
		Prompt: func() { prompts++ },
		Await: func(ready <-chan struct{}) {
			if awaited++; awaited == 1 {
				go io.WriteString(out, "one\ntwo\n")
			}
			<-ready
		},
	})
	for i, want := range []string{"one", "two"} {
		if l, err := r.Next(t.Context()); l.Text != want || err != nil || prompts != i+1 {
			t.Errorf("%q, %v, %d prompts", l.Text, err, prompts)
		}
	}
	out.Close()
	if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) || prompts != 3 {
		t.Errorf("%v, %d prompts", err, prompts)
	}
	// twice for the first line: it was not there and it came; then for the second and for the end
	if awaited != 4 {
		t.Errorf("awaited %d times", awaited)
	}
}

// A line that was being waited for when the context ended comes later, with no second prompt.
func TestReaderKeepsALine(t *testing.T) {
	t.Parallel()
	for name, await := range map[string]Await{
		"alone": nil,
		"busy":  func(ready <-chan struct{}) { <-ready }, "idle": func(<-chan struct{}) {},
	} {
		prompts := 0
		in, out := io.Pipe()
		waiting := make(chan struct{})
		r := NewReader(signalling{in, waiting},
			ReaderConfig{Prompt: func() { prompts++ }, Await: await})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-waiting
			cancel()
		}()
		if l, err := r.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %q, %v", name, l.Text, err)
		}
		go func() {
			io.WriteString(out, "kept\n")
			out.Close()
		}()
		if lines, _ := all(t, r); !slices.Equal(texts(lines), []string{"kept"}) || prompts != 2 {
			t.Errorf("%s: %q, %d prompts", name, texts(lines), prompts)
		}
	}
}

// signalling closes waiting when it is first read from.
type signalling struct {
	io.Reader
	waiting chan struct{}
}

func (s signalling) Read(p []byte) (int, error) {
	select {
	case <-s.waiting:
	default:
		close(s.waiting)
	}
	return s.Reader.Read(p)
}

// FuzzReader compares with lines that are cut one after the other from the whole text.
func FuzzReader(f *testing.F) {
	f.Add([]byte("length\x00 x\nlength\n"), 5)
	f.Add([]byte("\n\nabcdefghijkl"), 3)
	f.Fuzz(func(t *testing.T, input []byte, cut int) {
		cut = 1 + (cut&0x7fffffff)%2000
		want := []string{}
		for rest := input; len(rest) > 0; {
			piece := rest[:min(cut, len(rest))]
			if i := bytes.IndexByte(piece, '\n'); i >= 0 {
				piece = piece[:i+1]
			}
			rest = rest[len(piece):]
			text, _, _ := strings.Cut(strings.TrimSuffix(string(piece), "\n"), "\x00")
			want = append(want, text)
		}
		lines, err := all(t,
			NewReader(iotest.HalfReader(bytes.NewReader(input)), ReaderConfig{MaxLine: cut}))
		if !slices.Equal(texts(lines), want) || !errors.Is(err, io.EOF) {
			t.Errorf("%q, %v; want %q", texts(lines), err, want)
		}
	})
}
