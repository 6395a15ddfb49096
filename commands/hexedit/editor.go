package hexedit

import (
	"context"
	"errors"
	"fmt"

	"github.com/blksh/blksh/commands/units"
)

// Config is what is edited, and how.
type Config struct {
	Name string
	Size int64 // of the disk, in bytes, above 0
	// Sector is the length of a block of the disk, at which boundaries are shown.
	Sector int64
	Offset int64 // where the cursor is at first
	// ReadOnly says why nothing can be changed, "" if it can.
	ReadOnly string
	// Word is what a person types to have changes written, "yes" if it is "".
	Word string
	// Parse reads an offset that is typed.
	Parse func(word string) (int64, error)
}

// Result is what an editor has done.
type Result struct {
	Ranges, Bytes int    // that were written
	Kept          string // what Disk.Write said last
	Dropped       int    // bytes that were changed and not written
}

// Editor is the editor at work.
type Editor struct {
	Config
	disk   Disk
	screen Screen
	buffer Buffer
	window window
	layout layout
	result Result

	cursor int64 // of a byte
	top    int64 // the first byte that is shown
	text   bool  // the cursor is in the column of text
	low    bool  // the cursor is at the second digit of its byte

	queue   []string // keys that came while the disk was busy
	message string   // in the last row, until the next key
	asked   *question
	review  *review
	help    bool
	over    bool

	sought []byte // what was looked for last
	match  int64  // where it is, nowhere if it is not
}

// New makes an editor.
func New(cfg Config, d Disk, s Screen) *Editor {
	cfg.Sector = max(1, cfg.Sector)
	return &Editor{
		Config: cfg, disk: d, screen: s, match: nowhere,
		cursor: min(max(0, cfg.Offset), cfg.Size-1),
	}
}

// errStopped ends what takes long when a person wants it to.
var errStopped = errors.New("stopped")

// Run shows the disk until the person leaves. The error is that of the screen, or the cause of ctx:
// what was not written is dropped then.
func (e *Editor) Run(ctx context.Context) (Result, error) {
	for !e.over {
		err := e.show(ctx)
		if err == nil {
			err = e.next(ctx)
		}
		if err != nil {
			e.result.Dropped = e.buffer.Len()
			return e.result, err
		}
	}
	return e.result, nil
}

// next waits for a key and does what it is for.
func (e *Editor) next(ctx context.Context) error {
	var key string
	if len(e.queue) > 0 {
		key, e.queue = e.queue[0], e.queue[1:]
	} else {
		var err error
		if key, err = e.screen.Key(ctx); err != nil {
			return err
		}
	}
	if key == "resize" {
		return nil
	}
	e.message = ""
	switch {
	case e.help:
		e.help = false
		return nil
	case e.review != nil:
		return e.pressInReview(ctx, key)
	case e.asked != nil:
		return e.pressInQuestion(ctx, key)
	}
	return e.press(ctx, key)
}

// mostQueued is how many keys are kept while the disk is busy.
const mostQueued = 1000

// do works on the disk while keys are watched: Esc and Ctrl-C end what takes long, and a second one
// ends the editor where the disk does not answer. Other keys wait.
func (e *Editor) do(ctx context.Context, work func(ctx context.Context) error) error {
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watching, done := context.WithCancel(ctx)
	defer done()
	outcome := make(chan error, 1)
	go func() {
		outcome <- work(working)
		done()
	}()
	for stopped := false; ; {
		key, err := e.screen.Key(watching)
		switch {
		case err != nil && watching.Err() != nil && ctx.Err() == nil:
			return <-outcome
		case err != nil:
			return &lostError{err}
		case key != "esc" && key != "ctrl-c":
			if len(e.queue) < mostQueued {
				e.queue = append(e.queue, key)
			}
		case stopped:
			return &lostError{errStopped}
		default:
			stopped = true
			stop(errStopped)
		}
	}
}

// lostError ends the editor: the screen, the disk or everything is lost.
type lostError struct{ err error }

func (l *lostError) Error() string { return l.err.Error() }

func (l *lostError) Unwrap() error { return l.err }

// settle turns the outcome of do into a message. The error ends the editor.
func (e *Editor) settle(err error) error {
	var lost *lostError
	switch {
	case errors.As(err, &lost):
		return lost.err
	case errors.Is(err, errStopped):
		e.message = "stopped"
	case err != nil:
		e.message = err.Error()
	}
	return nil
}

