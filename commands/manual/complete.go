package manual

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/blksh/blksh/commands/dialect"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify/fio"
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

// values is what the value of an option may be, as far as that is known.
func (m *Manual) values(o session.Option) candidates {
	switch o.Long {
	case "format", "backing-format":
		return candidates{words: m.formats()}
	case "cmd":
		return candidates{words: m.commands()}
	case "dialect":
		return candidates{words: dialect.Names()}
	case "type":
		return candidates{words: fio.Types()}
	}
	if o.Value == "FILE" || o.Value == "DIR" {
		return candidates{files: true}
	}
	return candidates{words: listed(o.Help)}
}

// listed are the words that a help ends in, as in "how bytes are shown: qemu, xxd or c".
func listed(help string) []string {
	_, list, ok := strings.Cut(help, ": ")
	if !ok {
		list = help
	}
	words := strings.Split(strings.ReplaceAll(list, " or ", ", "), ", ")
	if len(words) < 2 || slices.ContainsFunc(words, func(w string) bool { return strings.ContainsAny(w, " ;") }) {
		return nil
	}
	return words
}

// operands is what the operands of a command may be, as far as that is known.
func (m *Manual) operands(row *session.Row) candidates {
	switch row.Name {
	case "help":
		words := m.commands()
		for _, topic := range m.Topics {
			words = append(words, topic.Name)
		}
		return candidates{words: words}
	case "open", "copy", "create", "measure", "commit", "rebase", "source", "compare", "verify_job":
		return candidates{files: true}
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
		if o.Value != "" {
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
