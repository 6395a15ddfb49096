package repl

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"unicode"

	"github.com/chzyer/readline"
)

// Editor lets a person type a line.
type Editor interface {
	// ReadLine shows the prompt and returns the line. The error is io.EOF for Ctrl-D or a terminal
	// that is gone, and ErrInterrupted for Ctrl-C.
	ReadLine(prompt string) (string, error)
	// AddHistory makes a line come back with arrow up and Ctrl-R.
	AddHistory(line string)
	// Close leaves the terminal as it was found and ends a ReadLine under way.
	Close() error
}

var _ Editor = (*Terminal)(nil)

// ErrInterrupted is the error of a line that was ended by Ctrl-C.
var ErrInterrupted = errors.New("interrupted")

const (
	// longestTyped is how many characters a line may have. Each key draws it anew.
	longestTyped = 4095
	// narrowest is the least width that the library is told, since it needs the square of the rows
	// of a line to draw it.
	narrowest = 20
	// longestList is how many choices of a completion are shown, in lines.
	longestList = 100
)

// editKey is what the line editor is told when Terminal changes the line itself. It is of no width,
// is never drawn, and cannot be typed.
const editKey = '\u0080'

// drawnKey follows it. It does nothing outside of the library's own search, so that when the
// library has dealt with it the edit has been drawn: the listener, which tells the edit, is asked
// before.
const drawnKey = '\a'

// Terminal is the line editor of github.com/chzyer/readline on a terminal, with its faults fenced
// off:
//
//   - It reads keys only while ReadLine asks for a line and one at a time, each when the one before
//     was dealt with. So input for a running command stays with the terminal, nothing is drawn
//     concurrently, and no key leads to where the library panics (its search, selecting from
//     completions) or ends for good (NUL, Ctrl-D while a command runs).
//   - Pasted text is one key, since each draws the whole line. Several lines that are pasted come
//     one after the other, and none runs by itself.
//   - Its Close, which waits for a key, is never called.
//   - There is no handler of SIGWINCH; the width is looked at with each key.
//
// Completion, search, and deleting words are edits of this type, which the library is told by its
// listener.
type Terminal struct {
	// Paint makes a prompt look like one. It may add escape sequences that change how text looks,
	// and nothing else; nil adds none. It is set before the first line is asked for.
	Paint func(prompt string) string

	lib      *readline.Instance
	tty      *tty
	out      *os.File
	resized  func() // tells the library
	width    int
	complete Completer // nil while no commands are asked for
	history  []string
	prompt   string

	shownPrompt string // the prompt, or that of a search

	asked  chan struct{} // ReadLine wants a line
	dealt  chan struct{} // the library has dealt with a key
	quiet  chan struct{} // holds a token while a key is waited for and nobody draws
	closed chan struct{}
	close  func() error

	mu   sync.Mutex
	over chan struct{} // closed when the line that is being edited is done; nil without one

	// The goroutine of the library that reads owns these, from a key to the next.
	sent    []byte // by the terminal, and not yet a key
	paste   paste
	wanted  bool // a line
	begins  bool // the line, of which no key was given yet
	dealing bool // the library was given a key
	// These belong to whoever deals with a key.
	typed  int // characters in the line
	edit   edit
	search search
	pasted []string // lines that are still to come on the line, each in its turn
}

// An edit changes a line and the place of the cursor.
type edit func(line []rune, pos int) ([]rune, int)

