package repl

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A search looks for lines of the history that contain what is typed. While it is on, the found
// line stands in place of the line that is edited, behind a prompt of its own. It ends with the
// found line on the line, where it can be changed, or with the line as it was.
type search struct {
	on     bool
	wanted string
	at     int  // the line that is shown, in the history; behind its end before one was found
	failed bool // no line was found for what was wanted last
	line   []rune
	pos    int // and line are what was edited
}

// beginSearch looks for the newest line that contains what is typed.
func (t *Terminal) beginSearch(line []rune, pos int) ([]rune, int) {
	t.search = search{
		on: true, wanted: string(line), at: len(t.history),
		line: slices.Clone(line), pos: pos,
	}
	if t.search.wanted != "" {
		t.find(t.search.at-1, -1, "")
	}
	return t.found()
}

// searching is feed during a search; done is false for a key that is the editor's. That ends the
// search, with the found line to work on.
func (t *Terminal) searching(pressed key) (feed string, done bool) {
	switch s := &t.search; {
	case pressed.kind == keySearch:
		return t.look(s.wanted, s.at-1, -1, t.shown()), true
	case pressed.kind == keySearchOn:
		return t.look(s.wanted, s.at+1, +1, t.shown()), true
	case pressed.kind == keyText:
		return t.look(s.wanted+pressed.text, min(s.at, len(t.history)-1), -1, ""), true
	case pressed.kind == keyEdit && (pressed.text == "\x7f" || pressed.text == "\x08"):
		_, n := utf8.DecodeLastRuneInString(s.wanted)
		return t.look(s.wanted[:len(s.wanted)-n], len(t.history)-1, -1, ""), true
	case pressed.kind == keyNone:
		return "", true
	case pressed.kind == keyLeave:
		t.endSearch()
		return t.doing(func([]rune, int) ([]rune, int) { return s.line, s.pos }), true
	case pressed.kind == keyEnter:
		t.endSearch()
		return t.doing(func(line []rune, _ int) ([]rune, int) { return line, len(line) }), true
	}
	t.endSearch()
	t.lib.Refresh()
	return "", false
}

// shown is the line of the history that is shown, "" if none is.
func (t *Terminal) shown() string {
	if t.search.at < len(t.history) {
		return t.history[t.search.at]
	}
	return ""
}

// look searches from a line on, in a direction, for another line than but.
func (t *Terminal) look(wanted string, from, step int, but string) string {
	t.search.wanted = wanted
	return t.doing(func([]rune, int) ([]rune, int) {
		t.find(from, step, but)
		return t.found()
	})
}

// find sets the line that is shown to the first that contains what is wanted, and is not but.
func (t *Terminal) find(from, step int, but string) {
	s := &t.search
	for i := from; i >= 0 && i < len(t.history); i += step {
		if line := t.history[i]; strings.Contains(line, s.wanted) && line != but {
			s.at, s.failed = i, false
			return
		}
	}
	s.failed = true
	t.bell()
}

// found is the line to show. The prompt says what is looked for.
func (t *Terminal) found() ([]rune, int) {
	s := &t.search
	prompt := "search '" + harmless(s.wanted) + "': "
	if s.failed {
		prompt = "no more '" + harmless(s.wanted) + "': "
	}
	t.lib.Clean()
	t.setPrompt(prompt)
	if s.at >= len(t.history) {
		return slices.Clone(s.line), s.pos
	}
	line := t.history[s.at]
	before, _, _ := strings.Cut(line, s.wanted)
	return []rune(line), utf8.RuneCountInString(before)
}

// endSearch brings the prompt back.
func (t *Terminal) endSearch() {
	t.search.on = false
	t.lib.Clean()
	t.setPrompt(t.prompt)
}
