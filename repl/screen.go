package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Screen is a terminal as a whole: rows of text instead of lines that scroll away. It shows them on
// the alternate screen, where the terminal has one, so that what was there before comes back.
//
// It is made of golang.org/x/sys and the escape sequences that xterm, tmux, screen, the Linux
// console and their like have in common. A library would bring more: tcell, the best kept of them,
// computes for 0.1 to 0.2 ms before main (measured by GODEBUG=inittrace=1; its descriptions of
// terminals and tables of encodings), which each start of the shell would pay, also where no screen
// is ever shown.
//
// Its methods but Close belong to one goroutine.
type Screen struct {
	tty   *tty
	out   *os.File
	poked int // an eventfd: the window has another size, or a wait is over

	rows, columns int
	told          [2]int   // the size that whoever draws knows
	shown         []string // what is on the screen; nil if that is not known
	sent          []byte   // by the terminal, and not yet a key
	resizes       chan os.Signal
	done          chan struct{} // nobody pokes because of them any more

	mu   sync.Mutex
	open bool
}

// ErrNoScreen is the error of a terminal that has no cursor to move, or is none.
var ErrNoScreen = errors.New("this needs a terminal whose cursor can be moved, and TERM to name it")

// What a terminal without a size is taken for.
const (
	defaultRows    = 24
	defaultColumns = defaultWidth
)

const (
	screenOn  = "\x1b[?1049h\x1b[m\x1b[2J"
	screenOff = "\x1b[m\x1b[2J\x1b[H\x1b[?1049l"
)

// OpenScreen shows an empty screen. Close brings back what was there.
func OpenScreen(in, out *os.File) (*Screen, error) {
	if !talks(os.Getenv("TERM")) || !IsTerminal(in) || !IsTerminal(out) {
		return nil, ErrNoScreen
	}
	t, err := newTTY(in, nil)
	if err != nil {
		return nil, err
	}
	s := &Screen{tty: t, out: out, resizes: make(chan os.Signal, 1), done: make(chan struct{})}
	s.poked, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), t.discard())
	}
	signal.Notify(s.resizes, unix.SIGWINCH)
	go func() {
		defer close(s.done)
		for range s.resizes {
			s.poke()
		}
	}()
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Screen) poke() {
	_, _ = unix.Write(s.poked, []byte{7: 1}) // in either byte order it is not 0
}

// begin takes the terminal.
func (s *Screen) begin() error {
	if err := s.tty.raw(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.shown = true, nil
	_, err := io.WriteString(s.out, screenOn)
	return err
}

// end gives it back.
func (s *Screen) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return nil
	}
	s.open = false
	_, err := io.WriteString(s.out, screenOff)
	if errors.Is(err, unix.EIO) { // it hung up
		err = nil
	}
	return errors.Join(err, s.tty.cook())
}

// Leave leaves the terminal as it was found. Anybody may call it, who then ends the process.
func (s *Screen) Leave() error { return s.end() }

// Close leaves the terminal as it was found, and ends the screen.
func (s *Screen) Close() error {
	signal.Stop(s.resizes)
	close(s.resizes)
	<-s.done
	return errors.Join(s.end(), s.tty.discard(), os.NewSyscallError("close", unix.Close(s.poked)))
}

// Size is how many rows and columns there are. Key tells when that has changed since.
func (s *Screen) Size() (rows, columns int) {
	rows, columns = s.size()
	s.told = [2]int{rows, columns}
	return rows, columns
}

func (s *Screen) size() (rows, columns int) {
	rows, columns = Size(s.out)
	if rows == 0 {
		rows = defaultRows
	}
	if columns == 0 {
		columns = defaultColumns
	}
	return rows, columns
}

// Draw shows rows, which may have escape sequences that change how text looks, and puts the cursor
// into one of them, counted from 0. Rows that are as they were are not sent.
func (s *Screen) Draw(rows []string, row, column int) error {
	var b strings.Builder
	if height, width := s.size(); s.shown == nil || height != s.rows || width != s.columns {
		s.rows, s.columns, s.shown = height, width, nil
		b.WriteString("\x1b[2J")
	}
	for i := range min(s.rows, max(len(rows), len(s.shown))) {
		was, now := "", ""
		if i < len(s.shown) {
			was = s.shown[i]
		}
		if i < len(rows) {
			now = rows[i]
		}
		if was != now {
			fmt.Fprintf(&b, "\x1b[%d;1H\x1b[2K%s", i+1, now)
		}
	}
	s.shown = append(make([]string, 0, len(rows)), rows...)
	fmt.Fprintf(&b, "\x1b[%d;%dH", row+1, column+1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open { // somebody ends the process
		return os.ErrClosed
	}
	_, err := io.WriteString(s.out, b.String())
	return err
}

// Key waits for a key. It is a character, or has a name: "up", "down", "left", "right", "home",
// "end", "pgup", "pgdn", "insert", "delete", "backspace", "enter", "tab", "backtab", "esc", "f1",
// "ctrl-a" and so on; "resize" says that the window has another size. Ctrl-Z stops the process as
// ever. The error is the cause of ctx, or io.EOF of a terminal that is gone.
func (s *Screen) Key(ctx context.Context) (string, error) {
	defer s.watch(ctx)()
	for {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		name, n := screenKey(s.sent)
		if n == 0 && len(s.sent) > 0 {
			ready, err := s.wait(escapeTime)
			if err != nil {
				return "", err
			}
			if !ready { // it is all there is
				name, n = loneKey(s.sent)
			}
		}
		if s.sent = s.sent[n:]; n > 0 {
			switch name {
			case "":
			case "ctrl-z":
				if err := s.suspend(); err != nil {
					return "", err
				}
				return "resize", nil
			default:
				return name, nil
			}
			continue
		}
		if height, width := s.size(); s.told != [2]int{height, width} {
			s.told = [2]int{height, width}
			return "resize", nil
		}
		if _, err := s.wait(-1); err != nil {
			return "", err
		}
	}
}

// watch has the end of ctx end a wait, until the result is called.
func (s *Screen) watch(ctx context.Context) (stop func()) {
	poked := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		s.poke()
		close(poked)
	})
	return func() {
		if !forget() { // the eventfd is used until then
			<-poked
		}
	}
}

