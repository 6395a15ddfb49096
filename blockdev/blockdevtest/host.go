package blockdevtest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Need skips a test for want of something, or fails it where everything is to be there: with
// BLKSH_TIER=2 and above.
func Need(t testing.TB, what string) {
	t.Helper()
	if tier := Tier(); tier >= 2 {
		t.Fatalf("tier %d needs %s", tier, what)
	}
	t.Skipf("needs %s", what)
}

// Peer is the path of a program from a Debian package, which the test cannot do without.
func Peer(t testing.TB, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Need(t, fmt.Sprintf("%s (Debian package %s)", program, pkg))
	}
	return path
}

// Extra is Peer for a program that .ci/run does not install: only from tier 3 on it has to be
// there.
func Extra(t testing.TB, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		NeedAtNight(t, fmt.Sprintf("%s (Debian package %s)", program, pkg))
	}
	return path
}

// ExtraFile is Extra for a file, such as one to compile with.
func ExtraFile(t testing.TB, path, pkg string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		NeedAtNight(t, fmt.Sprintf("%s (Debian package %s)", path, pkg))
	}
}

// NeedAtNight is Need for what has to be there from tier 3 on.
func NeedAtNight(t testing.TB, what string) {
	t.Helper()
	if tier := Tier(); tier >= 3 {
		t.Fatalf("tier %d needs %s", tier, what)
	}
	t.Skipf("needs %s", what)
}

// Python finds an interpreter of Python that has a module of a Debian package. Debian's
// of Debian, whatever else is on the PATH.
func Python(t testing.TB, module, pkg string) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	Need(t, fmt.Sprintf("Python with %s (Debian package %s)", module, pkg))
	return ""
}

// Loop makes a loop device over a fresh file, for as long as the test runs.
func Loop(t testing.TB, size int64, sector int, readOnly bool) (device string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "loop.img")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	args := []string{"--sector-size", fmt.Sprint(sector)}
	if readOnly {
		args = append(args, "--read-only")
	}
	return LoopOver(t, file, args...)
}

// LoopOver makes a loop device over a file or device, for as long as the test runs. The arguments
// are those of losetup.
func LoopOver(t testing.TB, file string, args ...string) (device string) {
	t.Helper()
	losetup := Peer(t, "losetup", "mount")
	if os.Geteuid() != 0 {
		Need(t, "root, for loop devices")
	}
	args = append([]string{"--find", "--show"}, append(args, file)...)
	out, err := exec.Command(losetup, args...).Output()
	if err != nil {
		Need(t, fmt.Sprintf("a free loop device (losetup %s: %v)", strings.Join(args, " "), err))
	}
	device = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if err := exec.Command(losetup, "--detach", device).Run(); err != nil {
			t.Errorf("detach %s: %v", device, err)
		}
	})
	return device
}

// Mount makes a file system on a device and mounts it read-only, for as long as the test runs:
// nobody writes to the device.
func Mount(t testing.TB, device string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for _, c := range [][]string{
		{Peer(t, "mkfs.ext4", "e2fsprogs"), "-q", device}, {Peer(t, "mount", "mount"), "-o", "ro", device, folder},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			Need(t, fmt.Sprintf("to run %s (%v: %s)", strings.Join(c, " "), err, out))
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", folder).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", folder, err, out)
		}
	})
	return folder
}

// FreePort is a port of this machine that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().(*net.TCPAddr).Port
}

// Background runs a program until the test ends, and shows what it said if that fails. It returns
// when the program listens on the port, on this machine; 0 for none.
func Background(t testing.TB, port int, program string, args ...string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said: %s", program, &said)
		}
	})
	for port != 0 {
		c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			must(t, c.Close())
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s does not run: %v", program, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
