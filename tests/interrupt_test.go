package tests

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// endless are lines of which the last runs for longer than anybody waits. Devices that take ten
// minutes for a request are unsafe, since a flush would take as long.
var endless = map[string][]string{
	"sleep":        {"sleep 86400000"},
	"read":         {"open -a slow -t unsafe -o driver=null-co,size=1M,latency-ns=600000000000", "read 0 512"},
	"readv":        {"open -a slow -t unsafe -o driver=null-co,size=1M,latency-ns=600000000000", "readv 0 512 512"},
	"write":        {"open -a slow -t unsafe -o driver=null-co,size=1M,latency-ns=600000000000", "write 0 512"},
	"write -z":     {"open -a slow -o driver=null-co,size=4E", "write -q -z 0 4E"},
	"discard":      {"open -a slow -o driver=null-co,size=4E", "discard -q 0 4E"},
	"aio_flush":    {"open -a slow -t unsafe -o driver=null-co,size=1M,latency-ns=600000000000", "aio_read 0 512", "aio_flush"},
	"close":        {"open -a slow -t unsafe -o driver=null-co,size=1M,latency-ns=600000000000", "aio_read 0 512", "close slow"},
	"reopen":       {"open -a slow -t unsafe -o driver=null-co,size=1M,latency-ns=600000000000", "aio_read 0 512", "reopen -r"},
	"bench":        {"open -a slow -t unsafe -o driver=null-co,size=1M,latency-ns=600000000000", "bench -b 4k -n 8 read"},
	"verify_write": {"open -a slow -t unsafe -o driver=null-co,size=1M,latency-ns=600000000000", "verify_write"},
	"verify_read":  {"open -a slow -t unsafe -o driver=null-co,size=1M,latency-ns=600000000000", "verify_read"},
	"read -v":      {"open -a slow -o driver=null-co,size=4E", "read -v 0 4E"},
	"read -o -":    {"open -a slow -o driver=null-co,size=4E", "read -o - 0 4E"},
	"read -P":      {"open -a slow -o driver=null-co,size=1T,latency-ns=1000000", "read -P 0 0 1T"},
	"sum":          {"open -a slow -o driver=null-co,size=4E,read-zeroes=on", "sum"},
	"find":         {"open -a slow -o driver=null-co,size=1T,latency-ns=1000000", "find --text x"},
	"iszero":       {"open -a slow -o driver=null-co,size=1T,latency-ns=1000000", "iszero --first 1"},
	"copy":         {"open -a slow -o driver=null-co,size=1T,latency-ns=1000000", "copy -f qcow2 new"},
	"compare":      {"open -a slow -o driver=null-co,size=1T,latency-ns=1000000", "compare raw.img"},
}

// ways are how lines may reach the program; lines become its arguments and its standard input.
var ways = map[string]func(dir string, lines []string) (args []string, stdin string){
	"-c": func(_ string, lines []string) (args []string, stdin string) {
		for _, l := range lines {
			args = append(args, "-c", l)
		}
		return args, ""
	},
	"pipe": func(_ string, lines []string) (args []string, stdin string) {
		return nil, strings.Join(lines, "\n") + "\n"
	},
	"script": func(dir string, lines []string) (args []string, stdin string) {
		_ = os.WriteFile(filepath.Join(dir, "inner"), []byte(strings.Join(lines, "\n")+"\n"), 0o666)
		_ = os.WriteFile(filepath.Join(dir, "outer"), []byte("source inner\nlength\n"), 0o666)
		return []string{"--script", "outer"}, ""
	},
	"--keep-going": func(_ string, lines []string) (args []string, stdin string) {
		args = []string{"--keep-going"}
		for _, l := range lines {
			args = append(args, "-c", l)
		}
		return args, ""
	},
}

// A started program has said something.
type started struct {
	cmd       *exec.Cmd
	out, errs *bytes.Buffer
	ended     chan error
}

// start starts the program and waits until it has said something, on either stream.
func (p program) start(t *testing.T, dir, stdin string, args ...string) *started {
	t.Helper()
	s := p.command(t, dir, args...)
	spoken := make(chan struct{}, 1)
	s.cmd.Stdin = strings.NewReader(stdin)
	s.cmd.Stdout, s.cmd.Stderr = &listener{s.out, spoken}, &listener{s.errs, spoken}
	s.begin(t)
	s.await(t, spoken)
	return s
}

// await waits for something that comes before the program ends.
func (s *started) await(t *testing.T, sign <-chan struct{}) {
	t.Helper()
	select {
	case <-sign:
	case err := <-s.ended:
		t.Fatalf("it ended too early: %v, stderr %q", err, s.errs)
	}
}

// command is a program that was not started yet.
func (p program) command(t *testing.T, dir string, args ...string) *started {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), hangsAt())
	t.Cleanup(cancel)
	s := &started{
		cmd: exec.CommandContext(ctx, p.path, args...), out: &bytes.Buffer{},
		errs: &bytes.Buffer{}, ended: make(chan error, 1),
	}
	s.cmd.Env, s.cmd.Dir = p.environ(), dir
	return s
}

// begin starts it.
func (s *started) begin(t *testing.T) {
	t.Helper()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
}

// listener keeps the first part of what it gets.
type listener struct {
	kept   *bytes.Buffer
	spoken chan<- struct{}
}

func (l *listener) Write(p []byte) (int, error) {
	if l.kept.Len() < 1<<20 {
		l.kept.Write(p)
	}
	select {
	case l.spoken <- struct{}{}:
	default:
	}
	return len(p), nil
}

