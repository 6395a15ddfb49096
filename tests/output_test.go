package tests

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// everyOutput are command lines whose results go to standard output, each by another way.
var everyOutput = [][]string{
	{"--help"},
	{"--version"},
	{"--licenses"},
	{"--completion", "bash"},
	{"raw.img", "capabilities"},
	{"raw.img", "help"},
	{"raw.img", "info"},
	{"raw.img", "map"},
	{"raw.img", "sum"},
	{"raw.img", "read", "0", "512"},
	{"raw.img", "read", "-v", "0", "64k"},
	{"raw.img", "read", "-o", "-", "0", "1M"},
	{"raw.img", "write", "-P", "1", "0", "512"},
	{"raw.img", "verify_write", "0", "64k"},
}

// onto starts the program with standard output that goes to a file, and returns its answer without
// that.
func (p program) onto(t *testing.T, stdout *os.File, r run) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.path, r.args...)
	cmd.Env, cmd.Dir, cmd.Stdout = p.environ(), r.dir, stdout
	var errs strings.Builder
	cmd.Stderr = &errs
	status, err := statusOf(cmd.Run())
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: status, stderr: errs.String()}
}

// TestFullOutput: what cannot be written to standard output fails the run, and a line says so, as
// text and as JSON.
func TestFullOutput(t *testing.T) {
	t.Parallel()
	for _, args := range everyOutput {
		for _, more := range [][]string{nil, {"--json"}} {
			args := slices.Concat(more, []string{"-f", "raw"}, args)
			if len(more) > 0 && slices.Contains(args, "-o") { // refused
				continue
			}
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				t.Parallel()
				full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
				if err != nil {
					t.Skip(err)
				}
				defer full.Close()
				a := asBlksh.onto(t, full, run{dir: workDir(t, "raw.img"), args: args})
				a.wants(t, "full", "exit 5", "",
					"blksh: standard output: No space left on device\n")
				if strings.Count(a.stderr, "\n") != 1 {
					t.Errorf("stderr %q", a.stderr)
				}
			})
		}
	}
}

// TestFullTrace: a trace that lacks events fails the run, as text and as JSON, but for the
// originals.
func TestFullTrace(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	args := []string{
		"-T", "enable=bdrv_co_p*,file=/dev/full", "-f", "raw", "-c", "read -q 0 4k", "raw.img",
	}
	for _, c := range []struct {
		as                     program
		more                   []string
		status, stdout, stderr string
	}{
		{asBlksh, nil, "exit 5", "", "blksh: /dev/full: No space left on device\n"},
		{asBlksh, []string{"--json"}, "exit 5", `"kind":"file_error"`, ""},
		{asQemuIO.as("qemu-7.2"), nil, "exit 0", "", ""},
	} {
		a, err := c.as.run(run{dir: workDir(t, "raw.img"), args: slices.Concat(c.more, args)})
		if err != nil {
			t.Fatal(err)
		}
		a.wants(t, c.status+" "+strings.Join(c.more, ""), c.status, c.stdout, c.stderr)
		if c.stderr == "" && a.stderr != "" {
			t.Errorf("stderr %q", a.stderr)
		}
	}
}

// TestFullTraceOfNothing: what a trace lacks is told where the image cannot be opened, too.
func TestFullTraceOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	a, err := asBlksh.run(run{
		dir:  workDir(t, "raw.img"),
		args: []string{"-T", "enable=bdrv_co_p*,file=/dev/full", "-f", "qcow2", "raw.img"},
	})
	if err != nil {
		t.Fatal(err)
	}
	a.wants(t, "no qcow2", "exit 5", "", "not in qcow2 format\nblksh: /dev/full: No space left")
}

// TestTraceLists: a list of events that cannot be read fails; the originals read as far as they
// come.
func TestTraceLists(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, bytes.Repeat([]byte("x"), 1<<17), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, why := range map[string]string{
		dir: "Is a directory", long: "a line is longer than 64 KiB",
		filepath.Join(dir, "none"): "No such file or directory",
	} {
		args := run{dir: dir, args: []string{"-T", "events=" + name, "-c", "quit"}}
		ours, err := asBlksh.run(args)
		if err != nil {
			t.Fatal(err)
		}
		ours.wants(t, why, "exit 2", "", "blksh: "+name+": "+why+"\n")
		original, err := asQemuIO.as("qemu-7.2").run(args)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case name != dir && name != long:
			original.wants(t, why, "exit 1", "", "qemu-io:"+name+": "+why+"\n")
		case original.status != "exit 0" || original.stderr != "":
			t.Errorf("%s: %s, %q", name, original.status, original.stderr)
		}
	}
}

