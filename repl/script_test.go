package repl

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestScript(t *testing.T) {
	t.Parallel()
	lines, err := all(t,
		NewScript("f",
			strings.NewReader(
				"# a comment\n\nlength\n  read 0 512 # more\r\n! write 0 1\n?discard 0 1\n\t!\tread\n#!x\n!\nquit")))
	want := []Line{
		{Text: "length", Pos: "f:3", Comments: true},
		{Text: "read 0 512 # more", Pos: "f:4", Comments: true},
		{Text: "write 0 1", Pos: "f:5", Expect: Failure, Comments: true},
		{Text: "discard 0 1", Pos: "f:6", Expect: Either, Comments: true},
		{Text: "read", Pos: "f:7", Expect: Failure, Comments: true},
		{Text: "", Pos: "f:9", Expect: Failure, Comments: true},
		{Text: "quit", Pos: "f:10", Comments: true},
	}
	if !reflect.DeepEqual(lines, want) || !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v", lines, err)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	for _, c := range []struct {
		expect    Expect
		err, want error
	}{
		{Success, nil, nil},
		{Success, failed, failed},
		{Failure, failed, nil},
		{Failure, nil, ErrUnexpectedSuccess},
		{Either, nil, nil},
		{Either, failed, nil},
	} {
		if got := (Line{Expect: c.expect}).Judge(c.err); !errors.Is(got, c.want) {
			t.Errorf("%d, %v: %v", c.expect, c.err, got)
		}
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

// shell is a Runner that knows source, fail and quit, and remembers its lines.
type shell struct {
	*Stack
	ran   []string
	ended bool
}

func (s *shell) Run(_ context.Context, l Line) error {
	s.ran = append(s.ran, l.Text)
	name, isSource := strings.CutPrefix(l.Text, "source ")
	switch {
	case isSource:
		err := s.Source(name)
		if err != nil {
			s.ran = append(s.ran, err.Error())
		}
		return err
	case l.Text == "fail":
		return errors.New("failed")
	case l.Text == "quit":
		s.ended = true
	}
	return nil
}

func (s *shell) Fail(err error) { s.ran = append(s.ran, err.Error()) }
func (s *shell) Ended() bool    { return s.ended }

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inner := write(t, dir, "inner", "in\nfail\nafter\n")
	outer := write(t, dir, "outer", "one\nsource "+inner+"\ntwo")
	tooLong := write(t, dir, "long", "ok\n"+strings.Repeat("x", longestLine+1))
	for _, c := range []struct {
		name      string
		lines     []string
		keepGoing bool
		want      []string
	}{
		{"to the end", []string{"a", "fail", "b"}, false, []string{"a", "fail", "b"}},
		{"to quit", []string{"a", "quit", "b"}, false, []string{"a", "quit"}},
		{
			"a failure ends all scripts and not what they are for",
			[]string{"source " + outer, "b"},
			false,
			[]string{"source " + outer, "one", "source " + inner, "in", "fail", "b"},
		},
		{
			"or nothing",
			[]string{"source " + outer, "b"},
			true,
			[]string{"source " + outer, "one", "source " + inner, "in", "fail", "after", "two", "b"},
		},
		{
			"a script that cannot be read",
			[]string{"source " + tooLong, "b"},
			false,
			[]string{"source " + tooLong, "ok", tooLong + ":2: line is longer than 1 MiB", "b"},
		},
		{
			"a script that is none",
			[]string{"source " + dir + "/none", "b"},
			false,
			[]string{"source " + dir + "/none", "open " + dir + "/none: no such file or directory", "b"},
		},
	} {
		s := &shell{Stack: NewStack(Strings(c.lines...))}
		if err := Run(t.Context(), s.Stack, s, c.keepGoing); err != nil ||
			!slices.Equal(s.ran, c.want) {
			t.Errorf("%s: %v\n got %q\nwant %q", c.name, err, s.ran, c.want)
		}
	}
}

func TestRunErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := &shell{Stack: NewStack(NewReader(iotest.ErrReader(broken), ReaderConfig{}))}
	if err := Run(t.Context(), s.Stack, s, false); !errors.Is(err, broken) {
		t.Errorf("a broken source: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s = &shell{Stack: NewStack(Strings("source " + write(t, t.TempDir(), "f", "a\n")))}
	if err := Run(ctx, s.Stack, s, false); !errors.Is(err, context.Canceled) || len(s.ran) > 0 {
		t.Errorf("a cancelled one: %v, %q", err, s.ran)
	}
}

// A script that sources itself ends, and leaves no file open.
func TestStackDepth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self := filepath.Join(dir, "self")
	write(t, dir, "self", "source "+self+"\nafter\n")
	s := &shell{Stack: NewStack(Strings("source "+self, "b"))}
	if err := Run(t.Context(), s.Stack, s, false); err != nil {
		t.Fatal(err)
	}
	n := len(s.ran)
	if n != deepest+3 || s.ran[n-1] != "b" ||
		!strings.Contains(s.ran[n-2], "more than 16 scripts") {
		t.Errorf("%q", s.ran)
	}
	if len(s.scripts) != 0 {
		t.Errorf("%d scripts are open", len(s.scripts))
	}
}

func TestScriptClose(t *testing.T) {
	t.Parallel()
	script, err := OpenScript(write(t, t.TempDir(), "f", "a\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := script.Close(); err != nil {
		t.Error(err)
	}
	if err := script.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("it was open still: %v", err)
	}
}
