package tests

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// A vt is what a person sees of what a program sends to a terminal of the kind of xterm: as much of
// one as the program needs.
type vt struct {
	rows, columns int
	cells         [][]rune
	row, column   int
	main          [][]rune // what the alternate screen hides, nil while it is not shown
	rest          string   // of a sequence that has not come whole
	read          int      // how much of what a terminal has shown was taken
}

func newVT(rows, columns int) *vt {
	v := &vt{rows: rows, columns: columns}
	v.cells = v.blank()
	return v
}

func (v *vt) blank() [][]rune {
	cells := make([][]rune, v.rows)
	for i := range cells {
		cells[i] = []rune(strings.Repeat(" ", v.columns))
	}
	return cells
}

// lines are the rows without the blanks behind them.
func (v *vt) lines() []string {
	var lines []string
	for _, row := range v.cells {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return lines
}

func (v *vt) String() string { return strings.Join(v.lines(), "\n") }

// send takes what a program sends.
func (v *vt) send(text string) {
	text, v.rest = v.rest+text, ""
	for text != "" {
		n := v.take(text)
		if n == 0 {
			v.rest = text
			return
		}
		text = text[n:]
	}
}

// take takes a character or a sequence, and returns its length; 0 is one that is not whole.
func (v *vt) take(text string) int {
	if text[0] == 0x1b {
		return v.sequence(text)
	}
	if !utf8.FullRuneInString(text) {
		return 0
	}
	r, n := utf8.DecodeRuneInString(text)
	switch r {
	case '\r':
		v.column = 0
	case '\n':
		v.newline()
	case '\b':
		v.column = max(0, v.column-1)
	case '\a':
	default:
		if v.column == v.columns {
			v.column = 0
			v.newline()
		}
		v.cells[v.row][v.column] = r
		v.column++
	}
	return n
}

func (v *vt) newline() {
	if v.row++; v.row == v.rows {
		v.row--
		v.cells = append(v.cells[1:], []rune(strings.Repeat(" ", v.columns)))
	}
}

// sequence takes one of those that begin with ESC [.
func (v *vt) sequence(text string) int {
	if len(text) < 3 {
		return 0
	}
	end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= 0x40 && r <= 0x7e })
	if end < 0 {
		return 0
	}
	var numbers []int
	for word := range strings.SplitSeq(strings.TrimPrefix(text[2:2+end], "?"), ";") {
		n, _ := strconv.Atoi(word)
		numbers = append(numbers, n)
	}
	v.obey(text[2+end], append(numbers, 0))
	return end + 3
}

func (v *vt) obey(what byte, numbers []int) {
	n := numbers[0]
	at := min(v.column, v.columns-1)
	switch what {
	case 'A':
		v.row = max(0, v.row-max(1, n))
	case 'C':
		v.column = min(v.columns-1, v.column+max(1, n))
	case 'H':
		v.row, v.column = min(max(1, n), v.rows)-1, min(max(1, numbers[1]), v.columns)-1
	case 'J':
		if n == 2 {
			v.cells = v.blank()
			return
		}
		copy(v.cells[v.row][at:], v.blank()[0])
		copy(v.cells[v.row+1:], v.blank())
	case 'K':
		if n == 2 {
			at = 0
		}
		copy(v.cells[v.row][at:], v.blank()[0])
	case 'h', 'l':
		if n == 1049 {
			v.alternate(what == 'h')
		}
	}
}

func (v *vt) alternate(on bool) {
	switch {
	case on && v.main == nil:
		v.main, v.cells = v.cells, v.blank()
	case !on && v.main != nil:
		v.cells, v.main = v.main, nil
	}
}

// sized gives a terminal a size, as a person does who moves the edge of its window.
func (tty *terminal) sized(t *testing.T, rows, columns int) *vt {
	t.Helper()
	raw, err := tty.keyboard.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var setting error
	if err := raw.Control(func(fd uintptr) {
		setting = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ,
			&unix.Winsize{Row: uint16(rows), Col: uint16(columns)})
	}); err != nil || setting != nil {
		t.Fatal(err, setting)
	}
	v := newVT(rows, columns)
	v.read = len(tty.shown)
	return v
}

// sees waits until the screen shows text, all else that came before it included.
func (tty *terminal) sees(t *testing.T, v *vt, text string) {
	t.Helper()
	tty.until(t, v, "shows "+text, func() bool { return strings.Contains(v.String(), text) })
}

// until waits until the screen is as wanted.
func (tty *terminal) until(t *testing.T, v *vt, what string, is func() bool) {
	t.Helper()
	for {
		v.send(tty.shown[v.read:])
		v.read = len(tty.shown)
		if is() {
			tty.seen = v.read
			return
		}
		if err := tty.read(); err != nil {
			t.Fatalf("no screen that %s: %v\n%s", what, err, v)
		}
	}
}

// cooked says whether the terminal is as programs find it: lines, echo and signs for signals.
func (tty *terminal) cooked(t *testing.T) bool {
	t.Helper()
	raw, err := tty.keyboard.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var now *unix.Termios
	var getting error
	if err := raw.Control(func(fd uintptr) {
		now, getting = unix.IoctlGetTermios(int(fd), unix.TCGETS)
	}); err != nil || getting != nil {
		t.Fatal(err, getting)
	}
	want := uint32(unix.ICANON | unix.ISIG | unix.ECHO)
	return now.Lflag&want == want
}

func TestVT(t *testing.T) {
	t.Parallel()
	v := newVT(3, 5)
	for _, piece := range []string{
		"abcdefg\r\nx\x1b[", "?1049h\x1b[2J\x1b[2;2Hhe", "y\x1b[1;", "1H\x1b[2Kü\xc3", "\xb6\b\b!",
	} {
		v.send(piece)
	}
	if want := []string{"!ö", " hey", ""}; !slices.Equal(v.lines(), want) {
		t.Errorf("%q, want %q", v.lines(), want)
	}
	v.send("\x1b[?1049l")
	if want := []string{"abcde", "fg", "x"}; !slices.Equal(v.lines(), want) {
		t.Errorf("%q, want %q", v.lines(), want)
	}
	v.send("\x1b[3;2H\ny\x1b[A\r\x1b[J")
	if want := []string{"fg", "", ""}; !slices.Equal(v.lines(), want) {
		t.Errorf("%q, want %q", v.lines(), want)
	}
}
