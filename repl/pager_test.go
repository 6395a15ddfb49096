package repl

import (
	"slices"
	"strings"
	"testing"
)

func TestFolded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line string
		want []string
	}{
		{"", []string{""}},
		{"short", []string{"short"}},
		{"exactly 10", []string{"exactly 10"}},
		{"some words to fold", []string{"some words", " to fold"}},
		{"a longer word than that", []string{"a longer", "word than", "that"}},
		{"unbreakableword", []string{"unbreakabl", "eword"}},
		{"größe größe größe", []string{"größe", "größe", "größe"}},
		{"\x1b[1;31mred words\x1b[m and others", []string{"\x1b[1;31mred words\x1b[m", "and others"}},
		{"          x", []string{"          ", "x"}},
	} {
		got := folded(c.line, 10)
		for i := range got {
			if len([]rune(bare(got[i]))) > 10 {
				t.Errorf("%q: %q is too wide", c.line, got[i])
			}
		}
		trimmed := func(rows []string) string {
			return strings.Join(strings.Fields(strings.Join(rows, " ")), " ")
		}
		if !slices.Equal(got, c.want) && trimmed(got) != trimmed(c.want) {
			t.Errorf("%q becomes %q, want %q", c.line, got, c.want)
		}
	}
}

func FuzzFolded(f *testing.F) {
	f.Add("some \x1b[31mwords\x1b[m to fold", 5)
	f.Add("\x1b[", 1)
	f.Fuzz(func(t *testing.T, line string, width int) {
		if width < 1 || width > 200 {
			return
		}
		rows := folded(line, width)
		kept := func(text string) string { return strings.ReplaceAll(text, " ", "") }
		if got := kept(strings.Join(rows, "")); got != kept(line) {
			t.Errorf("%q becomes %q", line, rows)
		}
	})
}
