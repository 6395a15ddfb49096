package nbd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/shlex"

	"github.com/blksh/blksh/blockdev/driver"
)

// Command is the protocol driver for servers that are started for one user and end with him: its
// names are commands in brackets, such as "[ nbdkit memory 1G ]". No image may name one.
var Command = driver.Driver{
	Name:      "nbd-command",
	Doc:       "an NBD server that is started for this, as in '[ nbdkit memory 1G ]'",
	Kind:      driver.Protocol,
	Config:    commandConfig{},
	Native:    true,
	Device:    true,
	ProbePath: probeCommand,
	ParseName: func(name string, o *driver.Options) error {
		o.Set("command", strings.TrimSpace(name[1:len(name)-1]))
		return nil
	},
	Open: openCommand,
}

// commandConfig are the options of Command.
type commandConfig struct {
	Command string `option:"command" help:"the server and its arguments"`
	exportConfig
}

// probeCommand knows a command by its brackets, which stand apart from it.
func probeCommand(name string) int {
	if strings.HasPrefix(name, "[ ") && strings.HasSuffix(name, " ]") && len(name) > 4 {
		return 100
	}
	return 0
}

func openCommand(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*commandConfig)
	args, err := shlex.Split(c.Command)
	if err != nil || len(args) == 0 {
		return nil, driver.Refuse("'%s' is no command with arguments", c.Command)
	}
	return openServer(ctx, o, &c.exportConfig, args)
}

// openServer starts a server and opens its export. If that fails, what the server said tells why.
func openServer(
	ctx context.Context, o *driver.Opening, c *exportConfig, args []string,
) (driver.Node, error) {
	if o.From != "" {
		text := fmt.Sprintf("'%s' names a server to start, which no image may do", o.From)
		return nil, driver.RefuseAs(syscall.EPERM, "%s", text)
	}
	cfg, err := c.configure(o, Address{})
	if err != nil {
		return nil, err
	}
	server, err := StartServer(args)
	if err != nil {
		return nil, err
	}
	cfg.Address = server.Address()
	n, err := dialNode(ctx, o, cfg)
	if err != nil {
		return nil, server.explain(err)
	}
	n.server = server
	return n, nil
}

// explain ends a server that was of no use. If it hung up on us, what it said tells why.
func (s *Server) explain(err error) error {
	_ = s.Stop()
	for _, hungUp := range []error{io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, hungUp) {
			return driver.Refuse("%w%s", err, s.said.text())
		}
	}
	return err
}

// Server is a program that serves NBD to nobody but us.
type Server struct {
	name    string
	dir     string // with the socket
	stop    func() // asks the program to end
	ended   chan struct{}
	err     error // of the program; set before ended is closed
	said    tail
	stopped sync.Once
}

// StartServer starts a program that takes a listening socket from systemd, as nbdkit, qemu-nbd and
// qemu-storage-daemon do, on a socket that only this user can reach. The program is told to end if
// we end.
func StartServer(args []string) (*Server, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	dir, err := os.MkdirTemp("", "blksh-nbd-")
	if err != nil {
		return nil, fmt.Errorf("making a place for the server's socket: %w", err)
	}
	s := &Server{name: args[0], dir: dir, ended: make(chan struct{})}
	socket, err := listen(s.socket())
	if err == nil {
		err = s.run(path, args[1:], socket)
		err = errors.Join(err, socket.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", args[0], err), os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) socket() string { return filepath.Join(s.dir, "sock") }

// Address is where the server can be reached.
func (s *Server) Address() Address { return Address{Network: "unix", Path: s.socket()} }

// listen makes the socket, as a file for the program.
func listen(path string) (*os.File, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	f, err := l.File()
	return f, errors.Join(err, l.Close())
}

// run starts the program and returns when it runs. The system ends it when the thread that started
// it does, so that thread waits for it.
func (s *Server) run(path string, args []string, socket *os.File) error {
	// The number of the process has to be known before there is one: a shell puts its own.
	shell := []string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, path}
	cmd := exec.Command("/bin/sh", append(shell, args...)...)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1")
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stderr = &s.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			s.err = cmd.Wait()
			close(s.ended)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.stop = func() { _ = cmd.Process.Signal(syscall.SIGTERM) }
	return nil
}

// patience is how long a server may take to end when it is asked to.
const patience = 10 * time.Second

// Stop asks the program to end and waits for that. What it says or how it ends is an error if it
// had ended before.
func (s *Server) Stop() error {
	var err error
	s.stopped.Do(func() {
		select {
		case <-s.ended:
			if s.err != nil {
				err = fmt.Errorf("%s: %w%s", s.name, s.err, s.said.text())
			}
		default:
			s.stop()
			select {
			case <-s.ended:
			case <-time.After(patience):
				err = fmt.Errorf("%s does not end", s.name)
			}
		}
		err = errors.Join(err, os.RemoveAll(s.dir))
	})
	return err
}

// tail keeps the end of what a program says.
type tail struct {
	mu  sync.Mutex
	end []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const kept = 1 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	t.end = append(t.end[:0], t.end[max(0, len(t.end)-kept):]...)
	return len(p), nil
}

// text is what was said, as the rest of a message.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if said := bytes.TrimSpace(t.end); len(said) > 0 {
		return ": " + string(said)
	}
	return ""
}
