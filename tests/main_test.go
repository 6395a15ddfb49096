// Package tests tests the program from outside and the house as a whole.
//
//   - Golden scripts (testdata/<dialect>/*.txtar) hold what a qemu-io of that
//     version answered, case by case; the program must answer the same.
//   - testdata/wild.tsv lists invocations found in public projects; the program
//     must take each as qemu-io does.
//   - Step scripts must give the same bytes in every run.
//   - Terminal tests talk to the program through a real pseudo terminal.
//   - The layer table says which package may import which.
//   - What is computed from the table of commands must be fresh, the sessions of README and
//     its pages must run as printed, and the examples of help must be understood.
//
// The program is built once for all of them. -program tests another one in its
// place:
//
//	go test ./tests -run Golden/qemu-7.2 -program /usr/bin/qemu-io
//
// fails in nothing but what exceptions call an accident of the original.
// -record writes the goldens of the installed version anew:
//
//	go test ./tests -run Record -record
//
// Tests that need a peer skip with the name of its Debian package; with
// BLKSH_TIER=2 they fail instead.
package tests

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

var programFlag = flag.String("program", "",
	"test this `file` in place of the program built from cmd/blksh")

// hangs is the status of a run that did not end.
const hangs = "hangs"

// testsEnd is when go test gives up, see its flag -timeout.
var testsEnd time.Time

// hangsAt is when a run that has not ended hangs. No test knows how slow the machine is: it is a
// while before the end of all tests, so that one can say which run it was. A recording waits for
// programs that do hang.
func hangsAt() time.Time {
	if *recordFlag {
		return time.Now().Add(20 * time.Second)
	}
	return testsEnd
}

// setTestsEnd reads the flag of the testing package.
func setTestsEnd() error {
	timeout, err := time.ParseDuration(flag.Lookup("test.timeout").Value.String())
	if timeout == 0 { // as long as they like
		timeout = 24 * time.Hour
	}
	testsEnd = time.Now().Add(timeout - timeout/20)
	return err
}

// A program is an executable under the name by which it is started, and what
// its environment holds besides the plain one.
type program struct {
	path string
	env  []string
}

// The program under test under its two names; TestMain sets them.
var asQemuIO, asBlksh program

func TestMain(m *testing.M) {
	flag.Parse()
	if err := setTestsEnd(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	blockdevtest.OverlapWaits()
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "blksh-tests.")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built := filepath.Join(dir, "blksh")
	if err := build(built); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	asBlksh = program{path: built}
	asQemuIO = program{path: filepath.Join(dir, "qemu-io")}
	if err := os.Symlink(built, asQemuIO.path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Below nohup a hangup would be ignored by the programs that tests send one, and in the
	// background of a script an interrupt. A signal that is caught is not ignored by a child.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	// Cases that abort must not fill the disk with core files.
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fixtures.dir = filepath.Join(dir, "fixtures")
	return m.Run()
}

// build puts the program at path: the one of -program, or cmd/blksh, built
// with the race detector when this test is. Recording needs none.
func build(path string) error {
	if *recordFlag {
		return nil
	}
	if *programFlag != "" {
		return os.Symlink(*programFlag, path)
	}
	args := []string{"build", "-o", path}
	if blockdevtest.Race {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "../cmd/blksh")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build cmd/blksh: %w\n%s", err, out)
	}
	return nil
}

// as returns the program speaking the dialect. The newest is what its name
// stands for, so that one is chosen by the name alone.
func (p program) as(dialect string) program {
	if dialect != "qemu" {
		p.env = append(p.env[:len(p.env):len(p.env)], "BLKSH_DIALECT="+dialect)
	}
	return p
}

// environ is the whole environment of a run. It has no home, so that nothing
// of the person who runs the tests is read or written. A program with the race
// detector would sleep for a second at its end.
func (p program) environ() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent", "TERM=dumb",
		"GORACE=atexit_sleep_ms=0",
	}
	return append(env, p.env...)
}

// A run is one start of a program.
type run struct {
	dir    string // working directory
	args   []string
	stdin  string
	merged bool // stdout and stderr are one pipe, read into stdout
	env    []string
}

// An answer is what a run left: how it ended ("exit N", "signal SIGNAME" or
// hangs), what it said, and the files it was asked about afterwards.
type answer struct {
	status, stdout, stderr string
	after                  []string
	took                   time.Duration
}

// run starts the program, waits for its end and returns its answer unfiltered.
func (p program) run(r run) (answer, error) {
	ctx, cancel := context.WithDeadline(context.Background(), hangsAt())
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, r.args...)
	cmd.Env, cmd.Dir = append(p.environ(), r.env...), r.dir
	cmd.Stdin = strings.NewReader(r.stdin)
	var out, errs strings.Builder
	cmd.Stdout = &out
	cmd.Stderr = &errs
	if r.merged {
		cmd.Stderr = cmd.Stdout
	}
	start := time.Now()
	err := cmd.Run()
	a := answer{stdout: out.String(), stderr: errs.String(), status: hangs, took: time.Since(start)}
	if ctx.Err() != nil {
		return a, nil
	}
	a.status, err = statusOf(err)
	return a, err
}

// statusOf puts the error of exec.Cmd's Wait into the words of answer.status.
func statusOf(err error) (string, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "exit 0", nil
	case errors.Is(err, io.ErrClosedPipe), errors.Is(err, syscall.EPIPE):
		return "exit 0", nil // it ended well, without reading all its input
	case !errors.As(err, &exit):
		return "", err
	}
	if ws := exit.Sys().(syscall.WaitStatus); ws.Signaled() {
		return "signal " + unix.SignalName(ws.Signal()), nil
	}
	return "exit " + strconv.Itoa(exit.ExitCode()), nil
}

// without skips the test for want of a Debian package, or fails it where the
// packages are promised.
func without(t *testing.T, debianPackage string) {
	t.Helper()
	if blockdevtest.Tier() >= 2 {
		t.Fatalf("needs the Debian package %s", debianPackage)
	}
	t.Skipf("needs the Debian package %s", debianPackage)
}

// reference finds the real qemu-io: BLKSH_REFERENCE, or the one on PATH.
func reference(t *testing.T) program {
	t.Helper()
	path := os.Getenv("BLKSH_REFERENCE")
	if path == "" {
		path, _ = exec.LookPath("qemu-io")
	}
	if path == "" {
		without(t, "qemu-utils")
	}
	return program{path: path}
}
