package tests

import (
	"bufio"
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

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/nbd"
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

// TestServeRefused: what is wrong with the call is said, and nobody serves without what was asked.
func TestServeRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const noAddress = "--bind takes an address of this machine, and "
	for words, want := range map[string]string{
		"--unix s --tls nosuch":  "Unable to access credentials nosuch/ca-cert.pem: No such file or directory",
		"--unix s --tls=":        "--tls takes a value, not an empty one",
		"--unix s --export \xff": "--export takes the name of an export: it is no text in UTF-8",
		// What net takes for every address, or takes amiss.
		"--port 0 --bind []":           noAddress + "'[]' is none",
		"--port 0 --bind [":            noAddress + "'[' is none",
		"--port 0 --bind [127.0.0.1]":  noAddress + "'[127.0.0.1]' is none",
		"--port 0 --bind 127.0.0.1:80": noAddress + "'127.0.0.1:80' is none",
		"--port 0 --bind fe80::1":      noAddress + "'fe80::1' is none", // of no interface
	} {
		c := exec.Command(asBlksh.path, append([]string{"-r", "mem:1M", "serve"},
			strings.Fields(words)...)...)
		c.Dir = dir
		if out, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != 2 ||
			!strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s", words, c.ProcessState, out)
		}
	}
}

// TestServeUnreachable: what clients could not ask for is not served.
func TestServeUnreachable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"n\xff", "plain"} {
		must(t, exec.Command(asBlksh.path, "create", filepath.Join(dir, name), "1M"))
	}
	c := exec.Command(asBlksh.path, "serve", "-r", "--unix", "s", "n\xff", "plain")
	c.Dir = dir
	if out, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != 2 ||
		!strings.Contains(string(out), `'n\xff' cannot be the name of an export`) {
		t.Errorf("%v: %s", c.ProcessState, out)
	}
}

// TestServeNoBitmap: where no image has a bitmap, that of an image which could have it says so.
func TestServeNoBitmap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, exec.Command(asBlksh.path, "create", "-f", "raw", filepath.Join(dir, "raw"), "1M"))
	must(t, exec.Command(asBlksh.path, "create", "-f", "qcow2", filepath.Join(dir, "qcow2"), "1M"))
	for _, images := range [][]string{{"raw", "qcow2"}, {"qcow2", "raw"}} {
		c := exec.Command(asBlksh.path,
			append([]string{"serve", "-r", "--unix", "s", "--bitmap", "sunday"}, images...)...)
		c.Dir = dir
		if out, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != 2 ||
			!strings.Contains(string(out), "Dirty bitmap 'sunday' not found") {
			t.Errorf("%q: %v: %s", images, c.ProcessState, out)
		}
	}
}

// TestServeAddress: a server listens where it was told, and on no other kind of address.
func TestServeAddress(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skip("no IPv6: ", err)
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bind      string
		four, six bool // whether clients of that kind reach it
	}{
		{"127.0.0.1", true, false},
		{"0.0.0.0", true, false},
		{"::1", false, true},
		{"[::1]", false, true},
	} {
		server := exec.Command(asBlksh.path, "-r", "mem:1M", "serve", "--port", "0", "--bind",
			c.bind)
		out, err := server.StdoutPipe()
		if err == nil {
			err = server.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatalf("%s: the server says nothing", c.bind)
		}
		said, _, _ := strings.Cut(lines.Text(), "/,")
		port := said[strings.LastIndexByte(said, ':')+1:]
		for host, want := range map[string]bool{"127.0.0.1": c.four, "::1": c.six} {
			conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if (err == nil) != want {
				t.Errorf("%s, a client at %s: %v", lines.Text(), host, err)
			}
			if err == nil {
				_ = conn.Close()
			}
		}
		killServer(server)
	}
}

// TestServeInUse: a device that others use is not written for clients, unless that is asked for.
func TestServeInUse(t *testing.T) {
	dev := blockdevtest.Loop(t, 1<<20, 512, false)
	holder, err := os.OpenFile(dev, os.O_RDONLY|os.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	socket := filepath.Join(t.TempDir(), "sock")
	c := exec.Command(asBlksh.path, "serve", "-w", "--unix", socket, dev)
	if out, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != 4 ||
		!strings.Contains(string(out), "--in-use") {
		t.Errorf("%v: %s", c.ProcessState, out)
	}
	server, err := startServerOf(socket, "serve", "-w", "--in-use", "--unix", socket, dev)
	if err != nil {
		t.Fatal(err)
	}
	defer killServer(server)
	uri := "nbd+unix:///?socket=" + socket
	must(t, exec.Command(asBlksh.path, "-f", "raw", uri, "write", "-P", "7", "4k", "4k"))
	got := make([]byte, 4096)
	if _, err := holder.ReadAt(got, 4096); err != nil || bytes.Count(got, []byte{7}) != len(got) {
		t.Errorf("the device has not what was written: %v", err)
	}
}

// TestServeNames: the URI that a server tells is one that finds it, whatever its socket is called.
func TestServeNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	longest := strings.Repeat("l", nbd.LongestPath)
	for _, name := range []string{"@file", longest[1:], longest} {
		c := exec.Command(asBlksh.path, "-r", "mem:1M", "serve", "--unix", name)
		c.Dir = dir
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer killServer(c)
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatalf("%s: the server says nothing", name)
		}
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
		uri, _ := strings.CutPrefix(strings.TrimSuffix(lines.Text(), ", read-only"), "serving ")
		reader := exec.Command(asBlksh.path, "-r", "-f", "raw", uri, "length")
		reader.Dir = dir
		must(t, reader)
	}
}

