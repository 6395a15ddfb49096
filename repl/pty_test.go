package repl

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A screen is the side of a pseudo terminal at which a person sits.
type screen struct {
	*testing.T
	master, slave *os.File
	shown         string // everything so far
	seen          int    // how much of it expect has passed
	asked         int    // lines so far
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	var unlocking, numbering error
	err = raw.Control(func(fd uintptr) {
		unlocking = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		number, numbering = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
	})
	if err := errors.Join(err, unlocking, numbering); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	if end, ok := t.Deadline(); ok { // what is not shown until then is not shown at all
		if err := master.SetReadDeadline(end.Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return &screen{T: t, master: master, slave: slave}
}

func (s *screen) press(keys string) {
	s.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.Fatal(err)
	}
}

// expect waits until text is shown, after what was expected before, and returns what came up to its
// end.
func (s *screen) expect(text string) string {
	s.Helper()
	for {
		if i := strings.Index(s.shown[s.seen:], text); i >= 0 {
			passed := s.shown[s.seen:][:i+len(text)]
			s.seen += len(passed)
			return passed
		}
		buf := make([]byte, 4096)
		n, err := s.master.Read(buf)
		s.shown += string(buf[:n])
		if err != nil {
			s.Fatalf("waiting for %q: %v; shown since: %q", text, err, s.shown[s.seen:])
		}
	}
}

func (s *screen) resize(columns uint16) {
	s.Helper()
	if err := unix.IoctlSetWinsize(int(s.slave.Fd()), unix.TIOCSWINSZ,
		&unix.Winsize{Row: 24, Col: columns}); err != nil {
		s.Fatal(err)
	}
}

// isRaw tells whether keys come one by one and Ctrl-C is one of them.
func (s *screen) isRaw() bool {
	s.Helper()
	now, err := unix.IoctlGetTermios(int(s.slave.Fd()), unix.TCGETS)
	if err != nil {
		s.Fatal(err)
	}
	cooked := uint32(unix.ICANON | unix.ISIG | unix.ECHO)
	if now.Lflag&cooked != 0 && now.Lflag&cooked != cooked {
		s.Fatalf("half raw: %#x", now.Lflag)
	}
	return now.Lflag&cooked == 0
}

func (s *screen) echoes() bool {
	s.Helper()
	now, err := unix.IoctlGetTermios(int(s.slave.Fd()), unix.TCGETS)
	if err != nil {
		s.Fatal(err)
	}
	return now.Lflag&unix.ECHO != 0
}

// TestPasswordLeft puts the terminal back amid a Read, as a program does that leaves at once, and
// then lets the Read end.
func TestPasswordLeft(t *testing.T) {
	s := newScreen(t)
	var p Passwords
	begun, ended := make(chan struct{}), make(chan error)
	go func() {
		_, err := p.Read(t.Context(), s.slave, func() error {
			close(begun)
			return nil
		})
		ended <- err
	}()
	<-begun
	if s.echoes() {
		t.Error("a password would be shown")
	}
	if err := p.Show(); err != nil || !s.echoes() {
		t.Errorf("put back: echo %v, %v", s.echoes(), err)
	}
	s.press("\n")
	if err := <-ended; err != nil || !s.echoes() {
		t.Errorf("at the end: echo %v, %v", s.echoes(), err)
	}
}
