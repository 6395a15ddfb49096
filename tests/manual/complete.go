package manual

import (
	"fmt"
	"io"
	"strings"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/session"
)

// Completions are the scripts that complete words of blksh in other shells, by the names of those.
func (m *Manual) Completions() map[string][]byte {
	return map[string][]byte{"bash": m.bash(), "zsh": m.zsh(), "fish": m.fish()}
}

// origin is the first line of every script.
const origin = "# Completion for blksh(1), computed from its table of commands.\n"

// candidates is what may be given as a value or an operand.
type candidates struct {
	words []string
	files bool
}

// candidates is what a value may be, as far as that is known.
func (m *Manual) candidates(v args.Value) candidates {
	switch v.Type {
	case args.TypeFile, args.TypeDir, args.TypeImageFile:
		return candidates{files: true}
	case args.TypeFormat:
		return candidates{words: m.formats()}
	case args.TypeCommand:
		return candidates{words: m.commands()}
	case args.TypeTopic:
		words := m.commands()
		for _, topic := range m.Topics {
			words = append(words, topic.Name)
		}
		return candidates{words: words}
	case args.TypeEnum:
		return candidates{words: v.Words()}
	}
	return candidates{}
}

// operands is what the operands of a command may be: the first of which that is known.
func (m *Manual) operands(row *session.Row) candidates {
	for _, v := range row.Operands() {
		if c := m.candidates(v); c.files || c.words != nil {
			return c
		}
	}
	return candidates{}
}

// commands are the full names of all commands.
func (m *Manual) commands() []string {
	var names []string
	for _, row := range m.Table.Rows() {
		names = append(names, row.Name)
	}
	return names
}

// valued are the spellings of those options that take a value.
func valued(options []session.Option) []string {
	var words []string
	for _, o := range options {
		if o.Value.Name != "" {
			words = append(words, o.Spellings()...)
		}
	}
	return words
}

func allSpellings(options []session.Option) []string {
	var words []string
	for _, o := range options {
		words = append(words, o.Spellings()...)
	}
	return words
}

// lines writes a text whose %s are replaced; it is a script that never fails to be written.
func lines(w io.Writer, format string, a ...any) { _, _ = fmt.Fprintf(w, format, a...) }

// alternatives are the words of a pattern of "case".
func alternatives(words []string) string { return strings.Join(words, " | ") }
