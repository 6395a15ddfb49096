package print

import (
	"strings"
	"unicode/utf8"

	"github.com/blksh/blksh/commands/event"
)

// helpWidth is how many characters a line of help has at most.
const helpWidth = 80

// helpList shows commands and topics in two columns: their names, and what they are for.
func (n *Native) helpList(e event.HelpList) {
	widest := 0
	for _, g := range e.Groups {
		for _, c := range g.Commands {
			widest = max(widest, len(called(c)))
		}
	}
	var b strings.Builder
	for _, g := range e.Groups {
		b.WriteString(g.Title + ":\n")
		for _, c := range g.Commands {
			b.WriteString(twoColumns(called(c), c.Short, widest))
		}
		b.WriteByte('\n')
	}
	b.WriteString("Topics:\n")
	for _, t := range e.Topics {
		b.WriteString(twoColumns(t.Name, t.Short, widest))
	}
	n.say("%s\n'help COMMAND' or 'help TOPIC' says more; 'help keys' is about the prompt.\n",
		prose(b.String()))
}

// called is a command with its other name.
func called(s event.Synopsis) string {
	if s.Alias == "" {
		return s.Name
	}
	return s.Name + ", " + s.Alias
}

// synopsis shows how a command is called, under both names.
func (n *Native) synopsis(e event.Synopsis) {
	e.Name = called(e)
	n.QEMU.synopsis(e)
}

// twoColumns is a name, and beside it a text that is broken between words where it is too long.
func twoColumns(name, text string, widest int) string {
	var b strings.Builder
	line := "  " + name + strings.Repeat(" ", widest-len(name)+1)
	indent := strings.Repeat(" ", len(line))
	for word := range strings.FieldsSeq(text) {
		if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > helpWidth {
			b.WriteString(line + "\n")
			line = indent
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
	return b.String()
}
