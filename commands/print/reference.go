package print

import (
	"fmt"
	"strings"

	"github.com/blksh/blksh/commands/event"
)

// Reference is the schema in Markdown, for people.
func Reference() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# The JSON of blksh, version %d

With `+"`--json`"+` standard output is one object a line and nothing else. New kinds and new fields may
come at any time; the version grows when something that was there changes or goes. This page is computed
from the events that the program encodes.

A path that is not UTF-8 comes in base64, under a name that ends in `+"`%s`"+`.

## Fields of every kind

`, event.SchemaVersion, pathSuffix)
	fieldTable(&b, Envelope())
	for _, k := range Schema() {
		fmt.Fprintf(&b, "\n## %s\n\n%s", k.Name, k.Doc)
		if k.Failure {
			b.WriteString(" A failure: `error` is true.")
		}
		b.WriteString("\n")
		if len(k.Fields) > 0 {
			b.WriteString("\n")
			fieldTable(&b, k.Fields)
		}
	}
	return []byte(b.String())
}

func fieldTable(b *strings.Builder, fields []Field) {
	b.WriteString("| field | type | unit | | |\n| --- | --- | --- | --- | --- |\n")
	for _, f := range fields {
		when := "always"
		if !f.Always {
			when = ""
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", f.Name, f.Type, f.Unit, when, f.Doc)
	}
}
