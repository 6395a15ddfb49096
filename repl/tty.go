package repl

import (
	"cmp"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// IsTerminal tells whether f is one.
func IsTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// defaultWidth is taken for a terminal that does not know its own.
const defaultWidth = 80

// Width is how many characters fit into a line of the terminal.
func Width(f *os.File) int {
	_, columns := Size(f)
	return cmp.Or(columns, defaultWidth)
}

// Size is how many lines and columns the terminal has; 0 is one that does not know.
func Size(f *os.File) (rows, columns int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(size.Row), int(size.Col)
}

// talks says whether a terminal of the kind that TERM names understands more than lines.
func talks(term string) bool { return term != "" && term != "dumb" }

// A tty is the input side of a terminal: single keys while a line is edited (raw), otherwise as it
// was found, so that Ctrl-C is a signal then. Its methods may be called from any goroutine, read
// from one at a time.
type tty struct {
	fd   int
	out  *os.File // where the terminal is told things; nil if it would not understand them
	wake int      // an eventfd that ends read; it lives as long as the process

	mu      sync.Mutex
	cooked  *unix.Termios // as found, while raw
	stopped bool
}

func newTTY(in, out *os.File) (*tty, error) {
	if !talks(os.Getenv("TERM")) {
		out = nil
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &tty{fd: int(in.Fd()), out: out, wake: wake}, nil
}

// discard gives up a tty that nobody reads.
func (t *tty) discard() error { return os.NewSyscallError("close", unix.Close(t.wake)) }

// raw makes keys come one by one, signs for signals included. What was typed before is kept.
func (t *tty) raw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cooked != nil || t.stopped {
		return nil
	}
	found, err := unix.IoctlGetTermios(t.fd, unix.TCGETS)
	if err != nil {
		return os.NewSyscallError("tcgetattr", err)
	}
	raw := *found
	raw.Iflag &^= unix.BRKINT | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(t.fd, unix.TCSETS, &raw); err != nil {
		return os.NewSyscallError("tcsetattr", err)
	}
	t.cooked = found
	t.say(pasteOn)
	return nil
}

// say tells the terminal something. One that is gone need not hear it.
func (t *tty) say(sequence string) {
	if t.out != nil {
		_, _ = t.out.WriteString(sequence)
	}
}

// cook undoes raw. A terminal that is gone needs nothing undone.
func (t *tty) cook() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cooked == nil {
		return nil
	}
	t.say(pasteOff)
	if err := unix.IoctlSetTermios(t.fd, unix.TCSETS, t.cooked); err != nil &&
		!errors.Is(err, unix.EIO) {
		return os.NewSyscallError("tcsetattr", err)
	}
	t.cooked = nil
	return nil
}

// read waits for keys. Hanging up and stop are the end of them.
func (t *tty) read(p []byte) (int, error) {
	for {
		ready := []unix.PollFd{
			{Fd: int32(t.fd), Events: unix.POLLIN},
			{Fd: int32(t.wake), Events: unix.POLLIN},
		}
		if _, err := unix.Poll(ready, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return 0, os.NewSyscallError("poll", err)
		}
		if ready[1].Revents != 0 {
			return 0, io.EOF
		}
		if ready[0].Revents == 0 {
			continue
		}
		n, err := unix.Read(t.fd, p)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case err != nil, n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// stop ends read and leaves the terminal as it was found.
func (t *tty) stop() error {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	_, err := unix.Write(t.wake, []byte{7: 1}) // in either byte order it is not 0
	return errors.Join(err, t.cook())
}

// suspend stops the process as Ctrl-Z does, and returns when it goes on; at once if there is nobody
// who could make it go on. The signal is sent to this very thread, which takes it before it leaves
// the system call, so that nothing is drawn in between.
func (t *tty) suspend() error {
	if err := t.cook(); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTSTP); err != nil {
		return os.NewSyscallError("tgkill", err)
	}
	return t.raw()
}
