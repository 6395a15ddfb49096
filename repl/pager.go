package repl

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"unicode/utf8"
)

// Pager shows what a command says a screen at a time, if it says more than fits. What fits is shown
// as ever; then all of it is on a [Screen], through which a person goes while the command waits, or
// goes to the program that the person chose for that, and what was shown of it is taken away first.
//
// It stands in front of the writers of standard output and standard error. Between Begin and the
// end it belongs to the goroutine that writes.
type Pager struct {
	// Program is a command of the shell sh that gets the text instead; "" for none. Where it cannot
	// be run the text is shown as without it.
	Program string

	in, out *os.File
	opened  func(*Screen) // called with the screen that is shown, and with nil when it is gone

	mu     sync.Mutex
	active *paging // nil outside of Begin and its end
	viewer *viewer // the program that has the terminal, nil for none
}

// NewPager makes a pager for a terminal.
func NewPager(in, out *os.File, opened func(*Screen)) *Pager {
	return &Pager{in: in, out: out, opened: opened}
}

// Begin begins a command whose text is paged. stop is called when the person has seen enough: what
// it says from then on is dropped. end waits until the person has seen the rest.
func (p *Pager) Begin(ctx context.Context, stop func()) (end func()) {
	rows, columns := Size(p.out)
	if !talks(os.Getenv("TERM")) || rows < leastPaged || columns < leastPaged {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active = &paging{
		pager: p, ctx: ctx, stop: stop, body: rows - 1, columns: columns, gives: p.Program != "",
	}
	return func() {
		p.active.finish()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.active = nil
	}
}

const (
	// leastPaged is the number of rows, and of columns, without which nothing is paged.
	leastPaged = 5
	// mostPaged is how much text a person can go back to, in bytes.
	mostPaged = 16 << 20
)

// Over makes a writer to the same terminal whose text is paged.
func (p *Pager) Over(w io.Writer) io.Writer {
	return writer(func(b []byte) (int, error) {
		p.mu.Lock()
		active := p.active
		p.mu.Unlock()
		if active == nil {
			return w.Write(b)
		}
		return len(b), active.write(w, string(b))
	})
}

// everything is more rows than there are.
const everything = math.MaxInt

// paging is the text of one command.
type paging struct {
	pager   *Pager
	ctx     context.Context
	stop    func()
	body    int // rows of text that are seen at once
	columns int

	rows   []string // of the text, none wider than the screen
	size   int      // in bytes
	lost   int      // rows that nobody can go back to
	part   string   // the line that has not come whole
	screen *Screen  // nil while all of the text fits
	gives  bool     // what does not fit is for the program
	began  string   // what the program is to get first
	seen   int      // rows of that which are on the terminal
	top    int
	want   int // rows that the person has asked for
	ended  bool
	left   bool // the person has seen enough
	sought string
	asked  bool // what to look for is being typed, into sought
	note   string
}

// write takes text. It returns when the person wants more of it.
func (g *paging) write(w io.Writer, text string) error {
	if g.left {
		return nil
	}
	viewer := g.pager.viewer
	fits := g.screen == nil && viewer == nil
	if g.gives && viewer == nil {
		g.began += text
	}
	for line := range strings.Lines(text) {
		g.take(line)
		if fits = fits && len(g.rows) < g.body; !fits {
			continue
		}
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
		g.seen = len(g.rows)
	}
	switch {
	case fits:
		return nil
	case g.gives:
		g.give(text)
		return nil
	}
	if g.screen == nil {
		g.open()
	}
	g.watch()
	return nil
}

// take takes text, of which the last line may still be going on.
func (g *paging) take(text string) {
	for line := range strings.Lines(text) {
		whole := strings.HasSuffix(line, "\n")
		if g.part += strings.TrimSuffix(line, "\n"); whole {
			g.add(g.part)
			g.part = ""
		}
	}
}

// add takes a line.
func (g *paging) add(line string) {
	for _, row := range folded(line, g.columns) {
		g.rows = append(g.rows, row)
		g.size += len(row)
	}
	for g.size > mostPaged {
		g.size -= len(g.rows[0])
		g.rows = g.rows[1:]
		g.lost++
		g.top, g.want = max(0, g.top-1), max(0, g.want-1)
	}
}

// open shows the screen. Without one the rest is dropped: it would run away.
func (g *paging) open() {
	screen, err := OpenScreen(g.pager.in, g.pager.out)
	if err != nil {
		g.leave()
		return
	}
	g.screen, g.want = screen, g.body
	g.pager.opened(screen)
}

// finish lets the person see the rest.
func (g *paging) finish() {
	if v := g.pager.viewer; v != nil {
		g.closeViewer(v)
	}
	if g.part != "" && g.screen != nil {
		g.add(g.part)
	}
	if g.ended = true; g.want == everything {
		g.top = len(g.rows)
	}
	if g.screen != nil {
		g.watch()
		g.leave()
	}
}

// leave ends the screen, and drops what is still to come.
func (g *paging) leave() {
	if g.screen != nil {
		g.pager.opened(nil)
		_ = g.screen.Close()
		g.screen = nil
	}
	if g.left = true; !g.ended {
		g.stop()
	}
}

// watch does what keys are for, until more text is wanted than there is, or no more at all.
func (g *paging) watch() {
	for !g.left && (g.ended || len(g.rows) >= g.want) {
		if g.draw() != nil {
			g.leave()
			return
		}
		key, err := g.screen.Key(g.ctx)
		if err != nil || !g.press(key) {
			g.leave()
			return
		}
	}
}

// press does what a key is for; false is to leave.
func (g *paging) press(key string) bool {
	g.note = ""
	if g.asked {
		g.typeKey(key)
		return true
	}
	switch key {
	case " ", "pgdn", "f", "ctrl-f":
		g.scroll(g.body)
	case "b", "pgup", "ctrl-b":
		g.scroll(-g.body)
	case "down", "enter", "j", "e":
		g.scroll(1)
	case "up", "k", "y":
		g.scroll(-1)
	case "g", "<", "home", "ctrl-home":
		g.scroll(-len(g.rows))
	case "G", ">", "end", "ctrl-end":
		if g.scroll(len(g.rows)); !g.ended {
			g.want = everything
		}
	case "/":
		g.asked, g.sought = true, ""
	case "n":
		g.find(g.top+1, 1)
	case "N":
		g.find(g.top-1, -1)
	case "resize":
		rows, _ := g.screen.Size()
		g.body = max(1, rows-1)
	case "q", "Q", "esc", "ctrl-c":
		return false
	}
	return true
}

// scroll moves the text. More is wanted where it ends too early.
func (g *paging) scroll(by int) {
	g.top = max(0, g.top+by)
	g.want = g.top + g.body
	if g.ended {
		g.top = max(0, min(g.top, len(g.rows)-g.body))
	}
}

// typeKey edits what is looked for.
func (g *paging) typeKey(key string) {
	switch {
	case key == "enter":
		g.asked = false
		g.find(g.top, 1)
	case key == "esc", key == "ctrl-c":
		g.asked, g.sought = false, ""
	case key == "backspace":
		_, n := utf8.DecodeLastRuneInString(g.sought)
		g.sought = g.sought[:len(g.sought)-n]
	case utf8.RuneCountInString(key) == 1:
		g.sought += key
	}
}

// find goes to the next row with what is looked for, among those that have come.
func (g *paging) find(from, step int) {
	for i := from; g.sought != "" && i >= 0 && i < len(g.rows); i += step {
		if strings.Contains(bare(g.rows[i]), g.sought) {
			g.top, g.want = i, min(len(g.rows), i+g.body)
			return
		}
	}
	g.note = "not found"
}

func (g *paging) draw() error {
	if g.ended {
		g.top = max(0, min(g.top, len(g.rows)-g.body))
	}
	g.top = min(g.top, len(g.rows))
	last := min(len(g.rows), g.top+g.body)
	rows := append(make([]string, 0, g.body+1), g.rows[g.top:last]...)
	for len(rows) < g.body {
		rows = append(rows, "")
	}
	status := fmt.Sprintf("lines %d-%d", g.lost+g.top+1, g.lost+last)
	switch {
	case g.asked:
		status = "/" + harmless(g.sought)
	case g.note != "":
		status = g.note
	case g.ended && last == len(g.rows):
		status += " (end)   b back, / find, q leave"
	default:
		status += "   space on, b back, / find, q leave"
	}
	_, columns := g.screen.Size()
	status = string([]rune(status)[:min(utf8.RuneCountInString(status), columns-1)])
	return g.screen.Draw(append(rows, "\x1b[7m"+status+"\x1b[m"), g.body,
		utf8.RuneCountInString(status))
}

// folded breaks a line so that no part is wider than the screen, between words where it can. Escape
// sequences that change how text looks take no room.
func folded(line string, width int) []string {
	var rows []string
	start, used, blank := 0, 0, -1
	for i := 0; i < len(line); {
		if n := lookLen(line[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(line[i:])
		if used == width {
			at := i
			if blank > start {
				at = blank + 1
			}
			rows = append(rows, strings.TrimRight(line[start:at], " "))
			start, blank = at, -1
			used = utf8.RuneCountInString(bare(line[start:i]))
		}
		if r == ' ' {
			blank = i
		}
		used++
		i += n
	}
	return append(rows, line[start:])
}

// lookLen is the length of an escape sequence that changes how text looks, if text begins with one.
func lookLen(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	n := 2 + strings.IndexFunc(text[2:], func(r rune) bool {
		return r != ';' && (r < '0' || r > '9')
	})
	if n < 2 || text[n] != 'm' {
		return 0
	}
	return n + 1
}

// bare is text without those sequences.
func bare(text string) string {
	if !strings.Contains(text, "\x1b") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if n := lookLen(text[i:]); n > 0 {
			i += n
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	return b.String()
}
