package tests

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal is a program that runs on a pseudo terminal of its own.
type terminal struct {
	keyboard *os.File // the master side: what is typed goes in, what is shown comes out
	cmd      *exec.Cmd
	shown    string // everything so far
	seen     int    // how much of it expect has passed
}

// openPty returns the two sides of a new pseudo terminal.
func openPty() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			master.Close()
		}
	}()
	raw, err := master.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var number int
	var unlocking, numbering error
	err = raw.Control(func(fd uintptr) {
		unlocking = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		number, numbering = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
	})
	if err = errors.Join(err, unlocking, numbering); err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}

// onTerminal starts the program in dir with a terminal as its controlling one.
func (p program) onTerminal(t *testing.T, dir string, args ...string) *terminal {
	t.Helper()
	return p.onScreen(t, nil, dir, args...)
}

// onScreen is onTerminal with a terminal of this size, nil for one that does not tell.
func (p program) onScreen(t *testing.T, size *unix.Winsize, dir string, args ...string) *terminal {
	t.Helper()
	master, slave, err := openPty()
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	if size != nil {
		if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, size); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(p.path, args...)
	cmd.Env, cmd.Dir = p.environ(), dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty := &terminal{keyboard: master, cmd: cmd}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
		master.Close()
	})
	if err := master.SetReadDeadline(hangsAt()); err != nil {
		t.Fatal(err)
	}
	return tty
}

// read takes what is shown next.
func (tty *terminal) read() error {
	buf := make([]byte, 4096)
	n, err := tty.keyboard.Read(buf)
	tty.shown += string(buf[:n])
	return err
}

// expect waits until text is shown, after what was expected before.
func (tty *terminal) expect(t *testing.T, text string) {
	t.Helper()
	for {
		if i := strings.Index(tty.shown[tty.seen:], text); i >= 0 {
			tty.seen += i + len(text)
			return
		}
		if err := tty.read(); err != nil {
			t.Fatalf("waiting for %q: %v; shown since: %q", text, err, tty.shown[tty.seen:])
		}
	}
}

// press types keys, and waits until each of the texts is shown, in their order.
func (tty *terminal) press(t *testing.T, keys string, texts ...string) {
	t.Helper()
	if _, err := io.WriteString(tty.keyboard, keys); err != nil {
		t.Fatalf("typing %q: %v", keys, err)
	}
	for _, text := range texts {
		tty.expect(t, text)
	}
}

// leavesBy types keys that end the program, which must end well.
func (tty *terminal) leavesBy(t *testing.T, keys string) {
	t.Helper()
	tty.press(t, keys)
	if status := tty.end(t); status != "exit 0" {
		t.Errorf("%q: %s; shown: %q", keys, status, tty.shown)
	}
}

// end waits for the program to leave and returns its status.
func (tty *terminal) end(t *testing.T) string {
	t.Helper()
	for {
		err := tty.read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return hangs
		}
		if err != nil {
			break // EIO: nobody has the other side any more
		}
	}
	status, err := statusOf(tty.cmd.Wait())
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// typed runs the program on a terminal and types keys, waiting for a new
// prompt after each that ends a line. Only the status matters.
func (p program) typed(t *testing.T, dir string, args, keys []string) (answer, error) {
	t.Helper()
	tty := p.onTerminal(t, dir, args...)
	tty.expect(t, "qemu-io> ")
	for _, k := range keys {
		tty.press(t, k)
		if strings.HasSuffix(k, "\r") && !strings.HasPrefix(k, "quit") {
			tty.expect(t, "\n")
			tty.expect(t, "qemu-io> ")
		}
	}
	return answer{status: tty.end(t)}, nil
}