// escapeTime is how long the rest of an escape sequence may take, and so how long Esc is no key.
const escapeTime = 50 * time.Millisecond

// wait waits for more from the terminal, for a poke, or for so long, and reads what has come. A
// negative time is no limit.
func (s *Screen) wait(most time.Duration) (ready bool, err error) {
	timeout := -1
	if most >= 0 {
		timeout = int(most / time.Millisecond)
	}
	fds := []unix.PollFd{
		{Fd: int32(s.tty.fd), Events: unix.POLLIN}, {Fd: int32(s.poked), Events: unix.POLLIN},
	}
	if _, err := unix.Poll(fds, timeout); err != nil && !errors.Is(err, unix.EINTR) {
		return false, os.NewSyscallError("poll", err)
	}
	if fds[1].Revents != 0 {
		_, _ = unix.Read(s.poked, make([]byte, 8))
	}
	if fds[0].Revents == 0 {
		return fds[1].Revents != 0, nil
	}
	buf := make([]byte, 4096)
	n, err := s.tty.read(buf)
	s.sent = append(s.sent, buf[:n]...)
	return true, err
}

// suspend stops the process as Ctrl-Z does, with the terminal as it was found.
func (s *Screen) suspend() error {
	if err := s.end(); err != nil {
		return err
	}
	if err := s.tty.suspend(); err != nil {
		return err
	}
	return s.begin()
}

// screenKey takes the first key of what a terminal has sent and tells its length in bytes; 0 is a
// key that has not come whole. Its name is "" if nobody knows it.
func screenKey(sent []byte) (name string, n int) {
	switch {
	case len(sent) == 0:
		return "", 0
	case sent[0] == escape:
		return screenSequence(sent)
	case sent[0] == '\r', sent[0] == '\n':
		return "enter", 1
	case sent[0] == '\t':
		return "tab", 1
	case sent[0] == 0x7f, sent[0] == '\b':
		return "backspace", 1
	case sent[0] == 0:
		return "", 1
	case sent[0] < 0x1b:
		return "ctrl-" + string(rune(sent[0]+'a'-1)), 1
	case !utf8.FullRune(sent):
		return "", 0
	}
	r, n := utf8.DecodeRune(sent)
	if !visible(r) {
		return "", n
	}
	return string(r), n
}

// screenSequence takes a key that begins with ESC.
func screenSequence(sent []byte) (name string, n int) {
	if len(sent) < 2 || len(sent) == 2 && (sent[1] == '[' || sent[1] == 'O') {
		return "", 0
	}
	if sent[1] == '[' && sent[2] == '[' && len(sent) > 3 { // F1 to F5 of the Linux console
		return sequenceNames("[" + string(sent[3])), 4
	}
	if sent[1] != '[' && sent[1] != 'O' {
		return "esc", 1
	}
	for i := 2; i < len(sent); i++ {
		switch c := sent[i]; {
		case c >= 0x40 && c <= 0x7e && (i > 2 || c != '['):
			return sequenceNames(string(sent[2 : i+1])), i + 1
		case c < 0x20 || c > 0x7e, i == longestSequence:
			return "", i
		}
	}
	return "", 0
}

// loneKey is a key that begins as a longer one does, and is no more than that.
func loneKey(sent []byte) (name string, n int) {
	if sent[0] == escape {
		return "esc", 1
	}
	return "", len(sent)
}

// sequenceNames is the key that comes as ESC [ or ESC O and more, without those two.
func sequenceNames(more string) string {
	switch more {
	case "A":
		return "up"
	case "B":
		return "down"
	case "C":
		return "right"
	case "D":
		return "left"
	case "H", "1~", "7~":
		return "home"
	case "F", "4~", "8~":
		return "end"
	case "1;5H", "7^":
		return "ctrl-home"
	case "1;5F", "8^":
		return "ctrl-end"
	case "5~":
		return "pgup"
	case "6~":
		return "pgdn"
	case "2~":
		return "insert"
	case "3~":
		return "delete"
	case "Z":
		return "backtab"
	case "P", "11~", "[A":
		return "f1"
	}
	return ""
}
