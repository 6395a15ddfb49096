package hexedit

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/blksh/blksh/commands/units"
)

// How bytes look that stand out: without colours, which not every terminal has.
const (
	plain   = "\x1b[m"
	reverse = "\x1b[7m"
	altered = "\x1b[1;4m" // bold and underlined
	faint   = "\x1b[2m"
)

// layout is how the window is used: a row above and one below the body, in which each row shows
// width bytes behind an offset of so many digits.
type layout struct {
	rows, columns int
	body          int // rows
	digits        int
	width         int64
}

// leastRows is how many rows show anything.
const leastRows = 3

// layoutOf fits as many bytes into a row as a power of two has, up to 16; width is 0 if there is no
// room for 4.
func layoutOf(rows, columns int, size int64) layout {
	l := layout{rows: rows, columns: columns, body: rows - 2, width: 16}
	l.digits = max(8, len(fmt.Sprintf("%x", size-1)))
	for l.width >= 4 && l.textColumn()+int(l.width) > columns {
		l.width /= 2
	}
	if l.width < 4 || rows < leastRows {
		l.width, l.body = 0, 0
	}
	return l
}

// hexColumn is where the digits of byte i of a row begin. Eight bytes are a group.
func (l layout) hexColumn(i int64) int { return l.digits + 2 + int(3*i+i/8) }

// textColumn is where the text of a row begins.
func (l layout) textColumn() int { return l.hexColumn(l.width-1) + 4 }

// show reads what is to be seen, and draws it.
func (e *Editor) show(ctx context.Context) error {
	rows, columns := e.screen.Size()
	e.layout = layoutOf(rows, columns, e.Size)
	if e.layout.width == 0 {
		return e.screen.Draw([]string{"too small"}, 0, 0)
	}
	e.scroll()
	n := int(min(e.layout.width*int64(e.layout.body), e.Size-e.top))
	if !e.window.holds(e.top, n) {
		loaded := window{}
		top, sector := e.top, e.Sector
		err := e.do(ctx, func(ctx context.Context) error {
			return loaded.load(ctx, e.disk, top, n, sector)
		})
		if err := e.settle(err); err != nil {
			return err
		}
		if err != nil {
			loaded = window{off: e.top, bytes: make([]byte, n), lost: make([]bool, n)}
			for i := range loaded.lost {
				loaded.lost[i] = true
			}
		}
		e.window = loaded
	}
	return e.paint()
}

// scroll moves the window so that it holds the cursor; one that comes from afar is in its middle.
func (e *Editor) scroll() {
	width, page := e.layout.width, e.layout.width*int64(e.layout.body)
	row := e.cursor - e.cursor%width
	e.top -= e.top % width
	switch {
	case row < e.top-page || row >= e.top+2*page:
		e.top = max(0, row-page/2/width*width)
	case row < e.top:
		e.top = row
	case row >= e.top+page:
		e.top = row - page + width
	}
}

// paint draws the window as it is.
func (e *Editor) paint() error {
	l := e.layout
	if l.width == 0 {
		return nil
	}
	rows := make([]string, 0, l.rows)
	rows = append(rows, reverse+fitted(e.title(), l.columns)+plain)
	body, row, column := e.bodyRows()
	for len(body) < l.body {
		body = append(body, "")
	}
	rows = append(rows, body[:l.body]...)
	last, at := e.lastRow()
	rows = append(rows, cut(last, l.columns))
	if at >= 0 {
		row, column = l.rows-1, min(at, l.columns-1)
	}
	return e.screen.Draw(rows, row, column)
}

// title says where the cursor is.
func (e *Editor) title() string {
	verb := "edit"
	if e.ReadOnly != "" {
		verb = "view"
	}
	title := fmt.Sprintf(" %s %s  0x%x (%d) of %d  sector %d+%d", verb, ascii(e.Name), e.cursor,
		e.cursor, e.Size, e.cursor/e.Sector, e.cursor%e.Sector)
	if n := e.buffer.Len(); n > 0 {
		title += fmt.Sprintf("  %d changed", n)
	}
	return title
}

