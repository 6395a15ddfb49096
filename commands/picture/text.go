package picture

import (
	"fmt"
	"strconv"

	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/units"
)

// Screen is where a picture is shown.
type Screen struct {
	Width   int  // characters of a line
	UTF8    bool // there is more than ASCII
	Palette colour.Palette
}

const (
	// mostRows is how many rows a picture has on a screen.
	mostRows = 16
	// usualOffset is how wide the column of offsets is at least, gap what is between it and the
	// cells, rowUnit what the number of cells in a row is a multiple of, so that rows begin at
	// numbers that can be read.
	usualOffset = 12
	gap         = 2
	rowUnit     = 16
)

// Text is the picture for a screen: rows of cells, each behind the offset of its first one, and
// below them the legend.
func (p *Picture) Text(s Screen) []byte {
	offset := usualOffset
	if p.Off%1024 != 0 { // no unit leaves the others whole
		offset = max(offset, len(strconv.FormatInt(p.Off+p.Len, 10)))
	}
	width := max(rowUnit/2, (s.Width-offset-gap)/rowUnit*rowUnit)
	f := p.fit(width, mostRows)
	var b []byte
	for cell := 0; cell < f.Cells(); cell += width {
		b = fmt.Appendf(b, "%*s  ", offset, place(f.Off+int64(cell)*f.Cell))
		b = f.appendRow(b, s, cell, min(f.Cells(), cell+width))
		b = append(b, '\n')
	}
	return f.appendLegend(b, s)
}

// place is an offset as a command takes it, with the greatest unit that leaves it whole.
func place(off int64) string {
	units := []string{"", "k", "M", "G", "T", "P"}
	for ; off != 0 && off%1024 == 0 && len(units) > 1; off /= 1024 {
		units = units[1:]
	}
	return strconv.FormatInt(off, 10) + units[0]
}

// appendRow appends the cells from one to another. Neighbours of one look are painted at once.
func (p *Picture) appendRow(b []byte, s Screen, cell, end int) []byte {
	for cell < end {
		role, signs := colour.Plain, ""
		for begun := cell; cell < end; cell++ {
			class, whole := p.shown(cell)
			next, sign := colour.Plain, ' '
			if class >= 0 {
				next, sign = p.Classes[class].Role, p.Classes[class].sign(s.UTF8, whole)
			}
			if cell > begun && next != role {
				break
			}
			role = next
			signs += string(sign)
		}
		b = s.Palette.Append(b, role, signs)
	}
	return b
}

// sign is what shows a cell.
func (c Class) sign(utf8, whole bool) rune {
	sign, part := c.Sign, c.Part
	if !utf8 && c.Plain != 0 {
		sign, part = c.Plain, c.PlainPart
	}
	if !whole && part != 0 {
		return part
	}
	return sign
}

// appendLegend says what a cell is, and how much there is of each class.
func (p *Picture) appendLegend(b []byte, s Screen) []byte {
	if p.Len == 0 {
		return b
	}
	b = fmt.Appendf(b, "a cell is %s\n", units.Size(p.Cell))
	for _, l := range p.legend() {
		c := p.Classes[l.class]
		sign, part := c.sign(s.UTF8, true), c.sign(s.UTF8, false)
		b = append(b, ' ', ' ')
		b = s.Palette.Append(b, c.Role, string(sign))
		b = fmt.Appendf(b, "  %s: %s, %s", c.Name, units.Size(l.bytes), share(l.bytes, p.Len))
		if l.partial && part != sign {
			b = append(b, "; "...)
			b = s.Palette.Append(b, c.Role, string(part))
			b = append(b, " in part"...)
		}
		b = append(b, '\n')
	}
	return b
}

// share is a part of a whole in percent.
func share(part, whole int64) string {
	percent := 100 * float64(part) / float64(max(1, whole))
	if part > 0 && percent < 0.01 {
		return "less than 0.01%"
	}
	return fmt.Sprintf("%.2f%%", percent)
}
