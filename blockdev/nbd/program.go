package nbd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// program is a server to be started.
type program struct {
	args []string
	env  []string // besides our own
	// secret is what the server reads from secretFile: everybody on the machine can see arguments.
	secret driver.Secret
	atOnce int // see Config
}

// startServer is the shell's part in starting a server. The number of the process has to be known
// before there is one, so the shell puts its own. A second process waits for the end of descriptor
// 4, which comes with ours, and lets the server end as it was told to. What is left after a while
// hangs, and is killed: as a member of the group, the second process keeps its number from being
// another one's.
const startServer = `
(exec 3<&- 5<&-; read -r _; sleep 10; kill -s KILL -- -$$) <&4 >/dev/null 2>&1 &
LISTEN_PID=$$ exec "$0" "$@" 4<&-`

// secretFile is the third of the files that startServer gets.
const secretFile = "/dev/fd/5"

// Server is a program that serves NBD to nobody but us. Nothing of it is left in the file system,
// however we end.
type Server struct {
	name    string
	socket  *os.File // a reference, since the socket has no name
	life    *os.File // ends with us; see startServer
	process *os.Process
	ended   chan struct{}
	err     error // of the program; set before ended is closed
	said    tail
	stopped sync.Once
}

// StartServer starts a program that takes a listening socket from systemd, as nbdkit, qemu-nbd and
// qemu-storage-daemon do, on a socket that only this user can reach. The program is told to end if
// we end.
func StartServer(args []string) (*Server, error) { return program{args: args}.start() }

func (p program) start() (*Server, error) {
	path, err := exec.LookPath(p.args[0])
	if err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	socket, listening, err := listen()
	if err != nil {
		return nil, fmt.Errorf("making a socket for %s: %w", p.args[0], err)
	}
	s := &Server{name: p.args[0], socket: socket, ended: make(chan struct{})}
	err = errors.Join(s.run(path, p, listening), listening.Close())
	if err != nil {
		s.said.close()
		return nil, errors.Join(fmt.Errorf("starting %s: %w", p.args[0], err),
			closeAll(socket, s.life))
	}
	return s, nil
}

// Address is where the server can be reached, until Stop.
func (s *Server) Address() Address {
	return Address{Network: "unix", Path: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.socket.Fd())}
}

// listen makes a socket without a name: a reference to connect by, and the end for the program.
func listen() (reference, listening *os.File, err error) {
	dir, err := os.MkdirTemp("", "blksh-nbd-") // where nobody else can go
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, "sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	l.SetUnlinkOnClose(false)
	listening, err = l.File()
	if err == nil {
		reference, err = os.OpenFile(path, unix.O_PATH, 0)
	}
	if err = errors.Join(err, l.Close(), os.RemoveAll(dir)); err != nil {
		return nil, nil, errors.Join(err, closeAll(reference, listening))
	}
	return reference, listening, nil
}

// closeAll closes the files that are there.
func closeAll(files ...*os.File) error {
	var err error
	for _, f := range files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// hidden is a file that is nowhere but in memory.
func hidden(s driver.Secret) (*os.File, error) {
	fd, err := unix.MemfdCreate("secret", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a file for the secret: %w", err)
	}
	f := os.NewFile(uintptr(fd), "secret")
	if _, err := f.Write(s); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// run starts the program at path and returns when it runs. The system ends it when the thread that
// started it does, so that thread waits for it.
func (s *Server) run(path string, p program, listening *os.File) error {
	watched, life, err := os.Pipe()
	if err != nil {
		return err
	}
	defer watched.Close()
	s.life = life
	cmd := exec.Command("/bin/sh", append([]string{"-c", startServer, path}, p.args[1:]...)...)
	cmd.Env = append(append(os.Environ(), p.env...), "LISTEN_FDS=1")
	cmd.ExtraFiles = []*os.File{listening, watched}
	if len(p.secret) > 0 {
		secret, err := hidden(p.secret)
		if err != nil {
			return err
		}
		defer secret.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, secret)
	}
	said, err := s.said.open()
	if err != nil {
		return err
	}
	defer said.Close()
	cmd.Stderr = said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		s.process = cmd.Process
		started <- err
		if err == nil {
			s.err = cmd.Wait()
			s.said.close()
			close(s.ended)
		}
	}()
	go s.said.listen()
	return <-started
}

// kill ends the program and all that it has started.
func (s *Server) kill() { _ = syscall.Kill(-s.process.Pid, syscall.SIGKILL) }

// serverError is why a server was of no use, with what it said about it. Where it ended, that says
// all.
type serverError struct {
	err  error
	said string // one line
}

