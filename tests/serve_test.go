package tests

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestServeRemovesItsSocket: a server takes its socket away when it ends, and leaves what another
// has put in its place.
func TestServeRemovesItsSocket(t *testing.T) {
	t.Parallel()
	for _, replaced := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "sock")
		server, err := startServerOf(path, "-r", "mem:1M", "serve", "--unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if replaced {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			other, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
		}
		if err := server.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = server.Wait()
		if _, err := os.Lstat(path); (err == nil) != replaced ||
			server.ProcessState.ExitCode() != 130 {
			t.Errorf("replaced %v: %v, %v", replaced, err, server.ProcessState)
		}
	}
}

// TestServeLocked: an image that a server writes is nobody else's, and one that is served to be
// read is everybody's.
func TestServeLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, socket := filepath.Join(dir, "image"), filepath.Join(dir, "sock")
	must(t, exec.Command(asBlksh.path, "create", "-f", "qcow2", image, "1M"))
	second := func(words ...string) *exec.Cmd {
		return exec.Command(asBlksh.path, append([]string{
			"serve", "--unix", filepath.Join(dir, "other"),
		}, words...)...)
	}
	server, err := startServerOf(socket, "serve", "--unix", socket, image)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{image}, {"-r", image}} {
		c := second(words...)
		out, _ := c.CombinedOutput()
		if c.ProcessState.ExitCode() != 4 || !strings.Contains(string(out), "lock") {
			t.Errorf("%q beside a server that writes: %v: %s", words, c.ProcessState, out)
		}
	}
	killServer(server)
	if server, err = startServerOf(socket, "serve", "-r", "--unix", socket, image); err != nil {
		t.Fatal(err)
	}
	defer killServer(server)
	other := filepath.Join(dir, "other")
	reader, err := startServerOf(other, "serve", "-r", "--unix", other, image)
	if err != nil {
		t.Fatal(err)
	}
	killServer(reader)
	c := second(image)
	_ = os.Remove(other)
	if out, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != 4 {
		t.Errorf("one that writes beside one that reads: %v: %s", c.ProcessState, out)
	}
}

// lossy is a disk of dir whose flushes fail.
func lossy(t *testing.T, dir string) string {
	t.Helper()
	for name, text := range map[string]string{
		"disk":  strings.Repeat("\x00", 1<<16),
		"rules": "[inject-error]\nevent = \"flush_to_disk\"\nerrno = \"5\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return "blkdebug:" + filepath.Join(dir, "rules") + ":" + filepath.Join(dir, "disk")
}

// TestUnflushedIsNoCleanStop: what a signal ends, and what cannot store what it has written, does
// not look as if it had only been stopped.
func TestUnflushedIsNoCleanStop(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for name, lines := range map[string][]string{
			"serve": {"serve --unix sock"},
			"shell": {begun[0], begun[1], "sleep 86400000"},
		} {
			t.Run(name+" "+signal.String(), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				args := []string{
					"-t", "writeback", "-f", "raw", lossy(t, dir), "-c",
					"write -q -P 7 0 4k",
				}
				for _, l := range lines {
					args = append(args, "-c", l)
				}
				s := asBlksh.start(t, dir, "", args...)
				if err := s.cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				if status := s.status(t); status != "exit 5" ||
					!strings.Contains(s.errs.String(), "Input/output error") {
					t.Errorf("%s, stderr %q", status, s.errs)
				}
			})
		}
	}
}

// TestServeWithoutOutput: a server that cannot say where it serves does not serve.
func TestServeWithoutOutput(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"serve"}, {"--json", "serve"}, {"serve", "-v"}} {
		dir := t.TempDir()
		socket := filepath.Join(dir, "sock")
		c := exec.Command(asBlksh.path, append(words, "--unix", socket, "mem:1M")...)
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip(err)
		}
		defer full.Close()
		c.Stdout = full
		_ = c.Run()
		if _, err := os.Lstat(socket); err == nil || c.ProcessState.ExitCode() != 5 {
			t.Errorf("%q: %v, the socket: %v", words, c.ProcessState, err)
		}
	}
}
