package manual

import (
	"fmt"
	"strings"
)

// Reference is the table of commands in Markdown.
func (m *Manual) Reference() string {
	var b strings.Builder
	b.WriteString("| command | flags and operands | what it does |\n| --- | --- | --- |\n")
	for _, row := range m.Table.Rows() {
		args := strings.TrimSpace(row.Usage())
		if args != "" {
			args = "`" + strings.ReplaceAll(args, "|", `\|`) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.Join(called(row), "`, `"), args,
			strings.ReplaceAll(row.Short, "|", `\|`))
	}
	b.WriteString("\nBesides, `help` knows these topics: ")
	for i, topic := range m.Topics {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "`%s` (%s)", topic.Name, topic.Short)
	}
	b.WriteString(".\n")
	return b.String()
}
