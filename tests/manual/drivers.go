package manual

import (
	"fmt"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// DriverTable is the table of drivers in Markdown.
func (m *Manual) DriverTable() string {
	var b strings.Builder
	b.WriteString("| driver | kind | what it is |\n| --- | --- | --- |\n")
	for _, d := range m.Drivers {
		made := ""
		if d.Kind == driver.Format && d.Create != nil {
			made = "; `create` makes it"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s%s |\n", d.Name, d.Kind, d.Doc, made)
	}
	return b.String()
}

// driver writes the section of a driver.
func (p *page) driver(d blockdev.Driver) {
	p.macro("SS", fmt.Sprintf("%s (%s)", d.Name, d.Kind))
	p.fill(sentence(d.Doc))
	p.keys("Options:", d.Keys())
	p.keys("Options of create:", d.CreateKeys())
}

// keys writes a list of options.
func (p *page) keys(title string, keys []driver.Key) {
	if len(keys) == 0 {
		return
	}
	p.text(".PP")
	p.plain(title)
	for _, k := range keys {
		p.text(".TP")
		p.text(fmt.Sprintf(`\fB%s\fR=\fI%s\fR`, escape(k.Name), escape(valueOf(k))))
		help := k.Help
		if k.Default != "" {
			help += " (" + k.Default + " if not given)"
		}
		p.fill(help)
	}
}

// valueOf says what the value of an option is.
func valueOf(k driver.Key) string {
	switch k.Type {
	case driver.TypeBool:
		return "on|off"
	case driver.TypeInt:
		return "NUMBER"
	case driver.TypeSize:
		return "SIZE"
	case driver.TypeEnum:
		return strings.Join(k.Enum, "|")
	case driver.TypeChild:
		return "LAYER"
	case driver.TypeList:
		return "LIST"
	case driver.TypeGroup:
		return "OPTIONS"
	}
	return "TEXT"
}