// status waits for the end, and tells of it as statusOf does.
func (s *started) status(t *testing.T) string {
	t.Helper()
	err := <-s.ended
	if errors.Is(err, context.DeadlineExceeded) ||
		s.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == unix.SIGKILL {
		return hangs
	}
	status, err := statusOf(err)
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	return status
}

// begun are lines after which the program has said something, so that whoever waits for that knows
// it to be in the line behind them or close before it.
var begun = []string{"aio_read 0 512", "aio_flush"}

// TestInterrupt stops every command that can be long, and those behind it do not run.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for way, lay := range ways {
		for name, lines := range endless {
			if way != "-c" && blockdevtest.Tier() < 2 && name != "sleep" && name != "sum" {
				continue
			}
			t.Run(way+" "+name, func(t *testing.T) {
				t.Parallel()
				dir := workDir(t, "raw.img")
				args, stdin := lay(dir,
					slices.Concat(begun, lines, []string{"write 0 512", "write -q -P 9 0 512"}))
				s := asBlksh.start(t, dir, stdin,
					append([]string{"-f", "raw", "raw.img"}, args...)...)
				if err := s.cmd.Process.Signal(unix.SIGINT); err != nil {
					t.Fatal(err)
				}
				if status := s.status(t); status != "exit 130" {
					t.Errorf("%s, stderr %q", status, s.errs)
				}
				if strings.Contains(s.out.String(), "wrote 512") {
					t.Error("the line behind it was run")
				}
				if b, err := os.ReadFile(filepath.Join(dir, "raw.img")); err != nil ||
					!bytes.HasPrefix(b, []byte{0, 1, 2}) {
					t.Errorf("the line behind it wrote: %v", err)
				}
			})
		}
	}
}

// TestInterruptWithoutImage stops what waits for others and has no image open: its status and, in
// JSON, its last line are those of any other command.
func TestInterruptWithoutImage(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"exports " + silentURL, "wire " + silentURL + " flush",
		"--json exports " + silentURL, "--json wire " + silentURL + " flush",
		"--json merge fifo", "--json source fifo", "--json verify_job fifo",
		"--json -r blkdebug:fifo:raw.img length",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			asked := silentPlaces(t, dir)
			s := asBlksh.command(t, dir, strings.Fields(line)...)
			s.cmd.Stdout, s.cmd.Stderr = s.out, s.errs
			s.begin(t)
			s.await(t, asked)
			if err := s.cmd.Process.Signal(unix.SIGINT); err != nil {
				t.Fatal(err)
			}
			if status := s.status(t); status != "exit 130" {
				t.Errorf("%s, stderr %q", status, s.errs)
			}
			if strings.HasPrefix(line, "--json") && !strings.HasSuffix(s.out.String(),
				`{"kind":"exit","status":130,"schema":1}`+"\n") {
				t.Errorf("stdout %q", s.out)
			}
		})
	}
}

// silentURL is the server of silentPlaces.
const silentURL = "nbd+unix:///?socket=sock"

// silentPlaces makes a FIFO into which nobody writes, and a server that does not greet. asked is
// told who reads the one or connects to the other.
func silentPlaces(t *testing.T, dir string) (asked <-chan struct{}) {
	t.Helper()
	sign := make(chan struct{}, 2)
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	hold := func(place io.Closer, err error) {
		if err != nil { // the test is over
			return
		}
		sign <- struct{}{}
		<-t.Context().Done()
		_ = place.Close()
	}
	go func() { hold(os.OpenFile(fifo, os.O_WRONLY, 0)) }() // opened when it is read
	go func() { hold(listener.Accept()) }()
	t.Cleanup(func() { // nobody waits any more
		if both, err := os.OpenFile(fifo, os.O_RDWR, 0); err == nil {
			_ = both.Close()
		}
	})
	return sign
}

// TestSignalsEndTidily: what was written is in the image, whichever signal asks the program to end,
// and that signal is its status.
func TestSignalsEndTidily(t *testing.T) {
	t.Parallel()
	for signal, want := range map[unix.Signal]string{
		unix.SIGINT: "exit 130", unix.SIGTERM: "signal SIGTERM", unix.SIGHUP: "signal SIGHUP",
		unix.SIGQUIT: "signal SIGQUIT",
	} {
		for _, more := range [][]string{nil, {"--json"}} {
			t.Run(unix.SignalName(signal)+strings.Join(more, ""), func(t *testing.T) {
				t.Parallel()
				dir := workDir(t, "raw.img")
				on(t, "-c", "create "+filepath.Join(dir, "d.qcow2")+" 64M").wants(t, "create",
					"exit 0", "", "")
				args := slices.Concat(more, []string{
					"-t", "writeback", "d.qcow2", "-c", "write -q -P 7 0 64k", "-c", begun[0], "-c",
					begun[1], "-c", "sleep 86400000",
					"-c", "write -q -P 8 0 64k",
				})
				s := asBlksh.start(t, dir, "", args...)
				if err := s.cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				if status := s.status(t); status != want ||
					strings.Contains(s.errs.String(), "goroutine") {
					t.Errorf("%s, stderr %q", status, s.errs)
				}
				on(t, "-r", filepath.Join(dir, "d.qcow2"), "read", "-q", "-P", "7", "0",
					"64k").wants(t, "what was written", "exit 0", "", "")
			})
		}
	}
}