// press does what a key is for, outside of questions.
func (e *Editor) press(ctx context.Context, key string) error {
	if to, ok := e.moves(key); ok {
		e.goTo(to)
		return nil
	}
	if e.data(key) {
		e.enter(key)
		return nil
	}
	switch key {
	case "tab", "backtab":
		e.text, e.low = !e.text, false
	case "ctrl-g", "g":
		e.ask("go to: ", e.goToWord)
	case "ctrl-f", "/":
		e.askSearch(true)
	case "ctrl-b", "?":
		e.askSearch(false)
	case "ctrl-n", "n":
		return e.search(ctx, true)
	case "ctrl-p", "N":
		return e.search(ctx, false)
	case "ctrl-u", "u":
		e.back(e.buffer.Undo, "nothing to undo")
	case "ctrl-r", "r":
		e.back(e.buffer.Redo, "nothing to redo")
	case "ctrl-s", "w":
		return e.beginReview(ctx)
	case "ctrl-q", "q":
		e.leave()
	case "f1", "h":
		e.help = true
	case "ctrl-l":
		e.window.drop()
	default:
		if e.message = "F1 lists the keys, Ctrl-Q leaves"; single(key) && e.ReadOnly != "" {
			e.message = e.ReadOnly
		}
	}
	return nil
}

// data says whether a key is a byte, or a part of one, and no command.
func (e *Editor) data(key string) bool {
	if !single(key) || e.ReadOnly != "" {
		return false
	}
	_, ok := digit(key)
	return ok || e.text
}

// single says whether a key is a character.
func single(key string) bool { return len([]rune(key)) == 1 }

// digit is the value of a hexadecimal digit.
func digit(key string) (byte, bool) {
	switch c := key[0]; {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// enter changes the byte under the cursor, and goes on behind it when it is whole.
func (e *Editor) enter(key string) {
	if !e.window.known(e.cursor) {
		e.message = "these bytes could not be read, so they cannot be changed"
		return
	}
	if e.text {
		for _, c := range []byte(key) { // beyond ASCII a character is several
			if !e.set(c) {
				return
			}
			e.goTo(e.cursor + 1)
		}
		return
	}
	value, _ := digit(key)
	now := e.window.at(&e.buffer, e.cursor)
	if e.low {
		value |= now & 0xf0
	} else {
		value = value<<4 | now&0x0f
	}
	if !e.set(value) {
		return
	}
	if !e.low {
		e.low = true
		return
	}
	e.goTo(e.cursor + 1)
}

func (e *Editor) set(to byte) bool {
	if err := e.buffer.Set(e.cursor, to); err != nil {
		e.message = err.Error()
		return false
	}
	return true
}

// back undoes or redoes.
func (e *Editor) back(step func() (int64, bool), nothing string) {
	off, ok := step()
	if !ok {
		e.message = nothing
		return
	}
	e.goTo(off)
}

// moves is where a key moves the cursor, if it is one that does.
func (e *Editor) moves(key string) (to int64, ok bool) {
	row, page := e.layout.width, e.layout.width*max(1, int64(e.layout.body))
	at := e.cursor
	switch key {
	case "left":
		return at - 1, true
	case "right":
		return at + 1, true
	case "up":
		if at >= row {
			at -= row
		}
		return at, true
	case "down":
		if at+row < e.Size {
			at += row
		}
		return at, true
	case "pgup":
		return at - page, true
	case "pgdn":
		return at + page, true
	case "home", "ctrl-a":
		return at - at%row, true
	case "end", "ctrl-e":
		return at - at%row + row - 1, true
	case "ctrl-home":
		return 0, true
	case "ctrl-end":
		return e.Size - 1, true
	case "[":
		return (at - 1) / e.Sector * e.Sector, !e.text
	case "]":
		return (at/e.Sector + 1) * e.Sector, !e.text
	}
	return 0, false
}

// goTo puts the cursor at a byte.
func (e *Editor) goTo(off int64) {
	e.cursor, e.low = min(max(0, off), e.Size-1), false
}

// goToWord puts the cursor where a person says; + and - count from where it is.
func (e *Editor) goToWord(_ context.Context, word string) error {
	if word == "" {
		return nil
	}
	rest, sign := word, int64(0)
	switch word[0] {
	case '+':
		rest, sign = word[1:], 1
	case '-':
		rest, sign = word[1:], -1
	}
	off, err := e.Parse(rest)
	switch {
	case err != nil:
		e.message = err.Error()
		return nil
	case sign > 0 && off < e.Size: // so that nothing overflows
		off += e.cursor
	case sign < 0:
		off = e.cursor - off
	}
	if off < 0 || off >= e.Size {
		e.message = fmt.Sprintf("the disk ends at %d", e.Size)
		return nil
	}
	e.goTo(off)
	return nil
}

// leave ends the editor, but not before a person has agreed that changes are lost.
func (e *Editor) leave() {
	n := e.buffer.Len()
	if n == 0 {
		e.over = true
		return
	}
	unwritten := units.Count(n, "byte is", "bytes are")
	e.ask(unwritten+" not written, w writes. Drop what is changed? (y/n) ",
		func(_ context.Context, answer string) error {
			if answer == "y" || answer == "yes" {
				e.result.Dropped, e.over = n, true
			}
			return nil
		})
}
