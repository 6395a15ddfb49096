package hexedit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/blksh/blksh/commands/units"
)

// review is the list of changes that a person agrees to before they are written.
type review struct {
	changes []Change
	rows    []string
	top     int // the first row that is shown
	typed   string
}

// beginReview shows what would be written.
func (e *Editor) beginReview(ctx context.Context) error {
	if e.ReadOnly != "" {
		e.message = e.ReadOnly
		return nil
	}
	var changes []Change
	err := e.do(ctx, func(ctx context.Context) (err error) {
		changes, err = e.buffer.Changes(ctx, e.disk)
		return err
	})
	if err != nil {
		return e.settle(err)
	}
	if len(changes) == 0 {
		e.message = "nothing is changed"
		return nil
	}
	e.review = &review{changes: changes, rows: listed(changes, int(e.layout.width))}
	return nil
}

// listed are the rows of a list of changes: old and new bytes one above the other.
func listed(changes []Change, width int) []string {
	var rows []string
	for _, c := range changes {
		rows = append(rows, fmt.Sprintf("0x%x (%d), %s", c.Off, c.Off, units.Bytes(len(c.New))))
		for at := 0; at < len(c.New); at += width {
			end := min(at+width, len(c.New))
			rows = append(rows, "  old "+inHex(c.Old[at:end], width)+"  "+inText(c.Old[at:end]),
				"  new "+inHex(c.New[at:end], width)+"  "+inText(c.New[at:end]))
		}
	}
	return rows
}

func inHex(p []byte, width int) string {
	return fmt.Sprintf("%-*s", 3*width-1, strings.TrimSpace(fmt.Sprintf("% x", p)))
}

func inText(p []byte) string {
	text := make([]byte, len(p))
	for i, c := range p {
		text[i] = char(c)
	}
	return string(text)
}

// pressInReview scrolls the list, or takes the word that has it written.
func (e *Editor) pressInReview(ctx context.Context, key string) error {
	r, page := e.review, max(1, e.layout.body)
	switch {
	case key == "esc", key == "ctrl-c", key == "ctrl-q":
		e.review = nil
		e.message = "nothing was written"
	case key == "up":
		r.scroll(-1, page)
	case key == "down":
		r.scroll(1, page)
	case key == "pgup":
		r.scroll(-page, page)
	case key == "pgdn":
		r.scroll(page, page)
	case key == "backspace":
		_, n := utf8.DecodeLastRuneInString(r.typed)
		r.typed = r.typed[:len(r.typed)-n]
	case key == "enter" && r.typed == e.word():
		e.review = nil
		return e.write(ctx, r.changes)
	case key == "enter":
		e.message = fmt.Sprintf("'%s' and Enter writes, Esc goes back", e.word())
	case single(key) && len(r.typed)+len(key) <= longestAnswer:
		r.typed += key
	}
	return nil
}

func (e *Editor) word() string { return cmp.Or(e.Word, "yes") }

// scroll moves the list by rows, as far as there are any.
func (r *review) scroll(by, page int) {
	r.top = max(0, min(r.top+by, len(r.rows)-page))
}

// write writes what was agreed to. What fails stays changed.
func (e *Editor) write(ctx context.Context, changes []Change) error {
	e.message = "writing"
	if err := e.paint(); err != nil {
		return err
	}
	e.message = ""
	kept, err := e.disk.Prepare(ctx)
	if err == nil {
		e.result.Kept = kept
		err = e.do(ctx, func(ctx context.Context) error { return e.disk.Write(ctx, changes) })
	}
	e.window.drop()
	var foreign *ForeignError
	if errors.As(err, &foreign) {
		e.goTo(foreign.Off)
	}
	if err != nil {
		return e.settle(err)
	}
	e.result.Ranges += len(changes)
	e.result.Bytes += sum(changes)
	e.buffer.Forget()
	e.message = fmt.Sprintf("wrote %s in %s; the old ones are in ", units.Bytes(sum(changes)),
		units.Count(len(changes), "range"))
	if len(e.message)+len(kept) > e.layout.columns { // leaving tells all of it
		kept = filepath.Base(kept)
	}
	e.message += kept
	return nil
}
