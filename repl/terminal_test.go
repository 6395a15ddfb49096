package repl

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/chzyer/readline"
)

// TestMain keeps Ctrl-Z from stopping the tests.
func TestMain(m *testing.M) {
	signal.Ignore(unix.SIGTSTP)
	os.Exit(m.Run())
}

// words is a small shell's worth of completion.
type words struct{}

func (words) Commands() []string {
	return []string{"length", "read", "readv", "remove_break", "write"}
}

func (words) Flags(line []string) []Choice {
	if line[0] != "read" {
		return nil
	}
	return []Choice{{"-P", "", "pattern to look for"}, {"-v", "", "dump the bytes"}}
}

func (words) Args(line []string, prefix string) []string {
	return []string{fmt.Sprintf("%s%s-%d", prefix, line[0], len(line)-1)}
}

func (words) Begin([]string) (before int, keywords []string, alone bool) { return 0, nil, false }

// typed is the outcome of ReadLine.
type typed struct {
	line string
	err  error
}

// ask calls ReadLine and returns when the prompt is shown, which is another one each time.
func ask(s *screen, t *Terminal) <-chan typed {
	s.Helper()
	s.asked++
	prompt := fmt.Sprintf("%d? ", s.asked)
	answer := make(chan typed, 1)
	go func() {
		line, err := t.ReadLine(prompt)
		answer <- typed{line, err}
	}()
	s.expect(prompt)
	return answer
}

func newTerminal(s *screen) *Terminal {
	s.Helper()
	t, err := NewTerminal(s.slave, s.slave, words{})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := t.Close(); err != nil {
			s.Error(err)
		}
	})
	return t
}

