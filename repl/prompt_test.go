package repl

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
)

// script is an Editor whose lines are there already.
type script struct {
	lines   []typed
	prompts []string
	history []string
	blocked chan struct{} // ReadLine waits for it; nil does not
}

func (s *script) ReadLine(prompt string) (string, error) {
	if s.blocked != nil {
		<-s.blocked
	}
	s.prompts = append(s.prompts, prompt)
	if len(s.lines) == 0 {
		return "", io.EOF
	}
	next := s.lines[0]
	s.lines = s.lines[1:]
	return next.line, next.err
}

func (s *script) AddHistory(line string) { s.history = append(s.history, line) }
func (s *script) Close() error           { return nil }

func TestPrompt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history")
	earlier := openTestHistory(t, path)
	add(t, earlier, "earlier")

	lines := []typed{{"length", nil}, {"", nil}, {"half", ErrInterrupted}, {"read 0 512", nil}}
	for _, leaves := range []bool{false, true} {
		e := &script{lines: slices.Clone(lines)}
		h := openTestHistory(t, path)
		p := NewPrompt(e,
			PromptConfig{
				Text: func() string { return "> " }, InterruptLeaves: leaves,
				History: h,
			})
		got, err := all(t, p)
		want, wantErr := []string{"length", "", "read 0 512"}, io.EOF
		if leaves {
			want, wantErr = want[:2], ErrInterrupted
		}
		if !slices.Equal(texts(got), want) || !errors.Is(err, wantErr) {
			t.Errorf("%q, %v", texts(got), err)
		}
		if !got[0].Typed {
			t.Errorf("%+v", got[0])
		}
		if e.history[0] != "earlier" || slices.Contains(e.history, "") {
			t.Errorf("arrow up shows %q", e.history)
		}
	}
	if got := openTestHistory(t,
		path).Lines(); !slices.Equal(got, []string{"earlier", "length", "read 0 512", "length"}) {
		t.Errorf("stored: %q", got)
	}
}

// A line that was asked for when the context ended comes later.
func TestPromptKeepsALine(t *testing.T) {
	t.Parallel()
	e := &script{lines: []typed{{"kept", nil}}, blocked: make(chan struct{})}
	asking := make(chan struct{})
	p := NewPrompt(e, PromptConfig{Text: func() string { close(asking); return "> " }})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asking
		cancel()
	}()
	if l, err := p.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%q, %v", l.Text, err)
	}
	close(e.blocked)
	if l, err := p.Next(t.Context()); l.Text != "kept" || err != nil || len(e.prompts) != 1 {
		t.Errorf("%q, %v, prompts %q", l.Text, err, e.prompts)
	}
}

func TestPromptComplainsOnce(t *testing.T) {
	t.Parallel()
	h := openTestHistory(t, "")
	h.path = "/dev/null/history"
	var complaints []error
	e := &script{lines: []typed{{"a", nil}, {"b", nil}}}
	p := NewPrompt(e, PromptConfig{
		Text: func() string { return "" }, History: h,
		Complain: func(err error) { complaints = append(complaints, err) },
	})
	if _, err := all(t, p); !errors.Is(err, io.EOF) || len(complaints) != 1 {
		t.Errorf("%v, %q", err, complaints)
	}
}