// TestFullOutputOfOriginals: they take no notice.
func TestFullOutputOfOriginals(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	a := asQemuIO.as("qemu-7.2").onto(t, full,
		run{
			dir:  workDir(t, "raw.img"),
			args: []string{"-f", "raw", "-c", "read -v 0 64k", "raw.img"},
		})
	a.wants(t, "full", "exit 0", "", "")
	if a.stderr != "" {
		t.Errorf("stderr %q", a.stderr)
	}
}

// TestOutputCut: a reader that has seen enough ends a run that has much to say, at once and without
// a word, and what was written to the image before is in it.
func TestOutputCut(t *testing.T) {
	t.Parallel()
	for name, show := range map[string]string{
		"bytes": "read -o - 0 900G",
		"dump":  "read -v 0 900G",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := workDir(t, "raw.img")
			on(t, "-c", "create -f qcow2 "+filepath.Join(dir, "d")+" 1T").wants(t, "create",
				"exit 0", "", "")
			cmd := exec.CommandContext(t.Context(), asBlksh.path, "-t", "writeback", "d", "-c",
				"write -q -P 7 1000G 64k", "-c", show, "-c", "write -P 8 0 64k")
			cmd.Env, cmd.Dir = asBlksh.environ(), dir
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(out).Discard(100); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			out.Close()
			status, err := statusOf(cmd.Wait())
			if err != nil || status != "exit 141" || errs.String() != "" {
				t.Errorf("%s, %v, stderr %q", status, err, errs.String())
			}
			on(t, "-r", filepath.Join(dir, "d"), "-c", "read -q -P 7 1000G 64k", "-c",
				"read -q -P 0 0 64k").wants(t, "what was written", "exit 0", "", "")
		})
	}
}

// TestExpectedFailureIsQuiet: what a script expects is no news.
func TestExpectedFailureIsQuiet(t *testing.T) {
	t.Parallel()
	dir := workDir(t, "raw.img")
	script := "! read 1G 512\n! read --nosuch\n! iszero 0 512\n! open nosuch\n! write\nlength\n"
	a, err := asBlksh.run(
		run{dir: dir, args: []string{"-f", "raw", "--script", "-", "raw.img"}, stdin: script})
	if err != nil || a.status != "exit 0" || a.stdout != "1 MiB\n" || a.stderr != "" {
		t.Errorf("%v, %+v", err, a)
	}
	a, err = asBlksh.run(
		run{
			dir: dir, args: []string{"-f", "raw", "--script", "-", "raw.img"},
			stdin: "! length\n? read 1G 512\n",
		})
	if err != nil || a.status != "exit 1" || !strings.Contains(a.stderr, "stdin:1") {
		t.Errorf("%v, %+v", err, a)
	}
}

// TestUnreadInput warns of bytes that were meant to be written.
func TestUnreadInput(t *testing.T) {
	t.Parallel()
	warning := "standard input was not read"
	for _, test := range []struct {
		args   []string
		warned bool
	}{
		{[]string{"write", "0", "5"}, true},
		{[]string{"writev", "0", "5"}, true},
		{[]string{"-c", "aio_write 0 5"}, true},
		{[]string{"write", "-P", "1", "0", "5"}, false},
		{[]string{"write", "-z", "0", "512"}, false},
		{[]string{"write", "--text", "hello", "0"}, false},
		{[]string{"write", "-s", "-", "0", "5"}, false},
		{[]string{"read", "0", "5"}, false},
	} {
		for _, stdin := range []string{"file", "pipe"} {
			dir := workDir(t, "raw.img", "pat3")
			cmd := exec.CommandContext(t.Context(), asBlksh.path,
				append([]string{"-f", "raw", "raw.img"}, test.args...)...)
			cmd.Env, cmd.Dir = asBlksh.environ(), dir
			in, err := os.Open(filepath.Join(dir, "pat3"))
			if stdin == "pipe" {
				var w *os.File
				if in, w, err = os.Pipe(); err == nil {
					_, err = w.WriteString("hello")
					w.Close()
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			cmd.Stdin = in
			var errs strings.Builder
			cmd.Stderr = &errs
			if err := cmd.Run(); err != nil ||
				strings.Contains(errs.String(), warning) != test.warned {
				t.Errorf("%q from a %s: %v, stderr %q", test.args, stdin, err, errs.String())
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), asBlksh.path, "-f", "raw", "raw.img", "write", "0", "5")
	cmd.Env, cmd.Dir = asBlksh.environ(), workDir(t, "raw.img")
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), warning) {
		t.Errorf("/dev/null: %v, %s", err, out)
	}
}