func TestTerminalKeys(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.resize(80)
	term := newTerminal(s)
	for _, line := range []string{"length", "read -P 1 0 512", "write 0 512"} {
		term.AddHistory(line)
	}
	for _, c := range []struct {
		name, keys string
		want       typed
	}{
		{"plain", "read 0 512\r", typed{"read 0 512", nil}},
		{"newline ends a line too", "length\n", typed{"length", nil}},
		{"empty", "\r", typed{}},
		{"cursor, home, end, delete", "ength\x1b[Hl\x1b[F!\x1b[D\x1b[3~\r", typed{"length", nil}},
		{"application cursor keys", "bc\x1bOD\x1bODa\r", typed{"abc", nil}},
		{"Ctrl-D deletes in a line", "ab\x01\x04\r", typed{"b", nil}},
		{"Ctrl-D leaves", "\x04", typed{"", io.EOF}},
		{"Ctrl-D after all was deleted", "a\x7f\x04", typed{"", io.EOF}},
		{"delete leaves an empty line alone", "\x1b[3~x\r", typed{"x", nil}},
		{"Ctrl-C", "abc\x03", typed{"", ErrInterrupted}},
		{"Ctrl-W keeps what follows", "one two\x1b[D\x1b[D\x1b[D\x1b[D\x17\r", typed{" two", nil}},
		{"Ctrl-W takes blanks along", "one two  \x17x\r", typed{"one x", nil}},
		{"Ctrl-U and Ctrl-Y", "abc\x15\x19\x19\r", typed{"abcabc", nil}},
		{"NUL and other control bytes are nothing", "a\x00b\x13\x11\x1c\x1d\x1fc\r", typed{"abc", nil}},
		{"sequences that nobody knows are nothing", "ab\x1b[201~\x1b[99;99Z\x1bOQ\x1bxc\r", typed{"abc", nil}},
		{"a pasted word", "a\x1b[200~b\x1b[201~c\r", typed{"abc", nil}},
		{"a pasted line does not run", "\x1b[200~ab\r\x1b[201~c\r", typed{"abc", nil}},
		{"what cannot be typed is not pasted", "\x1b[200~a\x03\x1b[A\tb\x00\x1b[201~\r", typed{"a[A\tb", nil}},
		{"bytes that are no text are nothing", "a\xff\xc3\x80b\r", typed{"aÀb", nil}},
		{"other letters", "größe µ 漢\x7f\r", typed{"größe µ ", nil}},
		{"a tab in pasted text", "read\t0\r", typed{"read\t0", nil}},
		{"Ctrl-Z where nobody can resume", "a\x1ab\r", typed{"ab", nil}},
		{"arrow up", "\x1b[A\r", typed{"write 0 512", nil}},
		{"arrow up twice, down once", "\x1b[A\x1b[A\x1b[B!\r", typed{"write 0 512!", nil}},
		{"arrow up begins anew", "\x1b[A\r", typed{"write 0 512", nil}},
		{"Ctrl-R for what is typed already", "12\x12\x12\r\r", typed{"read -P 1 0 512", nil}},
		{"Ctrl-R and then what", "\x12re\r\r", typed{"read -P 1 0 512", nil}},
		{"Enter takes the line and runs nothing", "\x12leng\r!\r", typed{"length!", nil}},
		{"Ctrl-R and Ctrl-S", "\x12 0 5\x12\x13\r\r", typed{"write 0 512", nil}},
		{"Ctrl-S finds nothing newer", "\x12leng\x13\x13\r\r", typed{"length", nil}},
		{"Ctrl-G leaves the line as it was", "abc\x1b[D\x12x\x07d\r", typed{"abdc", nil}},
		{"Ctrl-G elsewhere is nothing", "ab\x07c\r", typed{"abc", nil}},
		{"backspace looks for less", "\x12readw\x7f\r\r", typed{"read -P 1 0 512", nil}},
		{"backspace finds newer lines again", "\x12leng\x7f\x7f\x7f\x7fri\r\r", typed{"write 0 512", nil}},
		{"an arrow takes the line and moves", "\x12leng\x1b[F!\r", typed{"length!", nil}},
		{"a search that is left runs nothing", "\x12leng\x1b[3~\r", typed{"ength", nil}},
		{"Ctrl-R without a match", "xyz\x12\x12\r\r", typed{"xyz", nil}},
		{"Ctrl-C in a search", "xyz\x12\x12\x03", typed{"", ErrInterrupted}},
		{"a search for nothing", "\x12\r\r", typed{}},
		{"unique completion", "len\t\r", typed{"length ", nil}},
		{"completion of what all begin with", "rea\t\r", typed{"read", nil}},
		{"completion in the middle", "len 7\x1b[D\x1b[D\t\r", typed{"length  7", nil}},
		{"completion of an operand", "open a x\t\r", typed{"open a xopen-1 ", nil}},
		{"no completion", "zzz\t\r", typed{"zzz", nil}},
	} {
		answer := ask(s, term)
		s.press(c.keys)
		if got := <-answer; got.line != c.want.line || !errors.Is(got.err, c.want.err) {
			t.Errorf("%s: %q gives %q, %v; want %q, %v", c.name, c.keys, got.line, got.err,
				c.want.line, c.want.err)
		}
	}
}

func TestTerminalLists(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.resize(40)
	term := newTerminal(s)
	answer := ask(s, term)
	s.press("re\t")
	s.expect("read          readv\r\nremove_break\r\n")
	s.expect("? re")
	s.press("ad -\t")
	s.expect("-P  pattern to look for\r\n-v  dump the bytes\r\n")
	s.expect("? read -")
	s.press("v\t0\r")
	if got := <-answer; got.line != "read -v 0" && got.line != "read -v\t0" {
		t.Errorf("%q, %v", got.line, got.err)
	}
}

func TestTerminalAsksWithoutCompletion(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	term := newTerminal(s)
	answer := make(chan string)
	go func() {
		line, _ := term.Ask("name? ")
		answer <- line
	}()
	s.expect("name? ")
	s.press("len\t\r")
	if got := <-answer; got != "len" {
		t.Errorf("%q", got)
	}
	next := ask(s, term)
	s.press("len\t\r")
	if got := <-next; got.line != "length " {
		t.Errorf("%q", got.line)
	}
}

// Between lines the terminal belongs to the command: Ctrl-C is a signal, and what is typed waits
// for the next line.
func TestTerminalIsRawOnlyForALine(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	term := newTerminal(s)
	if s.isRaw() {
		t.Error("raw before the first line")
	}
	answer := ask(s, term)
	s.press("a")
	s.expect("a")
	if !s.isRaw() {
		t.Error("not raw during a line")
	}
	s.press("\r")
	<-answer
	if s.isRaw() {
		t.Error("raw after a line")
	}
	s.press("ahead\n")
	s.expect("ahead\r\n")
	if got := <-ask(s, term); got.line != "ahead" {
		t.Errorf("typed ahead: %q, %v", got.line, got.err)
	}
}