// bodyRows are the rows between the first and the last, and where the cursor is.
func (e *Editor) bodyRows() (rows []string, row, column int) {
	switch {
	case e.help:
		return cutAll(strings.Split(strings.TrimRight(keyHelp, "\n"), "\n"), e.layout.columns), 0, 0
	case e.review != nil:
		r := e.review
		r.scroll(0, e.layout.body)
		return cutAll(r.rows[r.top:], e.layout.columns), 0, 0
	}
	for at := e.top; at < e.window.off+int64(len(e.window.bytes)); at += e.layout.width {
		rows = append(rows, e.row(at))
	}
	i := e.cursor % e.layout.width
	row, column = int((e.cursor-e.top)/e.layout.width)+1, e.layout.hexColumn(i)
	switch {
	case e.text:
		column = e.layout.textColumn() + int(i)
	case e.low:
		column++
	}
	return rows, row, column
}

// row is a row of bytes. A mark behind the offset says that a sector begins there.
func (e *Editor) row(at int64) string {
	var digits, text strings.Builder
	mark := ":"
	if at/e.Sector != (at-1)/e.Sector || at == 0 {
		mark = "="
	}
	end := e.window.off + int64(len(e.window.bytes))
	for i := range e.layout.width {
		if i > 0 && i%8 == 0 {
			digits.WriteByte(' ')
		}
		off := at + i
		if off >= end {
			digits.WriteString("   ")
			continue
		}
		two, one := "??", "?"
		if e.window.known(off) {
			b := e.window.at(&e.buffer, off)
			two, one = fmt.Sprintf("%02x", b), string(char(b))
		}
		look := e.look(off)
		digits.WriteString(styled(two, look) + " ")
		text.WriteString(styled(one, look))
	}
	return fmt.Sprintf("%0*x%s %s %s", e.layout.digits, at, mark, digits.String(), text.String())
}

// look is how a byte looks.
func (e *Editor) look(off int64) string {
	switch {
	case off == e.cursor:
		return reverse
	case e.buffer.Changed(off):
		return altered
	case e.match != nowhere && off >= e.match && off < e.match+int64(len(e.sought)):
		return reverse
	case !e.window.known(off):
		return faint
	}
	return ""
}

func styled(text, look string) string {
	if look == "" {
		return text
	}
	return look + text + plain
}

// lastRow is a message, a question, or what keys there are. at is where the cursor is in it, -1 if
// it is elsewhere.
func (e *Editor) lastRow() (text string, at int) {
	switch {
	case e.help:
		return "any key goes back", -1
	case e.review != nil && e.message == "":
		text = fmt.Sprintf("write %s in %s? Type %s and Enter, or Esc: %s",
			units.Bytes(sum(e.review.changes)),
			units.Count(len(e.review.changes), "range"), e.word(), e.review.typed)
		return text, utf8.RuneCountInString(text)
	case e.asked != nil:
		text = e.asked.shown()
		return text, utf8.RuneCountInString(text)
	case e.message != "":
		return ascii(e.message), -1
	}
	return "F1 keys  Tab hex/text  ^G go to  ^F find  ^N next  ^U undo  ^S write  ^Q leave", -1
}

// char is a byte in the column of text.
func char(b byte) byte {
	if b >= 0x20 && b < 0x7f {
		return b
	}
	return '.'
}

// ascii leaves of a text what every terminal shows as one column.
func ascii(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x20 && r < 0x7f {
			return r
		}
		return '?'
	}, text)
}

// cut is as much of a text as fits.
func cut(text string, columns int) string {
	runes := []rune(text)
	return string(runes[:min(len(runes), columns)])
}

func cutAll(rows []string, columns int) []string {
	fitting := make([]string, len(rows))
	for i, row := range rows {
		fitting[i] = cut(row, columns)
	}
	return fitting
}

// fitted is a text that fills the columns.
func fitted(text string, columns int) string {
	return fmt.Sprintf("%-*s", columns, cut(text, columns))
}

const keyHelp = `
 arrows, PgUp, PgDn       move; Home and End in a row, Ctrl-Home, Ctrl-End in all
 [ ]                      to where a sector begins, before and behind
 Tab                      between hex and text
 0-9 a-f, or text         change bytes
 Ctrl-U, Ctrl-R    u r    undo, redo
 Ctrl-G            g      go to an offset: 4k, 0x200, end-512, +1M, -16
 Ctrl-F, Ctrl-B    / ?    find forward, backward; Tab changes hex and text
 Ctrl-N, Ctrl-P    n N    the next one, the one before
 Ctrl-S            w      write: shows what changes, and asks
 Ctrl-Q            q      leave
 Ctrl-Z                   stop; fg goes on

 The letters are for the column of hex digits. A '=' behind an offset is where
 a sector begins.
`
