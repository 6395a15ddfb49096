package tests

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestServe serves an image to a second shell and to qemu-io, and ends by a signal when all is flushed.
func TestServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, socket := filepath.Join(dir, "image.qcow2"), filepath.Join(dir, "sock")
	blksh := asBlksh.path
	must(t, exec.Command(blksh, "-c", "create -f qcow2 "+image+" 16M"))
	server := exec.Command(blksh, "-c", "serve --unix "+socket+" --export disk", image)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "serving nbd+unix:///disk?socket=") {
		t.Fatalf("got %q", lines.Text())
	}
	uri := strings.TrimPrefix(lines.Text(), "serving ")
	must(t, exec.Command(blksh, "-f", "raw", "-c", "write -P 7 1M 3M", "-c", "flush", uri))
	if said, err := exec.Command(blksh, "-c", "exports "+uri).Output(); err != nil ||
		!strings.HasPrefix(string(said), "export 'disk': 16 MiB") {
		t.Errorf("exports: %v: %s", err, said)
	}
	if path, err := exec.LookPath("qemu-io"); err == nil {
		must(t, exec.Command(path, "-f", "raw", "-c", "read -P 7 1M 3M", uri))
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	_ = server.Wait() // it dies of the signal
	must(t, exec.Command(blksh, "-r", "-c", "read -P 7 1M 3M", "-c", "read -P 0 4M 1M", "-c", "check", image))
}

// must runs a command that has to succeed.
func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
}