// TestCopyOntoItself: an export is not copied into itself, however it is called; into another one
// of the same server it is, and so is a part of it into another part.
func TestCopyOntoItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	must(t, exec.Command(asBlksh.path, "-c", "create -f raw "+dir+"/a 1M", "-c",
		"create -f raw "+dir+"/b 1M"))
	server, err := startServerOf(socket, "serve", "-f", "raw", "--unix", socket, dir+"/a", dir+"/b")
	if err != nil {
		t.Fatal(err)
	}
	defer killServer(server)
	from := "nbd+unix:///a?socket=" + socket
	for to, status := range map[string]int{
		from: 2, "nbd+unix:///a?socket=s": 2, "nbd:unix:s:exportname=a": 2,
		"nbd+unix:///b?socket=s": 0,
	} {
		checkCopy(t, dir, status, "copy", "-n", "-f", "raw", from, to)
	}
	window := func(export string, begin, size int) string {
		return fmt.Sprintf(`json:{"driver":"raw","offset":%d,"size":%d,"file":{"driver":"nbd","path":"s","export":"%s"}}`,
			begin, size, export)
	}
	for to, status := range map[string]int{
		window("a", 8192, 4096): 0, window("a", 0, 4096): 0, window("a", 4096, 4096): 2,
		window("a", 7680, 4608): 2, window("a", 512, 4096): 2, window("b", 4096, 4096): 0, from: 2,
	} {
		checkCopy(t, dir, status, "copy", "-n", window("a", 4096, 4096), to)
	}
}

// checkCopy copies, which ends with a status, and is refused as one into itself unless that is 0.
func checkCopy(t *testing.T, dir string, status int, args ...string) {
	t.Helper()
	c := exec.Command(asBlksh.path, args...)
	c.Dir = dir
	out, _ := c.CombinedOutput()
	if c.ProcessState.ExitCode() != status ||
		strings.Contains(string(out), "into itself") != (status != 0) {
		t.Errorf("%s: %v: %s", args, c.ProcessState, out)
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

// fill makes a pipe take nothing more.
func fill(t *testing.T, to *os.File) {
	t.Helper()
	conn, err := to.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{4096, 1} {
		b := make([]byte, n)
		var failed error
		for failed == nil {
			err = conn.Control(func(fd uintptr) { _, failed = unix.Write(int(fd), b) })
			if err != nil {
				t.Fatal(err)
			}
		}
		if failed != unix.EAGAIN {
			t.Fatal(failed)
		}
	}
}

// TestServeUnread: a server whose words nobody reads serves all the same, answers nobody's
// questions, and ends as it was told to, with all in the file. Only standard output counts.
func TestServeUnread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		streams, end, status string
		signals              []syscall.Signal
	}{
		{"out", "SIGTERM", "exit 5", []syscall.Signal{syscall.SIGTERM}},
		{"err", "SIGINT", "exit 130", []syscall.Signal{syscall.SIGINT}},
		{
			"err", "SIGUSR1 SIGTERM", "signal SIGTERM",
			[]syscall.Signal{syscall.SIGUSR1, syscall.SIGTERM},
		},
		{"out err", "--once", "exit 5", nil},
	} {
		t.Run(c.streams+" "+c.end, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			disk, socket := filepath.Join(dir, "disk"), filepath.Join(dir, "sock")
			must(t, exec.Command(asBlksh.path, "create", "-f", "raw", disk, "1M"))
			from, to, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer from.Close()
			defer to.Close()
			fill(t, to)
			args := []string{"serve", "-v", "--unix", socket, "-f", "raw", disk}
			if c.signals == nil {
				args = append(args, "--once")
			}
			s := asBlksh.command(t, dir, args...)
			for _, stream := range strings.Fields(c.streams) {
				if stream == "out" {
					s.cmd.Stdout = to
				} else {
					s.cmd.Stderr = to
				}
			}
			s.begin(t)
			awaitSocket(t, s, socket)
			must(t, exec.Command(asBlksh.path, "nbd+unix:///?socket="+socket, "-c",
				"write -q -P 7 0 64k"))
			for _, signal := range c.signals {
				if err := s.cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
			}
			if status := s.status(t); status != c.status {
				t.Errorf("%s, not %s", status, c.status)
			}
			must(t, exec.Command(asBlksh.path, disk, "-f", "raw", "-c", "read -q -P 7 0 64k"))
		})
	}
}

// awaitSocket waits until a program listens on a socket. It looks again and again: who has no
// output can tell nobody.
func awaitSocket(t *testing.T, s *started, path string) {
	t.Helper()
	for {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-s.ended:
			t.Fatalf("ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
