package repl

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// maxPassword bounds what is taken for one, in bytes.
	maxPassword = 4096
	// passwordTick is how often ctx is looked at while nobody types, in milliseconds.
	passwordTick = 100
)

// ReadPassword reads a line from a terminal that does not show what is typed, without its newline.
// The end of what comes before a newline is io.ErrUnexpectedEOF.
func ReadPassword(ctx context.Context, f *os.File) (password []byte, err error) {
	fd := int(f.Fd())
	found, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, os.NewSyscallError("tcgetattr", err)
	}
	hidden := *found
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG | unix.ECHONL
	hidden.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &hidden); err != nil {
		return nil, os.NewSyscallError("tcsetattr", err)
	}
	defer func() {
		if restored := unix.IoctlSetTermios(fd, unix.TCSETS, found); err == nil && restored != nil {
			err = os.NewSyscallError("tcsetattr", restored)
		}
	}()
	return ReadSecretLine(ctx, f)
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
