package print

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
)

// shown shows a structure as a table of its fields.
func (n *Native) shown(e event.Shown) {
	n.say("%s: %s at %s\n", e.Structure, e.Part, placeWords(e.Off))
	offset, name := len("offset"), len("field")
	for _, f := range e.Fields {
		offset = max(offset, len(strconv.FormatInt(f.Off, 10)))
		name = max(name, len(f.Name))
	}
	n.say("%s\n", n.Look.out(colour.Faint,
		fmt.Sprintf("  %*s  length  %-*s  value", offset, "offset", name, "field")))
	for _, f := range e.Fields {
		meaning := ""
		if f.Meaning != "" {
			meaning = "  (" + f.Meaning + ")"
		}
		line := fmt.Sprintf("  %*d  %6d  %-*s  %s%s", offset, f.Off, f.Len, name, f.Name, f.Value,
			meaning)
		n.say("%s\n", strings.TrimRight(line, " "))
	}
}

func nothingShownWords(e event.NothingShown) string {
	return fmt.Sprintf("no %s at %s", cmp.Or(e.Structure, "structure that is known"),
		placeWords(e.Off))
}
