package picture

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/units"
)

// shades are the colours of a role on light and on dark ground.
type shades struct{ light, dark string }

var roleShades = [...]shades{
	colour.Plain:      {"#57606a", "#8b949e"},
	colour.Error:      {"#cf222e", "#ff7b72"},
	colour.Wrong:      {"#cf222e", "#ff7b72"},
	colour.Right:      {"#2da44e", "#3fb950"},
	colour.Found:      {"#bf3989", "#f778ba"},
	colour.Prompt:     {"#0969da", "#58a6ff"},
	colour.Faint:      {"#d8dee4", "#30363d"},
	colour.Data:       {"#2da44e", "#3fb950"},
	colour.Compressed: {"#0969da", "#58a6ff"},
	colour.Below:      {"#bc4c00", "#f0883e"},
	colour.Stored:     {"#8250df", "#a371f7"},
	colour.Unknown:    {"#bf8700", "#d29922"},
}

// Measures of an SVG in pixels: a cell, the column of offsets, the edge, and the size of type.
const (
	svgCell, svgRow = 10, 14
	svgGutter       = 96
	svgEdge         = 16
	svgType         = 12
	svgLine         = 20
	svgColumns      = 64
	svgRows         = 32
)

// SVG is the picture as a page of its own, with a title. What a cell stands for is told where a
// reader points at it.
func (p *Picture) SVG(title string) []byte {
	f := p.fit(svgColumns, svgRows)
	legend := f.legend()
	rows := (f.Cells() + svgColumns - 1) / svgColumns
	width := 2*svgEdge + svgGutter + svgColumns*svgCell
	top := svgEdge + svgLine + svgType
	height := top + rows*svgRow + svgLine*(len(legend)+1) + svgEdge
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" `+
		`font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="%d" role="img">`+
		"\n", width, height, width, height, svgType)
	fmt.Fprintf(&b, "<title>%s</title>\n", escape(title))
	f.style(&b)
	fmt.Fprintf(&b, `<rect class="page" width="%d" height="%d" rx="8"/>`+"\n", width, height)
	text(&b, svgEdge, svgEdge+svgType, title)
	f.rows(&b, top)
	f.svgLegend(&b, legend, top+rows*svgRow)
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// style declares the colours of all classes, on light and on dark ground.
func (p *Picture) style(b *strings.Builder) {
	b.WriteString("<style>\n.page{fill:#ffffff}text{fill:#1f2328;white-space:pre}.part{opacity:.55}\n")
	for i, c := range p.Classes {
		fmt.Fprintf(b, ".c%d{fill:%s}", i, roleShades[c.Role].light)
	}
	b.WriteString("\n@media (prefers-color-scheme:dark){\n.page{fill:#0d1117}text{fill:#e6edf3}\n")
	for i, c := range p.Classes {
		fmt.Fprintf(b, ".c%d{fill:%s}", i, roleShades[c.Role].dark)
	}
	b.WriteString("\n}\n</style>\n")
}

// rows draws the cells. Neighbours that look the same are one rectangle.
func (p *Picture) rows(b *strings.Builder, top int) {
	for begin := 0; begin < p.Cells(); begin += svgColumns {
		y := top + begin/svgColumns*svgRow
		text(b, svgEdge, y+svgRow-3, fmt.Sprintf("%11s", place(p.Off+int64(begin)*p.Cell)))
		end := min(p.Cells(), begin+svgColumns)
		for cell := begin; cell < end; {
			class, whole := p.shown(cell)
			next := cell + 1
			for next < end {
				if c, w := p.shown(next); c != class || w != whole {
					break
				}
				next++
			}
			if class >= 0 {
				p.rect(b, cell, next, svgEdge+svgGutter+(cell-begin)*svgCell, y)
			}
			cell = next
		}
	}
}

// rect draws the cells from one to another, which look the same.
func (p *Picture) rect(b *strings.Builder, cell, next, x, y int) {
	class, whole := p.shown(cell)
	look, in := "", ""
	if !whole {
		look, in = " part", " in part"
	}
	from := p.Off + int64(cell)*p.Cell
	to := min(p.Off+int64(next)*p.Cell, p.Off+p.Len)
	fmt.Fprintf(b, `<rect class="c%d%s" x="%d" y="%d" width="%d" height="%d"><title>%d..%d: %s%s</title></rect>`+
		"\n", class, look, x, y, (next-cell)*svgCell, svgRow-1, from, to,
		escape(p.Classes[class].Name), in)
}

func (p *Picture) svgLegend(b *strings.Builder, legend []present, y int) {
	if p.Len == 0 {
		return
	}
	y += svgLine
	text(b, svgEdge+svgGutter, y, "a cell is "+units.Size(p.Cell))
	for _, l := range legend {
		y += svgLine
		fmt.Fprintf(b, `<rect class="c%d" x="%d" y="%d" width="%d" height="%d"/>`+"\n", l.class,
			svgEdge+svgGutter, y-svgType+2, svgCell, svgCell)
		text(b, svgEdge+svgGutter+2*svgCell, y, fmt.Sprintf("%s: %s, %s", p.Classes[l.class].Name,
			units.Size(l.bytes), share(l.bytes, p.Len)))
	}
}

func text(b *strings.Builder, x, y int, said string) {
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", x, y, escape(said))
}

// escape is text as XML has it. What XML has no character for, and what a reader would not see, is
// replaced.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case !unicode.IsGraphic(r):
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
