package script

import (
	"slices"
	"strings"
	"testing"
)

func TestAt(t *testing.T) {
	t.Parallel()
	all := strings.Join(statements, " ")
	for _, c := range []struct {
		line   string // "_" is a word in quotes
		inside bool
		before int // below 0: nothing but the keywords
		want   string
	}{
		{"", false, 0, all},
		{"", true, 0, all + " }"},
		{"read", false, 0, ""},
		{"read -P 1;", false, 3, all},
		{"read -P _", false, 0, ""},
		{"read ;", false, 2, all},
		{"multiwrite 0 512 ;", false, 0, ""},
		{"multiwrite 0 512;", false, 3, all},
		{"let", false, -1, ""},
		{"let x", false, -1, "="},
		{"let x =", false, -1, "end rand("},
		{"repeat", false, -1, ""},
		{"repeat 3", false, -1, "{"},
		{"repeat 3 {", false, 3, all + " }"},
		{"repeat 3 { read 0 1;", false, 6, all + " }"},
		{"repeat 3 { read 0 1; }", false, 7, all + " else"},
		{"for", false, -1, ""},
		{"for i", false, -1, "in"},
		{"for i in", false, -1, ""},
		{"for i in 0..9", false, -1, "step {"},
		{"for i in 0..9 step", false, -1, ""},
		{"for i in 0..9 step 2", false, -1, "{"},
		{"if", false, -1, "not ok same"},
		{"if not", false, -1, "ok same"},
		{"if not same", false, -1, "{"},
		{"if ok { } else", false, -1, "{"},
		{"if ok { if same { }", false, 7, all + " } else"},
		{"expect", false, -1, "0 1 2 3 4 5"},
		{"expect 1", false, 2, ""},
		{"expect 1 read", false, 2, ""},
		{"time", false, 1, "expect {"},
		{"time read", false, 1, ""},
		{"time expect", false, -1, "0 1 2 3 4 5"},
		{"time expect 1", false, 3, ""},
		{"seed", false, -1, ""},
		{"}", false, 0, ""},
	} {
		words := strings.Fields(strings.ReplaceAll(c.line, "_", `""`))
		for i, w := range words {
			words[i] = strings.Trim(w, `"`)
		}
		p := At(words, c.inside)
		got := p.Before
		if p.Alone {
			got = -1
		}
		if got != c.before || strings.Join(p.Keywords, " ") != c.want {
			t.Errorf("%q: %+v, want %d and %q", c.line, p, c.before, c.want)
		}
	}
}

// TestStatementsBegin: what is offered at the beginning of a line is what the parser takes for the
// beginning of a statement.
func TestStatementsBegin(t *testing.T) {
	t.Parallel()
	if !slices.IsSorted(statements) {
		t.Errorf("%q are not sorted", statements)
	}
	for _, word := range append(slices.Clone(statements), "lets") {
		var p Parser
		s, err := p.Add(word+" x", "", false)
		command := false
		if len(s) == 1 {
			_, command = s[0].(simple)
		}
		if known := slices.Contains(statements, word); known != (err != nil || p.Open() ||
			!command) {
			t.Errorf("%q: %v, %#v", word, err, s)
		}
	}
}
