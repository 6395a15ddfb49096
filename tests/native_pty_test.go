package tests

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// prompted starts the program in its own dialect on a terminal.
func prompted(t *testing.T, images []string, args ...string) *terminal {
	t.Helper()
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], "TERM=xterm", "NO_COLOR=1",
		"XDG_STATE_HOME="+t.TempDir())
	return p.onTerminal(t, workDir(t, images...), args...)
}

// leave quits and wants this status.
func (tty *terminal) leave(t *testing.T, want string) {
	t.Helper()
	tty.press(t, "quit\r")
	if status := tty.end(t); status != want {
		t.Errorf("quit: %s, want %s; shown: %q", status, want, tty.shown)
	}
}

// TestFirstMinute opens an image at a terminal: what it is, how to get help, and
// a prompt that names it and tells whether it may be written to.
func TestFirstMinute(t *testing.T) {
	t.Parallel()
	tty := prompted(t, []string{"raw.img", "disk.img"}, "-r", "-f", "raw", "raw.img")
	tty.expect(t, "raw.img: raw, 1 MiB (1048576 bytes)\r\n")
	tty.expect(t, "read-only, 'reopen -w' allows writing; no backing file\r\n")
	tty.expect(t, "Type 'help'")
	tty.expect(t, "raw.img ro> ")
	tty.press(t, "write 0 512\r", "for reading only", "'reopen -w'", "raw.img ro> ")
	tty.press(t, "reopen -w\r", "raw.img rw> ")
	tty.press(t, "write -q 0 512 # a comment\r", "raw.img rw> ")
	tty.press(t, "open -a two -f raw disk.img\r", "disk.img: raw, 64 MiB", "two rw> ")
	tty.press(t, "use raw.img\r", "raw.img rw> ")
	tty.press(t, "close\r", "two rw> ")
	tty.press(t, "close\r", "blksh> ")
	tty.leave(t, "exit 0")

	tty = prompted(t, nil)
	tty.expect(t, "no image is open: 'open FILE' opens one, 'help' lists the commands\r\n")
	tty.expect(t, "blksh> ")
	tty.press(t, "open -o driver=null-co,size=1M\r") // what has no file is called as its driver
	tty.expect(t, "null-co rw> ")
	tty.leavesBy(t, "exit\r")
}

// TestOneCommandAtTerminal has no banner and no prompt.
func TestOneCommandAtTerminal(t *testing.T) {
	t.Parallel()
	tty := prompted(t, []string{"raw.img"}, "-f", "raw", "raw.img", "length")
	if status := tty.end(t); status != "exit 0" || tty.shown != "1 MiB\r\n" {
		t.Errorf("%s; shown: %q", status, tty.shown)
	}
}

// TestScriptAtPrompt is abandoned where it fails; the prompt goes on.
func TestScriptAtPrompt(t *testing.T) {
	t.Parallel()
	tty := prompted(t, []string{"raw.img"}, "-f", "raw", "raw.img")
	tty.expect(t, "raw.img rw> ")
	if err := os.WriteFile(tty.cmd.Dir+"/s.blk", []byte("length\nnonsense\nread 0 512\n"),
		0o666); err != nil {
		t.Fatal(err)
	}
	tty.press(t, "source s.blk\r",
		"1 MiB", "s.blk:2: command \"nonsense\" not found", "raw.img rw> ")
	if strings.Contains(tty.shown, "512/512") {
		t.Errorf("the script went on: %q", tty.shown)
	}
	tty.leave(t, "exit 2")
}

// held is a device whose reads take ten minutes.
var held = []string{"--image-opts", "driver=null-co,size=1M,latency-ns=600000000000"}

// reading starts the program with a read that does not end, and returns when it
// has begun.
func reading(t *testing.T,
	args ...string,
) (cmd *exec.Cmd, out *strings.Builder, errs *bufio.Reader) {
	t.Helper()
	cmd = exec.Command(asBlksh.path,
		append(append([]string{"-T", "bdrv_co_preadv_part"}, args...), held...)...)
	cmd.Env = asBlksh.environ()
	out = &strings.Builder{}
	cmd.Stdout = out
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	errs = bufio.NewReader(pipe)
	if line, err := errs.ReadString('\n'); err != nil {
		t.Fatalf("no read begins: %q, %v", line, err)
	}
	return cmd, out, errs
}

