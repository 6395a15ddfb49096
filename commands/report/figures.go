package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
)

// mostRows bounds a table of events of one kind.
const mostRows = 200

// figures shows the fields of all events, those of one kind together, in the order in which the
// kinds appeared.
func (p *page) figures(events []event.Event) {
	var kinds []event.Kind
	of := map[event.Kind][]event.Event{}
	for _, e := range events {
		k := e.Kind()
		if of[k] == nil {
			kinds = append(kinds, k)
		}
		of[k] = append(of[k], e)
	}
	for _, k := range kinds {
		list := make([][]print.Figure, 0, min(len(of[k]), mostRows))
		for _, e := range of[k][:min(len(of[k]), mostRows)] {
			list = append(list, print.Figures(e))
		}
		p.kind(k, list, len(of[k]))
	}
}

// kind shows the figures of events of one kind, of which there are n.
func (p *page) kind(k event.Kind, list [][]print.Figure, n int) {
	if !slices.ContainsFunc(list, func(f []print.Figure) bool { return len(f) > 0 }) {
		return
	}
	p.raw("<section>\n")
	p.element("h2", "", strings.TrimSuffix(k.Doc, "."))
	if n == 1 {
		p.single(list[0])
	} else {
		p.several(list)
	}
	if n > len(list) {
		p.element("p", "note", fmt.Sprintf("%d more are not shown.", n-len(list)))
	}
	p.raw("</section>\n")
}

// single shows the figures of one event, a line each.
func (p *page) single(figures []print.Figure) {
	p.raw("<table class=\"one\"><tbody>\n")
	for _, f := range figures {
		fmt.Fprintf(p, "<tr><th scope=\"row\">%s</th><td>%s</td><td class=\"doc\">%s</td></tr>\n",
			escape(label(f)), escape(f.Text), escape(f.Doc))
	}
	p.raw("</tbody></table>\n")
}

// several shows events as rows, a column for each figure that any of them has.
func (p *page) several(list [][]print.Figure) {
	var columns []print.Figure
	for _, figures := range list {
		for _, f := range figures {
			if !slices.ContainsFunc(columns,
				func(c print.Figure) bool { return c.Name == f.Name }) {
				columns = append(columns, f)
			}
		}
	}
	p.raw("<div class=\"wide\"><table class=\"many\"><thead><tr>\n")
	for _, c := range columns {
		fmt.Fprintf(p, "<th scope=\"col\" title=\"%s\">%s</th>\n", escape(c.Doc), escape(label(c)))
	}
	p.raw("</tr></thead><tbody>\n")
	for _, figures := range list {
		p.raw("<tr>")
		for _, c := range columns {
			text := ""
			for _, f := range figures {
				if f.Name == c.Name {
					text = f.Text
				}
			}
			fmt.Fprintf(p, "<td>%s</td>", escape(text))
		}
		p.raw("</tr>\n")
	}
	p.raw("</tbody></table></div>\n")
}

// label is the name of a figure for a person: the unit stands with the value.
func label(f print.Figure) string {
	return strings.ReplaceAll(strings.TrimSuffix(f.Name, "_ns"), "_", " ")
}