// Ctrl-D typed ahead becomes a NUL when keys come one by one, which is the end of all input to the
// library.
func TestTerminalOutlivesEndTypedAhead(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	term := newTerminal(s)
	answer := ask(s, term)
	s.press("one\r")
	<-answer
	s.press("\x04")
	s.press("two\n")
	s.expect("two\r\n")
	if got := <-ask(s, term); got.line != "two" {
		t.Errorf("%q, %v", got.line, got.err)
	}
	answer = ask(s, term)
	s.press("three\r")
	if got := <-answer; got.line != "three" {
		t.Errorf("%q, %v", got.line, got.err)
	}
}

// A paste is drawn as one key. One by one, its 4000 characters would be 8 MB of drawing.
func TestTerminalPaste(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.resize(80)
	term := newTerminal(s)
	answer := ask(s, term)
	paste := strings.Repeat("0123456789", 400)
	s.press(paste + "all of it")
	s.expect("all of it")
	s.press(strings.Repeat("x", 200) + "more than fits")
	s.expect("x")
	s.press("\r")
	s.expect("\n")
	got := <-answer
	if !strings.HasPrefix(got.line, paste+"all of itx") || len(got.line) != longestTyped {
		t.Errorf("%d characters, %v", len(got.line), got.err)
	}
	if len(s.shown) > 300_000 {
		t.Errorf("%d bytes were drawn", len(s.shown))
	}
}

// Of several lines that are pasted each waits for Enter, and Ctrl-C drops those that are left.
func TestTerminalPastedLines(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.resize(80)
	term := newTerminal(s)
	answer := ask(s, term)
	s.press("\x1b[200~one\rtwo\r\nthree\nfour\x1b[201~")
	s.expect("3 more lines were pasted")
	s.expect("? one")
	for _, want := range []string{"one", "two"} {
		s.press("\r")
		if got := <-answer; got.line != want || got.err != nil {
			t.Errorf("%q, %v, want %q", got.line, got.err, want)
		}
		answer = ask(s, term)
	}
	s.expect("three")
	answered := make(chan string)
	s.press("!\r")
	if got := <-answer; got.line != "three!" {
		t.Errorf("%q, %v", got.line, got.err)
	}
	go func() {
		line, _ := term.Ask("sure? ")
		answered <- line
	}()
	s.expect("sure? ")
	s.press("no\r")
	if got := <-answered; got != "no" {
		t.Errorf("a question was answered with %q", got)
	}
	answer = ask(s, term)
	s.expect("four")
	s.press("\x03")
	if got := <-answer; !errors.Is(got.err, ErrInterrupted) {
		t.Errorf("%q, %v", got.line, got.err)
	}
	answer = ask(s, term)
	s.press("mine\r")
	if got := <-answer; got.line != "mine" {
		t.Errorf("%q, %v", got.line, got.err)
	}
}

func TestTerminalOutputOverALine(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	term := newTerminal(s)
	out := term.Over(s.slave)
	say := func(text string) {
		if _, err := io.WriteString(out, text); err != nil {
			t.Error(err)
		}
	}
	say("before\n")
	s.expect("before\r\n")
	answer := ask(s, term)
	s.press("len")
	s.expect("len")
	say("in between\n")
	s.expect("in between\r\n")
	s.expect("? len")
	s.press("gth\r")
	if got := <-answer; got.line != "length" {
		t.Errorf("%q, %v", got.line, got.err)
	}
	say("after\n")
	s.expect("after\r\n")
}

func TestTerminalClose(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	term := newTerminal(s)
	answer := ask(s, term)
	s.press("half a line")
	s.expect("line")
	if err := term.Close(); err != nil {
		t.Error(err)
	}
	<-answer
	if s.isRaw() {
		t.Error("the terminal is raw after Close")
	}
	if _, err := term.ReadLine("? "); !errors.Is(err, io.EOF) {
		t.Errorf("ReadLine after Close: %v", err)
	}
}

