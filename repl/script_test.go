package repl

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestScript(t *testing.T) {
	t.Parallel()
	lines, err := all(t, NewScript("f", strings.NewReader("# a comment\n\n  read 0 512\r\nquit")))
	want := []Line{
		{Text: "# a comment", Pos: "f:1"},
		{Text: "", Pos: "f:2"},
		{Text: "  read 0 512\r", Pos: "f:3"},
		{Text: "quit", Pos: "f:4"},
	}
	if !slices.EqualFunc(lines, want, sameLine) || !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v", lines, err)
	}
}

func sameLine(a, b Line) bool { return a.Text == b.Text && a.Pos == b.Pos }

func TestTexts(t *testing.T) {
	t.Parallel()
	lines, err := all(t, Texts("-c", "length", "read 0 1\nmap\n", ""))
	want := []Line{
		{Text: "length"},
		{Text: "read 0 1", Pos: "-c:1"},
		{Text: "map", Pos: "-c:2"},
		{},
	}
	if !slices.EqualFunc(lines, want, sameLine) || !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v", lines, err)
	}
}

// write makes a script file.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// recorder notes the lines that it runs. A line "fail" fails, "quit" is the last one, and what ends
// in "{" goes on.
type recorder struct {
	ran  []string
	open bool
	over bool
}

var errLine = errors.New("failed")

func (r *recorder) Run(_ context.Context, line Line) error {
	r.ran = append(r.ran, line.Text)
	r.open = strings.HasSuffix(line.Text, "{")
	r.over = line.Text == "quit"
	if line.Text == "fail" {
		return errLine
	}
	return nil
}

func (r *recorder) End() error {
	if r.open {
		return errLine
	}
	return nil
}

func (r *recorder) Ended() bool { return r.over }

func TestRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines  string
		script bool
		ran    string
		failed error
	}{
		{"a b", false, "a b", nil},
		{"a fail b", false, "a fail b", nil},
		{"a fail b", true, "a fail", errLine},
		{"a quit b", true, "a quit", nil},
		{"a {", true, "a {", errLine},
	} {
		r := &recorder{}
		var failed, err error
		if lines := Strings(strings.Fields(c.lines)...); c.script {
			failed, err = RunScript(t.Context(), lines, r)
		} else {
			err = Run(t.Context(), lines, r)
		}
		if ran := strings.Join(r.ran, " "); ran != c.ran || err != nil ||
			!errors.Is(failed, c.failed) {
			t.Errorf("%q: ran %q, %v, %v", c.lines, ran, failed, err)
		}
	}
	broken := errors.New("broken")
	lines := NewReader(iotest.ErrReader(broken), ReaderConfig{})
	if err := Run(t.Context(), lines, &recorder{}); !errors.Is(err, broken) {
		t.Errorf("a source that breaks: %v", err)
	}
}

func TestOpenScript(t *testing.T) {
	t.Parallel()
	script, err := OpenScript(t.Context(), write(t, t.TempDir(), "f", "a\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := script.Close(); err != nil {
		t.Error(err)
	}
	if _, err := script.Next(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := OpenScript(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err,
		fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	if script, err = OpenScript(t.Context(), "-"); err != nil || script.Close() != nil {
		t.Errorf("standard input: %v", err)
	}
}
