package tests

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// silent is a way to an NBD server that, from some moment on, takes what it is sent and does not
// answer.
type silent struct {
	socket string
	quiet  atomic.Bool
	// called and asked hold a token when there was a connection, or something on one, that is not
	// answered.
	called, asked chan struct{}
	over          <-chan struct{}
}

// newSilent makes a way to a server of an empty image.
func newSilent(t *testing.T) *silent {
	t.Helper()
	dir := t.TempDir()
	behind := filepath.Join(dir, "behind")
	server, err := startServer("raw", nbdImage(t, "raw"), behind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { killServer(server) })
	s := &silent{
		socket: filepath.Join(dir, "sock"), called: make(chan struct{}, 1),
		asked: make(chan struct{}, 1), over: t.Context().Done(),
	}
	l, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go s.carry(client, behind)
		}
	}()
	return s
}

// url is how the server is reached.
func (s *silent) url() string { return "nbd+unix:///?socket=" + s.socket }

// carry joins a client and the server until the end of the test.
func (s *silent) carry(client net.Conn, behind string) {
	defer client.Close()
	if s.quiet.Load() {
		s.leave(s.called)
		return
	}
	server, err := net.Dial("unix", behind)
	if err != nil {
		return
	}
	defer server.Close()
	go s.forward(client, server)
	s.forward(server, client)
}

// forward hands on what comes until the silence.
func (s *silent) forward(to io.Writer, from io.Reader) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		switch {
		case err != nil:
			return
		case s.quiet.Load():
			s.leave(s.asked)
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// leave notes that something waits for an answer, and lets it wait.
func (s *silent) leave(sign chan<- struct{}) {
	select {
	case sign <- struct{}{}:
	default:
	}
	<-s.over
}

// mayBeLost is what is said of writes that may not be stored.
const mayBeLost = "what was written last, if anything, may not be in it: " +
	"the connection to the server is lost"

// silences are what waits for the server when it stops answering, with what becomes of a program
// that is told to end then, and what it says.
var silences = map[string]struct {
	before, line string
	status       string
	says         []string
}{
	"read":         {"", "read 0 4k", "exit 130", []string{"interrupted: read stopped at 0"}},
	"map":          {"", "map", "exit 130", []string{"interrupted: map stopped at 0"}},
	"bench":        {"", "bench -n 1000000 -d 16 read", "exit 130", []string{"interrupted"}},
	"verify_read":  {"", "verify_read 0 64k", "exit 130", []string{"interrupted"}},
	"aio_read":     {"", "aio_read 0 4k; aio_flush", "exit 130", []string{"1 request in the background"}},
	"write":        {"", "write 0 4k", "exit 5", []string{"interrupted: write stopped at 0", mayBeLost}},
	"bench write":  {"", "bench -n 1000000 -d 16 write", "exit 5", []string{"interrupted", mayBeLost}},
	"verify_write": {"", "verify_write 0 64k", "exit 5", []string{"interrupted", mayBeLost}},
	"flush":        {"write -q 0 4k", "flush", "exit 5", []string{"interrupted", mayBeLost}},
	"close":        {"write -q 0 4k", "close", "exit 5", []string{"interrupted", mayBeLost}},
	"quit":         {"write -q 0 4k", "quit", "exit 5", []string{mayBeLost}},
	"copy":         {"open -a source -f raw -r full.img", "copy -n nbd+unix", "exit 5", []string{"interrupted: copy stopped at 0", mayBeLost}},
	"compare":      {"", "compare raw.img", "exit 130", []string{"interrupted: compare stopped at 0"}},
	"open":         {"", "open -a more $server", "exit 130", []string{"interrupted"}},
}

// TestSilentServer has a server stop answering, and then tells the program to end, which it does
// without a second word.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	for name, c := range silences {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newSilent(t)
			args, sign := []string{"-w", "-f", "raw", server.url()}, server.asked
			if name == "open" {
				args, sign = []string{"-w", "-f", "raw", "raw.img"}, server.called
			}
			dir := workDir(t, "raw.img")
			// Without zeroes, a copy begins with a write, and does not ask what is there.
			full := bytes.Repeat([]byte{1}, 64<<10)
			if err := os.WriteFile(filepath.Join(dir, "full.img"), full, 0o600); err != nil {
				t.Fatal(err)
			}
			s := asBlksh.command(t, dir, args...)
			lines, err := s.cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			spoken := make(chan struct{}, 1)
			s.cmd.Stdout, s.cmd.Stderr = &listener{s.out, spoken}, &listener{s.errs, nil}
			s.begin(t)
			_, err = io.WriteString(lines, c.before+"\nlength\n")
			if err != nil {
				t.Fatal(err)
			}
			s.await(t, spoken)
			server.quiet.Store(true)
			_, err = io.WriteString(lines, strings.ReplaceAll(c.line, "$server", server.url())+"\n")
			if err != nil {
				t.Fatal(err)
			}
			s.await(t, sign)
			if err := s.cmd.Process.Signal(unix.SIGINT); err != nil {
				t.Fatal(err)
			}
			if status := s.status(t); status != c.status {
				t.Errorf("%s, stderr %q", status, s.errs)
			}
			for _, said := range c.says {
				if !strings.Contains(s.errs.String(), said) {
					t.Errorf("it does not say %q but %q", said, s.errs)
				}
			}
		})
	}
}

// TestSilentServerAtPrompt leaves the prompt while the server does not answer: Ctrl-C ends the wait
// for it.
func TestSilentServerAtPrompt(t *testing.T) {
	t.Parallel()
	server := newSilent(t)
	tty := shell(t, asBlksh, t.TempDir(), "-w", "-f", "raw", server.url())
	tty.press(t, "write 0 4k\r", "wrote", "> ")
	server.quiet.Store(true)
	tty.press(t, "quit\r")
	<-server.asked
	tty.press(t, "\x03")
	status := tty.end(t)
	if status != "exit 5" || !strings.Contains(tty.shown, "may not be in it") {
		t.Errorf("%s; shown: %q", status, tty.shown)
	}
}

// TestSilentServerLeft leaves a server that does not answer to a close by a second Ctrl-C, and is
// told what that may have cost.
func TestSilentServerLeft(t *testing.T) {
	t.Parallel()
	server := newSilent(t)
	tty := shell(t, asBlksh, t.TempDir(), "-t", "writeback", "-f", "raw", "-w", server.url())
	tty.press(t, "write 0 4k\r", "wrote", "> ")
	server.quiet.Store(true)
	tty.press(t, "close\r")
	<-server.asked
	tty.press(t, "\x03", "Ctrl-C again leaves")
	tty.press(t, "\x03")
	status := tty.end(t)
	const costs = " was not closed: what was written last, if anything, may not be in it"
	if status != "exit 130" || !strings.Contains(tty.shown, server.url()+costs) {
		t.Errorf("%s; shown: %q", status, tty.shown)
	}
}
