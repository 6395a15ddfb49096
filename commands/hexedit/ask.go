package hexedit

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// question is what a person is asked in the last row.
type question struct {
	label string
	typed string
	then  func(ctx context.Context, answer string) error
	// search: the answer is bytes, and Tab changes how they are written.
	search, forward, text bool
}

// longestAnswer is in bytes.
const longestAnswer = 1000

func (e *Editor) ask(label string, then func(ctx context.Context, answer string) error) {
	e.asked = &question{label: label, then: then}
}

// askSearch asks what to look for: text where the cursor is in the column of text.
func (e *Editor) askSearch(forward bool) {
	q := &question{search: true, forward: forward, text: e.text}
	q.then = func(ctx context.Context, answer string) error {
		wanted, err := q.bytes(answer)
		switch {
		case err != "":
			e.message = err
			return nil
		case len(wanted) > 0:
			e.sought = wanted
		}
		return e.search(ctx, q.forward)
	}
	e.asked = q
}

// shown is the row of the question.
func (q *question) shown() string {
	label := q.label
	if q.search {
		label = "find "
		if !q.forward {
			label = "find before "
		}
		if q.text {
			label += "text (Tab: hex): "
		} else {
			label += "hex (Tab: text): "
		}
	}
	return label + q.typed
}

// bytes are those that an answer stands for. wrong says why it stands for none.
func (q *question) bytes(answer string) (wanted []byte, wrong string) {
	if q.text {
		return []byte(answer), ""
	}
	digits := strings.Join(strings.Fields(strings.TrimPrefix(answer, "0x")), "")
	wanted, err := hex.DecodeString(digits)
	if err != nil {
		return nil, "not hex: write pairs of digits, such as 55 aa; Tab looks for text"
	}
	return wanted, ""
}

// pressInQuestion edits the answer.
func (e *Editor) pressInQuestion(ctx context.Context, key string) error {
	q := e.asked
	switch {
	case key == "esc", key == "ctrl-c", key == "ctrl-g":
		e.asked = nil
	case key == "enter":
		e.asked = nil
		return q.then(ctx, q.typed)
	case key == "backspace":
		_, n := utf8.DecodeLastRuneInString(q.typed)
		q.typed = q.typed[:len(q.typed)-n]
	case key == "ctrl-u":
		q.typed = ""
	case key == "tab" && q.search:
		q.text = !q.text
	case single(key) && len(q.typed)+len(key) <= longestAnswer:
		q.typed += key
	}
	return nil
}

// search goes to the next place of what was looked for last, or to the one before.
func (e *Editor) search(ctx context.Context, forward bool) error {
	if len(e.sought) == 0 {
		e.message = "nothing was looked for yet: Ctrl-F does"
		return nil
	}
	f := finder{disk: e.disk, buffer: &e.buffer, size: e.Size, wanted: bytes.Clone(e.sought)}
	e.message = "searching; Esc stops"
	if err := e.paint(); err != nil {
		return err
	}
	e.message = ""
	at, from := int64(nowhere), e.cursor
	err := e.do(ctx, func(ctx context.Context) (err error) {
		if forward {
			at, err = f.forward(ctx, from+1)
		} else {
			at, err = f.backward(ctx, from)
		}
		return err
	})
	switch {
	case err != nil:
		return e.settle(err)
	case at != nowhere:
		e.match = at
		e.goTo(at)
	case forward:
		e.message = "not found from here to the end; Ctrl-P looks before"
	default:
		e.message = "not found before; Ctrl-N looks behind"
	}
	return nil
}