// TestInterruptedCommand ends with 130, and what was to come is not done.
func TestInterruptedCommand(t *testing.T) {
	t.Parallel()
	for _, json := range []bool{false, true} {
		args := []string{"-c", "read 0 512", "-c", "length"}
		if json {
			args = append([]string{"--json"}, args...)
		}
		cmd, out, errs := reading(t, args...)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		if _, err := errs.WriteTo(&said); err != nil {
			t.Fatal(err)
		}
		status, err := statusOf(cmd.Wait())
		if err != nil {
			t.Fatal(err)
		}
		if status != "exit 130" || strings.Contains(out.String(), "1 MiB") ||
			strings.Contains(out.String(), `"length","line"`) {
			t.Errorf("%s; stdout %q", status, out)
		}
		if json {
			checkObjects(t, answer{status: status, stdout: out.String()})
		} else if !strings.Contains(said.String(), "interrupted") {
			t.Errorf("stderr: %q", said.String())
		}
	}
}

// TestInterruptedBetweenLines closes the image and says how it ends.
func TestInterruptedBetweenLines(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(asBlksh.path, "--json", "-f", "raw", "raw.img")
	cmd.Env, cmd.Dir = asBlksh.environ(), workDir(t, "raw.img")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	opened, err := out.ReadString('\n') // which is written out before a line is waited for
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	said := strings.Builder{}
	said.WriteString(opened)
	if _, err := out.WriteTo(&said); err != nil {
		t.Fatal(err)
	}
	status, err := statusOf(cmd.Wait())
	if err != nil || status != "exit 130" {
		t.Errorf("%s, %v", status, err)
	}
	checkObjects(t, answer{status: status, stdout: said.String()})
}

// TestProgressOnSignal wants a line for SIGUSR1, and then ends the program by
// two Ctrl-C.
func TestProgressOnSignal(t *testing.T) {
	t.Parallel()
	cmd, _, errs := reading(t, "-c", "read 0 1M")
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	line, err := errs.ReadString('\n')
	for err == nil && strings.Contains(line, "bdrv_co_preadv_part") { // long reads are several
		line, err = errs.ReadString('\n')
	}
	if err != nil || !strings.HasPrefix(line, "read ") &&
		!strings.Contains(line, "nothing under way") {
		t.Errorf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if status, err := statusOf(cmd.Wait()); err != nil || status != "exit 130" {
		t.Errorf("%s, %v", status, err)
	}
}

// TestSettings starts a prompt with a file of settings: what is right in it holds, what is wrong is
// told by its line, and neither is looked at elsewhere.
func TestSettings(t *testing.T) {
	t.Parallel()
	config := t.TempDir()
	if err := os.MkdirAll(filepath.Join(config, "blksh"), 0o700); err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(config, "blksh", "rc")
	text := "style = xxd\nconfirm = off\nnonsense = 1\n"
	if err := os.WriteFile(rc, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], "XDG_CONFIG_HOME="+config)
	complaint := rc + `:3: there is no setting "nonsense", only colour`
	tty := shell(t, p, t.TempDir(), "-t", "unsafe", "mem:64k")
	if !strings.Contains(tty.shown, complaint) {
		t.Errorf("no complaint in %q", tty.shown)
	}
	tty.press(t, "write -q -P 65 0 64k\r", "\n", "> ")
	tty.press(t, "read -v 0 16\r")
	tty.expect(t, "00000000: 4141 4141") // as xxd has it
	tty.expect(t, "> ")
	tty.press(t, "verify_write\r")
	tty.expect(t, "wrote") // without a question
	tty.expect(t, "> ")
	tty.leavesBy(t, "\x04")

	for _, args := range [][]string{{"--no-rc"}, {"--dialect", "qemu"}} {
		tty := shell(t, p, t.TempDir(), append(args, "raw.img")...)
		if strings.Contains(tty.shown, "setting") {
			t.Errorf("%q: the settings were read: %q", args, tty.shown)
		}
	}
	tty = shell(t, program{path: asQemuIO.path, env: p.env}, t.TempDir(), "raw.img")
	if strings.Contains(tty.shown, "setting") {
		t.Errorf("qemu-io has read the settings: %q", tty.shown)
	}
	got, err := p.run(run{args: []string{"-c", "read -v 0 16", "mem:64k"}})
	if err != nil || strings.Contains(got.stderr, "setting") ||
		strings.Contains(got.stdout, "0000 0000") {
		t.Errorf("settings hold without a prompt: %v, %v", got, err)
	}

	if err := os.WriteFile(rc, []byte("dialect = qemu-7.2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	tty = shell(t, p, t.TempDir(), "raw.img")
	tty.press(t, "help\r", "Use 'help commandname' for extended help.")
}