func (e *serverError) Error() string {
	if isHungUp(e.err) {
		return e.said
	}
	return e.err.Error() + ": " + e.said
}

func (e *serverError) Unwrap() error { return e.err }

// explain ends a server that was of no use. If it hung up on us or has no export, what it said
// tells why.
func (s *Server) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil { // it may be busy with what nobody waits for, and has nothing to lose
		s.kill()
	}
	_ = s.Stop()
	var refused *nbdwire.OptionError
	said := s.said.text(s.name)
	switch {
	case isHungUp(err) && said == "":
		return &serverError{err, s.name + " says nothing and ends"}
	case isHungUp(err), errors.As(err, &refused) && said != "":
		return &serverError{err, said}
	}
	return err
}

// isHungUp says that the other side ended the connection, or was gone before there was one.
func isHungUp(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNREFUSED)
}

// patience is how long a server may take to end when it is asked to. Then it is made to.
const patience = 10 * time.Second

// Stop asks the program to end and waits for that. That it had ended before with an error, or that
// a signal ended it which is not ours, is an error with what it said.
func (s *Server) Stop() error { return s.stop(context.Background()) }

// stop is Stop that makes it end when until does.
func (s *Server) stop(until context.Context) error {
	until, done := context.WithTimeout(until, patience)
	defer done()
	var err error
	s.stopped.Do(func() {
		select {
		case <-s.ended:
			err = s.failure()
		default:
			_ = s.process.Signal(syscall.SIGTERM)
			select {
			case <-s.ended:
				if s.crashed() {
					err = s.failure()
				}
			case <-until.Done():
				s.kill()
				<-s.ended
				err = fmt.Errorf("%s did not end when it was asked to, and was killed", s.name)
			}
		}
		s.kill()
		err = errors.Join(err, closeAll(s.socket, s.life))
	})
	return err
}

// failure is how the program ended, nil if without an error.
func (s *Server) failure() error {
	if s.err == nil {
		return nil
	}
	said := s.said.text(s.name)
	if said != "" {
		said = ": " + said
	}
	return fmt.Errorf("%s: %w%s", s.name, s.err, said)
}

// crashed says whether a signal ended the program, but SIGTERM.
func (s *Server) crashed() bool {
	var exit *exec.ExitError
	if !errors.As(s.err, &exit) {
		return false
	}
	status := exit.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() != syscall.SIGTERM
}

// tail keeps the end of what a program says.
type tail struct {
	pipe *os.File // does not block
	mu   sync.Mutex
	end  []byte
}

// open makes the file for the program to write to.
func (t *tail) open() (*os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "stderr")
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, errors.Join(err, theirs.Close(), unix.Close(fds[0]))
	}
	t.pipe = os.NewFile(uintptr(fds[0]), "stderr")
	return theirs, nil
}

// listen takes what the program says until close, so that it never waits for us.
func (t *tail) listen() {
	pipe, err := t.pipe.SyscallConn()
	if err == nil {
		_ = pipe.Read(t.take)
	}
}

// close takes what is left. Somebody whom the program has started may go on talking to nobody.
func (t *tail) close() {
	t.catchUp()
	_ = t.pipe.Close()
}

// catchUp takes all that the program has said so far.
func (t *tail) catchUp() {
	if t.pipe == nil {
		return
	}
	pipe, err := t.pipe.SyscallConn()
	if err == nil {
		_ = pipe.Control(func(fd uintptr) { t.take(fd) })
	}
}

// take reads all that is in the pipe, and says whether nothing more will come.
func (t *tail) take(fd uintptr) (over bool) {
	const kept = 1 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		var part [4 << 10]byte
		n, err := unix.Read(int(fd), part[:])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return err != unix.EAGAIN
		}
		t.end = append(t.end, part[:n]...)
		t.end = append(t.end[:0], t.end[max(0, len(t.end)-kept):]...)
	}
}

// text is what was said, in one line: what begins with the name of the program, as servers do, and
// not what its libraries say besides. nbdkit says why it cannot open its export each time that it
// is asked for it.
func (t *tail) text(name string) string {
	t.catchUp()
	t.mu.Lock()
	defer t.mu.Unlock()
	var all, own []string
	for line := range strings.Lines(string(t.end)) {
		line = strings.TrimSpace(line)
		if line == "" || slices.Contains(all, line) {
			continue
		}
		all = append(all, line)
		if strings.HasPrefix(line, filepath.Base(name)+": ") {
			own = append(own, line)
		}
	}
	if len(own) > 0 {
		all = own
	}
	return strings.Join(all, "; ")
}
