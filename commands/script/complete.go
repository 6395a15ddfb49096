package script

import (
	"maps"
	"slices"
	"strings"
)

// Place is where the next word of a line stands.
type Place struct {
	// Before is how many words stand before the command that the word belongs to, or that it is
	// the name of.
	Before int
	// Keywords are words that may stand there besides.
	Keywords []string
	// Alone: the word can only be one of the keywords, or nothing that anybody knows.
	Alone bool
}

// statuses are what may stand behind expect, see 'help status'.
var statuses = []string{"0", "1", "2", "3", "4", "5"}

// statements are the words that begin a statement which is no command.
var statements = []string{"expect", "for", "if", "let", "repeat", "seed", "time"}

// At says where the next word of a line stands, of which words were typed; one in quotes, which
// means nothing to the grammar, is "". Inside says that the line stands in a block that another
// line has opened.
func At(words []string, inside bool) Place {
	begin := 0 // of the statement that the next word belongs to
	depth := 0
	if inside {
		depth = 1
	}
	closed := false // the word before closes a block
	for i, w := range words {
		switch {
		case w == "{":
			begin, depth, closed = i+1, depth+1, false
		case w == "}" && depth > 0:
			begin, depth, closed = i+1, depth-1, true
		case w == alone && slices.Contains(words[begin:i], ownSemicolon):
		case strings.HasSuffix(w, ";"):
			begin, closed = i+1, false
		case closed && w == "else":
			begin = i // a statement that only a block ends
		}
	}
	p := within(words[begin:])
	p.Before += begin
	if begin < len(words) {
		return p
	}
	if depth > 0 {
		p.Keywords = append(p.Keywords, "}")
	}
	if closed {
		p.Keywords = append(p.Keywords, "else")
	}
	return p
}

// within is At for the words of one statement.
func within(words []string) Place {
	if len(words) == 0 {
		return Place{Keywords: slices.Clone(statements)}
	}
	rest := words[1:]
	only := func(keywords ...string) Place {
		return Place{Before: len(words), Keywords: keywords, Alone: true}
	}
	switch words[0] {
	case "let":
		switch len(rest) {
		case 0:
			return only()
		case 1:
			return only("=")
		}
		return only("end", "rand(")
	case "repeat":
		if len(rest) == 1 {
			return only("{")
		}
		return only()
	case "for":
		return only(afterFor(rest)...)
	case "if":
		return only(afterIf(rest)...)
	case "else":
		return only("{")
	case "seed":
		return only()
	case "expect":
		if len(rest) == 0 {
			return only(statuses...)
		}
		return Place{Before: min(2, len(words))}
	case "time":
		p := Place{Before: 1}
		if len(rest) == 0 {
			p.Keywords = []string{"expect", "{"}
		} else if rest[0] == "expect" {
			p = within(rest)
			p.Before++
		}
		return p
	}
	return Place{}
}

// afterFor are the keywords that may follow the words behind for.
func afterFor(words []string) []string {
	switch n := len(words); {
	case n == 1:
		return []string{"in"}
	case n < 3:
		return nil
	case words[n-1] == "step":
		return nil
	case n > 3 && words[n-2] == "step":
		return []string{"{"}
	}
	return []string{"step", "{"}
}

// afterIf are the keywords that may follow the words behind if.
func afterIf(words []string) []string {
	not := len(words) > 0 && words[0] == "not"
	switch {
	case len(words) == 0:
		return []string{"not", "ok", "same"}
	case not && len(words) == 1:
		return []string{"ok", "same"}
	}
	return []string{"{"}
}

// Names are the variables that have a value, sorted.
func (m *Machine) Names() []string { return slices.Sorted(maps.Keys(m.variables)) }