// NewTerminal starts a line editor on a terminal. Without a completer TAB does nothing. There can
// be one Terminal in a process at a time.
func NewTerminal(in, out *os.File, c Completer) (*Terminal, error) {
	tty, err := newTTY(in, out)
	if err != nil {
		return nil, err
	}
	t := &Terminal{
		tty: tty, out: out, complete: c, width: max(narrowest, Width(out)),
		asked: make(chan struct{}, 1), dealt: make(chan struct{}, 1), quiet: make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
	t.close = sync.OnceValue(func() error {
		close(t.closed)
		return t.tty.stop()
	})
	t.lib, err = readline.NewEx(&readline.Config{
		Stdin:                  &keyboard{t},
		Stdout:                 out,
		Stderr:                 out,
		HistoryLimit:           remembered,
		DisableAutoSaveHistory: true,
		EOFPrompt:              "\n", // means: none
		Listener:               readline.FuncListener(t.onChange),
		Painter:                painter{},
		FuncIsTerminal:         func() bool { return true },
		FuncMakeRaw:            tty.raw,
		FuncExitRaw:            tty.cook,
		FuncGetWidth:           func() int { return t.width },
		FuncOnWidthChanged:     func(resized func()) { t.resized = resized },
	})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// ReadLine lets a person type a line.
func (t *Terminal) ReadLine(prompt string) (string, error) {
	select {
	case <-t.closed:
		return "", io.EOF
	default:
	}
	over := make(chan struct{})
	t.mu.Lock()
	t.over = over
	t.mu.Unlock()
	defer close(over)

	t.prompt = harmless(prompt)
	t.setPrompt(t.prompt)
	if len(t.history) > 0 {
		_ = t.lib.SaveHistory("") // arrow up begins at the last line again
	}
	t.asked <- struct{}{}
	text, err := t.lib.Readline()
	if errors.Is(err, readline.ErrInterrupt) {
		return "", ErrInterrupted
	}
	return text, err
}

// Ask is ReadLine for an answer that is no command.
func (t *Terminal) Ask(prompt string) (string, error) {
	defer func(c Completer, pasted []string) { t.complete, t.pasted = c, pasted }(t.complete,
		t.pasted)
	t.complete, t.pasted = nil, nil
	return t.ReadLine(prompt)
}

// AddHistory makes a line come back. It must not be called during ReadLine.
func (t *Terminal) AddHistory(line string) {
	t.history = append(t.history, line)
	t.history = t.history[max(0, len(t.history)-remembered):]
	_ = t.lib.SaveHistory(line) // it writes no file, so it cannot fail
}

// Close leaves the terminal as it was found. Lines end then.
func (t *Terminal) Close() error { return t.close() }

// Over makes a writer to the same terminal. While a line is being edited it is taken away, and
// drawn again below what was written, which should be whole lines.
func (t *Terminal) Over(w io.Writer) io.Writer {
	return writer(func(p []byte) (n int, err error) {
		t.mu.Lock()
		over := t.over
		t.mu.Unlock()
		if over == nil {
			return w.Write(p)
		}
		select {
		case <-over:
			return w.Write(p)
		case <-t.quiet:
			t.lib.Clean()
			n, err = w.Write(p)
			t.lib.Refresh()
			t.quiet <- struct{}{}
			return n, err
		}
	})
}

// writer is an io.Writer that is one function.
type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// painter leaves out what stands for an edit.
type painter struct{}

func (painter) Paint(line []rune, _ int) []rune {
	if !slices.Contains(line, editKey) {
		return line
	}
	return slices.DeleteFunc(slices.Clone(line), func(r rune) bool { return r == editKey })
}

// keyboard is what the library reads from.
type keyboard struct{ *Terminal }

// Close does nothing: the terminal is not the library's to close.
func (k *keyboard) Close() error { return nil }

// Read gives the library a key, when it has dealt with the one before and a line is wanted.
func (k *keyboard) Read(p []byte) (int, error) {
	for {
		if !k.await() {
			return 0, io.EOF
		}
		pressed, err := k.nextKey()
		if err != nil {
			_ = k.Terminal.Close() // there will be no more lines
			return 0, io.EOF
		}
		if feed := k.feed(pressed); feed != "" {
			k.dealing = true
			return copy(p, feed), nil
		}
	}
}

// await returns when a key may be given; false is never.
func (k *keyboard) await() bool {
	if k.dealing {
		select {
		case <-k.dealt:
			k.dealing = false
		case <-k.closed:
			return false
		}
	}
	if k.wanted {
		return true
	}
	select {
	case <-k.asked:
		k.wanted, k.begins = true, true
		k.typed = 0
		return true
	case <-k.closed:
		return false
	}
}

// nextKey waits for a key, if nothing that was pasted is still to come. Meanwhile others may draw.
func (k *keyboard) nextKey() (key, error) {
	if k.begins && len(k.pasted) > 0 {
		k.begins = false
		return key{keyText, k.takePasted()}, nil
	}
	k.begins = false
	for {
		if k.paste.take(&k.sent) {
			return key{keyPaste, k.paste.end()}, nil
		}
		if pressed, n := nextKey(k.sent); n > 0 && !k.paste.on {
			k.sent = k.sent[n:]
			return pressed, nil
		}
		buf := make([]byte, 4096)
		k.quiet <- struct{}{}
		n, err := k.tty.read(buf)
		<-k.quiet
		if err != nil {
			return key{}, err
		}
		k.measure()
		k.sent = append(k.sent, buf[:n]...)
	}
}

// measure tells the library how wide the window is, before it takes away what it has drawn:
// terminals break lines anew when their width changes.
func (t *Terminal) measure() {
	if width := max(narrowest, Width(t.out)); width != t.width {
		t.width = width
		t.resized()
		t.lib.Clean()
		t.setPrompt(t.shownPrompt)
		t.lib.Refresh()
	}
}

// setPrompt changes what stands before the line from the next drawing on. The library draws a line
// for ever where that fills its rows.
func (t *Terminal) setPrompt(prompt string) {
	t.shownPrompt = prompt
	if (readline.Runes{}).WidthAll([]rune(prompt))%t.width == 0 {
		prompt += " "
	}
	t.lib.SetPrompt(t.painted(prompt))
}

func (t *Terminal) painted(prompt string) string {
	if t.Paint == nil {
		return prompt
	}
	return t.Paint(prompt)
}

// feed is what the library is told of a key, "" if nothing.
func (t *Terminal) feed(pressed key) string {
	if t.search.on {
		if feed, done := t.searching(pressed); done {
			return feed
		}
	}
	switch pressed.kind {
	case keyEnter:
		return t.done("\r")
	case keyInterrupt:
		t.pasted = nil
		return t.done("\x03")
	case keyEnd:
		if t.typed == 0 {
			return t.done("\x04")
		}
		return "\x04"
	case keyDelete: // to the library it is the same as Ctrl-D
		if t.typed == 0 {
			return ""
		}
		return "\x04"
	case keyEdit:
		return pressed.text
	case keyText:
		return t.doing(insert([]rune(pressed.text)))
	case keyRubWord:
		return t.doing(rubWord)
	case keyPaste:
		return t.doing(t.takePaste(pressed.text))
	case keySearch:
		return t.doing(t.beginSearch)
	case keyTab:
		return t.doing(t.tab)
	case keySuspend:
		t.lib.Clean()
		_ = t.tty.suspend() // without raw mode there will be lines all the same
		t.lib.Refresh()
	}
	return ""
}

// done ends the line.
func (t *Terminal) done(feed string) string {
	t.wanted = false
	return feed
}

// doing makes an edit, and shows it.
func (t *Terminal) doing(e edit) string {
	t.edit = e
	return string([]rune{editKey, drawnKey})
}

// onChange is called by the library when it has dealt with a key, and when a line begins.
func (t *Terminal) onChange(line []rune, _ int,
	pressed rune,
) (newLine []rune, newPos int, ok bool) {
	if pressed == 0 {
		return nil, 0, false
	}
	if t.edit != nil {
		at := slices.Index(line, editKey)
		newLine, newPos = t.edit(slices.Delete(line, at, at+1), at)
		t.edit = nil
		t.typed = len(newLine)
		return newLine, newPos, true // drawnKey comes next
	}
	t.typed = len(line)
	t.dealt <- struct{}{}
	return nil, 0, false
}

// bell tells that a key did nothing.
func (t *Terminal) bell() { _, _ = io.WriteString(t.out, "\a") }

// insert puts text where the cursor is, as much as a line takes.
func insert(text []rune) edit {
	return func(line []rune, pos int) ([]rune, int) {
		text = text[:min(len(text), max(0, longestTyped-len(line)))]
		return slices.Insert(line, pos, text...), pos + len(text)
	}
}

// rubWord deletes the word before the cursor.
func rubWord(line []rune, pos int) ([]rune, int) {
	start := pos
	for start > 0 && unicode.IsSpace(line[start-1]) {
		start--
	}
	for start > 0 && !unicode.IsSpace(line[start-1]) {
		start--
	}
	return slices.Delete(line, start, pos), start
}

// tab completes the word before the cursor, or lists what it may be.
func (t *Terminal) tab(line []rune, pos int) ([]rune, int) {
	if t.complete == nil {
		return line, pos
	}
	before := string(line[:pos])
	found := complete(t.complete, before)
	if len(found.choices) == 0 {
		t.bell()
		return line, pos
	}
	text := found.text()
	if text == "" {
		t.list(string(line), found.choices)
		return line, pos
	}
	completed := []rune(before[:found.start] + text)
	if len(completed)+len(line)-pos > longestTyped {
		t.bell()
		return line, pos
	}
	return append(completed, line[pos:]...), len(completed)
}

// list shows choices below the line.
func (t *Terminal) list(line string, choices []Choice) {
	t.below(line, listing(choices, t.width))
}

// below shows text below the line. The library draws the line anew then.
func (t *Terminal) below(line, text string) {
	t.lib.Clean()
	_, _ = io.WriteString(t.out, t.painted(t.prompt)+line+"\n"+text)
}
