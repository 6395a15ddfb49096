package repl

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// maxPassword bounds what is taken for one, in bytes.
	maxPassword = 4096
	// passwordTick is how often ctx is looked at while nobody types, in milliseconds.
	passwordTick = 100
)

// Passwords reads passwords from a terminal that does not show them. The zero value is ready.
type Passwords struct {
	mu    sync.Mutex
	fd    int
	found *unix.Termios // how the terminal was, nil while nothing is hidden
}

// Read reads a line, without its newline. It calls ask for the question when nothing is shown any
// more: whoever answers at once must not be seen. The end of what comes before a newline is
// io.ErrUnexpectedEOF. There is one Read at a time.
func (p *Passwords) Read(ctx context.Context, f *os.File, ask func() error,
) (password []byte, err error) {
	if err := p.hide(int(f.Fd())); err != nil {
		return nil, err
	}
	defer func() {
		if shown := p.Show(); err == nil {
			err = shown
		}
	}()
	if err := ask(); err != nil {
		return nil, err
	}
	return ReadSecretLine(ctx, f)
}

// hide keeps a terminal from showing what is typed, and drops what was typed before.
func (p *Passwords) hide(fd int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return os.NewSyscallError("tcgetattr", err)
	}
	hidden := *found
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG | unix.ECHONL
	hidden.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &hidden); err != nil {
		return os.NewSyscallError("tcsetattr", err)
	}
	p.fd, p.found = fd, found
	return nil
}

// Show puts the terminal back as it was, also while a Read goes on: a program that leaves at once
// must not leave a terminal that hides what is typed.
func (p *Passwords) Show() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil {
		return nil
	}
	err := unix.IoctlSetTermios(p.fd, unix.TCSETS, p.found)
	p.found = nil
	return os.NewSyscallError("tcsetattr", err)
}

// ReadSecretLine reads a line without its newline, byte by byte, so that nothing of the next one is
// taken.
func ReadSecretLine(ctx context.Context, f *os.File) ([]byte, error) {
	line := make([]byte, 0, maxPassword) // at its place for good: no copies of it are left behind
	var b [1]byte
	for {
		if ctx.Err() != nil {
			clear(line)
			return nil, context.Cause(ctx)
		}
		ready := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(ready, passwordTick); n == 0 || errors.Is(err, unix.EINTR) {
			continue
		}
		switch n, err := unix.Read(int(f.Fd()), b[:]); {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case err != nil:
			clear(line)
			return nil, os.NewSyscallError("read", err)
		case n == 0:
			clear(line)
			return nil, io.ErrUnexpectedEOF
		case b[0] == '\n':
			return line, nil
		case len(line) == maxPassword:
			clear(line)
			return nil, errors.New("the line is too long for a passphrase")
		default:
			line = append(line, b[0])
		}
	}
}