func TestTerminalHangsUp(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	term := newTerminal(s)
	answer := ask(s, term)
	s.master.Close()
	if got := <-answer; !errors.Is(got.err, io.EOF) {
		t.Errorf("%q, %v", got.line, got.err)
	}
	if _, err := term.ReadLine("? "); !errors.Is(err, io.EOF) {
		t.Errorf("ReadLine after the end: %v", err)
	}
}

// A prompt that fills its rows is one that the library would draw for ever.
func TestTerminalPromptAsWideAsTheWindow(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.resize(30)
	term := newTerminal(s)
	answer := make(chan string)
	for _, width := range []int{30, 60, 24} {
		go func() {
			line, _ := term.ReadLine(strings.Repeat("x", width-2) + "> ")
			answer <- line
		}()
		s.expect("x> ")
		if width == 24 {
			s.resize(24)
		}
		s.press("ab\x1b[Dc\r")
		if got := <-answer; got != "acb" {
			t.Errorf("a prompt of %d gives %q", width, got)
		}
	}
}

// What a key shows is shown, also if the next was typed at the same time and the library is slow.
func TestTerminalShowsEachKey(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	term := newTerminal(s)
	edits := term.lib.Config.Listener
	term.lib.Config.Listener = readline.FuncListener(
		func(line []rune, pos int, pressed rune) ([]rune, int, bool) {
			defer func() {
				for range 1000 {
					runtime.Gosched()
				}
			}()
			return edits.OnChange(line, pos, pressed)
		})
	result := ask(s, term)
	for range 20 {
		s.press("\x12x\x07#") // a search, for x, left again
		if shown := s.expect("#"); !strings.Contains(shown, "'x': ") {
			t.Errorf("the search for x is not in %q", shown)
		}
		s.press("\x15")
	}
	s.press("\r")
	if got := <-result; got.err != nil {
		t.Error(got.err)
	}
}

func TestTerminalPromptIsHarmless(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	term := newTerminal(s)
	go term.ReadLine("disk\x1b[2J\x1b> ")
	s.expect("disk?[2J?> ")
}

// No keys make the line editor panic, hang or lose the terminal, on no width.
func TestTerminalSurvivesAnything(t *testing.T) {
	t.Parallel()
	for _, width := range []uint16{0, 1, 7, 80} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			s := newScreen(t)
			s.resize(width)
			term := newTerminal(s)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for {
					line, err := term.ReadLine("disk.img> ")
					switch {
					case line == "the end":
						return
					case err == nil && line != "":
						term.AddHistory(line)
					}
				}
			}()
			s.expect("disk.img> ")
			go io.Copy(io.Discard, s.master)
			go func() {
				rng := rand.New(rand.NewPCG(1, uint64(width)))
				for range 300 {
					io.WriteString(s.master, randomKeys(rng))
				}
				// Where those stopped is anybody's guess: in an escape sequence, in a paste, in the
				// middle of a line.
				for {
					if _, err := io.WriteString(s.master,
						"\x1b[201~\x07\x05\x15the end\r"); err != nil {
						return
					}
				}
			}()
			<-ended // or never: go test says where it hangs
		})
	}
}

// randomKeys are a few keys, or bytes.
func randomKeys(rng *rand.Rand) string {
	keys := []string{
		"\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[3~", "\x1bb", "\x1bf",
		"\x1bd", "\x1b", "\x1b[", "\t", "\t\t", "\r",
		"\n", "re", "漢字", "\u0301", "\x7f", "\x12", "\x13", "\x13\x03", "\x07", "\x1b[200~",
		"\x1b[201~", "\x04", "\x03", "\x17",
		"\x15", "\x19", "\x14", "\x0b", "\x0c", "\x1a",
		"\x00", "\x80", "\u0080", strings.Repeat("long ", 50),
	}
	var b strings.Builder
	for range 1 + rng.IntN(8) {
		if rng.IntN(8) == 0 {
			b.WriteByte(byte(rng.IntN(256)))
			continue
		}
		b.WriteString(keys[rng.IntN(len(keys))])
	}
	return b.String()
}
