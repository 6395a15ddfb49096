package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// TestServe serves an image to a second shell and to qemu-io, and ends by a signal when all is
// flushed.
func TestServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, socket := filepath.Join(dir, "image.qcow2"), filepath.Join(dir, "sock")
	blksh := asBlksh.path
	must(t, exec.Command(blksh, "-c", "create -f qcow2 "+image+" 16M"))
	server := exec.Command(blksh, "-c", "serve --unix "+socket+" --export disk", image)
	lines := startSaying(t, server)
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
	must(t, exec.Command(blksh, "-r", "-c", "read -P 7 1M 3M", "-c", "read -P 0 4M 1M", "-c",
		"check", image))
}

// TestServeSeveral serves two files from the command line, one of them read-only, and says who came
// and what for.
func TestServeSeveral(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.qcow2"), filepath.Join(dir, "two & three")
	socket, blksh := filepath.Join(dir, "a sock"), asBlksh.path
	must(t, exec.Command(blksh, "create", "-f", "qcow2", one, "16M"))
	must(t, exec.Command(blksh, "create", two, "8M"))
	server := exec.Command(blksh, "--json", "serve", "-v", "--unix", socket,
		"json:{'driver':'qcow2','read-only':true,'file.filename':'"+one+"'}", two,
		"--export", "one", "--export", "2/ö")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	progress, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(out)
	next := func() (e map[string]any) {
		for {
			if err := lines.Decode(&e); err != nil {
				t.Fatal(err)
			}
			if kind := e["kind"]; kind == "serving" || kind == "client" || kind == "exit" {
				return e
			}
			clear(e)
		}
	}
	first, second := next(), next()
	uri, ok := second["uri"].(string)
	if first["read_only"] != true || second["read_only"] != nil || !ok {
		t.Fatalf("%v %v", first, second)
	}
	said, err := exec.Command(blksh, "exports", uri).Output()
	if err != nil || !strings.Contains(string(said), "export 'one': 16 MiB") ||
		!strings.Contains(string(said), "export '2/ö': 8 MiB") {
		t.Errorf("exports: %v: %s", err, said)
	}
	if e := next(); e["declined"] != true || e["reason"] != nil {
		t.Errorf("a list: %v", e)
	}
	must(t, exec.Command(blksh, "-f", "raw", "-c", "write -P 7 1M 3M", "-c", "read 1M 1M", uri))
	written, read := 0.0, 0.0
	for here := 0; ; { // one client has as many connections as it likes
		e := next()
		if e["export"] != "2/ö" || e["address"] != "" { // the socket of the client has no name
			t.Fatalf("a client: %v", e)
		}
		if e["left"] == nil {
			here++
			continue
		}
		wrote, _ := e["written"].(float64)
		got, _ := e["read"].(float64)
		written, read = written+wrote, read+got
		if here--; here == 0 {
			break
		}
	}
	if written != 3<<20 || read != 1<<20 {
		t.Errorf("what it did: %v written, %v read", written, read)
	}
	err = exec.Command(blksh, "-f", "raw", "write", "0", "512", first["uri"].(string)).Run()
	if err == nil {
		t.Error("a read-only export was written to")
	}
	if err := server.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	far := bufio.NewScanner(progress)
	if !far.Scan() || !strings.HasPrefix(far.Text(), "serve  4.00 MiB") {
		t.Errorf("progress: %q", far.Text())
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for next()["kind"] != "exit" {
	}
	_ = server.Wait() // it dies of the signal
}

// TestServeLosesWrites ends a server whose image cannot be flushed, and is told so.
func TestServeLosesWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, socket := filepath.Join(dir, "image"), filepath.Join(dir, "sock")
	must(t, exec.Command(asBlksh.path, "create", image, "1M"))
	server := exec.Command(asBlksh.path, "serve", "--unix", socket,
		"json:{'driver':'raw','file':{'driver':'blkdebug','image.driver':'file',"+
			"'image.filename':'"+image+"','inject-error':[{'event':'flush_to_disk','once':false}]}}")
	var said bytes.Buffer
	server.Stderr = &said
	lines := startSaying(t, server)
	if !lines.Scan() {
		t.Fatal("the server says nothing")
	}
	uri := strings.TrimPrefix(lines.Text(), "serving ")
	must(t, exec.Command(asBlksh.path, "wire", uri, "write 0 512 =OK", "flush =EIO"))
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	_ = server.Wait() // it dies of the signal
	if !strings.Contains(said.String(), "serve failed: Input/output error") {
		t.Errorf("the server says %q", said.String())
	}
}

// TestExportAsQEMU holds what we say of an export with a bitmap in QEMU's dialect against what its
// own program says.
func TestExportAsQEMU(t *testing.T) {
	t.Parallel()
	peer := blockdevtest.Peer(t, "qemu-io", "qemu-utils")
	dir := t.TempDir()
	image, socket := filepath.Join(dir, "disk.qcow2"), filepath.Join(dir, "sock")
	must(t, exec.Command(asBlksh.path, "create", "-f", "qcow2", image, "8M"))
	must(t, exec.Command(asBlksh.path, "-c", "bitmap add sunday", "-c", "write 1M 1M", image))
	server, err := startServerOf(socket, "-r", "-c", "serve --bitmap sunday --unix "+socket, image)
	if err != nil {
		t.Fatal(err)
	}
	defer killServer(server)
	options := "driver=nbd,server.type=unix,server.path=" + socket
	for _, args := range [][]string{
		{"-r", "-f", "nbd", "-c", "info", "nbd:unix:" + socket},
		{"-r", "-f", "raw", "-c", "info", "-c", "map", "-c", "alloc 1M 1M", "nbd:unix:" + socket},
		{"-r", "-c", "map", "--image-opts", options + ",x-dirty-bitmap=qemu:dirty-bitmap:sunday"},
		{"-r", "-c", "map", "--image-opts", options + ",x-dirty-bitmap=qemu:allocation-depth"},
		{"-r", "-c", "map", "--image-opts", options + ",x-dirty-bitmap=qemu:dirty-bitmap:monday"},
		{"-c", "map", "--image-opts", options},
	} {
		likeQEMU(t, peer, args...)
	}
}

// likeQEMU calls our program as qemu-io and the real one, which have to say and answer the same.
func likeQEMU(t *testing.T, peer string, args ...string) {
	t.Helper()
	said := func(path string) string {
		cmd := exec.Command(path, args...)
		cmd.Env = append(os.Environ(), "BLKSH_DIALECT=qemu-7.2")
		out, _ := cmd.CombinedOutput()
		return fmt.Sprintf("%sstatus %d", out, cmd.ProcessState.ExitCode())
	}
	if got, want := said(asQemuIO.path), said(peer); got != want {
		t.Errorf("%q:\n%s\nqemu-io:\n%s", args, got, want)
	}
}

// TestServerNamedAsQEMU names servers in all ways that QEMU reads, and in some that it does not.
func TestServerNamedAsQEMU(t *testing.T) {
	t.Parallel()
	peer := blockdevtest.Peer(t, "qemu-io", "qemu-utils")
	dir := t.TempDir()
	image, other := filepath.Join(dir, "disk"), filepath.Join(dir, "other")
	socket := filepath.Join(dir, "s")
	must(t, exec.Command(asBlksh.path, "create", image, "1M"))
	must(t, exec.Command(asBlksh.path, "create", other, "1M"))
	unix, err := startServerOf(socket, "serve", "--unix", socket, "--export", "disk", image)
	if err != nil {
		t.Fatal(err)
	}
	defer killServer(unix)
	tcp, listens, err := startServerTelling("serve", "-r", "--port", "0", other)
	if err != nil {
		t.Fatal(err)
	}
	defer killServer(tcp)
	_, port, _ := strings.Cut(listens, "://127.0.0.1:")
	port, _, _ = strings.Cut(port, "/")
	at := "127.0.0.1:" + port
	names := []string{
		"nbd:unix:" + socket + ":exportname=disk", "nbd+unix:///disk?socket=" + socket,
		"nbd+unix:///%64isk?socket=" + strings.ReplaceAll(socket, "/", "%2f"),
		"nbd+unix:///disk?socket=" + socket + "+", "nbd+unix:///di sk?socket=" + socket,
		"nbd+unix://user@/disk?socket=" + socket + "#part", "nbd+unix:///dïsk?socket=" + socket,
		"nbd+unix:///disk?socket=" + socket + "&b=1", "nbd+unix:" + socket, "nbd+tcp:" + at,
		"nbd:" + at, "nbd:" + at + ",ipv4,to=3", "nbd:" + at + ",ipv4=x", "nbd:" + at + ",to=x",
		"nbd::" + port, "nbd::", "nbd:a:b:c", "nbd:[::1", "nbd:" + strings.Repeat("h", 65) + ":1",
		"nbd://" + at, "nbd+tcp://user:word@" + at + "/#part", "nbd://" + at + "/?",
		"nbd://" + at + ":1", "nbd://127.0.0.1:/", "nbd://127.0.0.1:65536", "nbd://::1:1/",
		"nbd://" + at + "/a b", "nbd://127.0.0.1:0" + port,
		`json:{"file":{"driver":"nbd","path":"` + socket + `","export":"disk"}}`,
		`json:{"file":{"driver":"nbd","host":"127.0.0.1","port":` + port + `}}`,
	}
	for i, name := range names {
		if blockdevtest.Sampled(i, 2) {
			likeQEMU(t, peer, "-c", "length", name)
			likeQEMU(t, peer, "-r", "-c", "length", name)
		}
	}
	server := "server.type=inet,server.host=127.0.0.1,server.port=" + port
	for i, options := range []string{
		"path=", "host=", "port=" + port, "path=" + socket + ",port=1",
		"path=" + socket + ",host=h," + server, "path=" + socket + ",host=h",
		"path=" + socket + ",export=disk,x-dirty-bitmap=",
		"path=" + socket + ",export=disk,x-dirty-bitmap=" + strings.Repeat("x", 4097),
		"path=" + socket + ",export=disk,reconnect-delay=18446744073709551616",
		server + ",server.ipv4=off", server + ",server.ipv6=off",
		server + ",server.ipv4=on,server.ipv6=off", server + ",server.ipv4=off,server.ipv6=off",
		server + ",server.mptcp=off", server + ",server.mptcp=x",
		server + ",server.to=1", server + ",server.to=x", server + ",server.to=-1",
		"server.type=inet,server.host=,server.port=1",
		"server.type=inet,server.host=::1,server.port=1,server.ipv4=on",
		"server.type=unix,server.abstract=on,server.tight=off,server.path=" + socket,
		"server.type=fd", "server.type=fd,server.str=x", "server.type=fd,server.str=0",
	} {
		if blockdevtest.Sampled(i, 2) {
			likeQEMU(t, peer, "-r", "-c", "length", "--image-opts", "driver=nbd,"+options)
		}
	}
}

// TestFlushOfServer counts the flushes that reach a server: those of QEMU in its dialect, and in
// ours those that somebody asked for, also if he wrote nothing: others may have.
func TestFlushOfServer(t *testing.T) {
	t.Parallel()
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	flushes := func(program, dialect, words string) int {
		log := filepath.Join(t.TempDir(), "log")
		must(t, exec.Command("nbdkit", "-U", "-", "--filter=log", "memory", "1M", "logfile="+log,
			"--run", "BLKSH_DIALECT="+dialect+" "+program+" -f raw "+words+" $uri"))
		told, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(told), " Flush id=")
	}
	for i, words := range []string{
		"-c flush", "-t unsafe -c flush", "-c length", "-c 'write 0 512' -c flush -c flush",
		"-r -c flush", "-t writeback -c 'write 0 512'", "-t unsafe -c 'write 0 512'",
	} {
		if path, err := exec.LookPath("qemu-io"); err == nil && blockdevtest.Sampled(i, 2) {
			got, want := flushes(asQemuIO.path, "qemu-7.2", words), flushes(path, "", words)
			if got != want {
				t.Errorf("%s: %d flushes, QEMU makes %d", words, got, want)
			}
		}
	}
	for words, want := range map[string]int{
		"-c flush": 1, "-c length": 0, "-r -c flush": 0,
		"-t writeback -c 'write 0 512' -c flush": 1, "-t writeback -c 'write 0 512'": 1,
	} {
		if got := flushes(asBlksh.path, "", words); got != want {
			t.Errorf("%s: %d flushes, not %d", words, got, want)
		}
	}
}

// TestServerInBrackets starts servers by words of the command line that stand between brackets.
func TestServerInBrackets(t *testing.T) {
	t.Parallel()
	null := "json:{'driver':'null-co','size':4096}"
	server := []string{"[", asBlksh.path, "serve", "-r", null, "]"}
	with := func(before []string, after ...string) []string {
		return append(append(slices.Clone(before), server...), after...)
	}
	for _, c := range []struct {
		words  []string
		status int
		said   string
	}{
		{with([]string{"-r", "-f", "raw"}, "length"), 0, "4 KiB"},
		{with([]string{"exports"}), 0, "export '': 4 KiB"},
		{with(with([]string{"copy", "-n"})), 3, "the server lets nobody write"},
		{[]string{"[", "nbdkit"}, 3, "can't open device [: "},
		{[]string{"[", "]", "length"}, 3, "can't open device [: "},
		{with([]string{"--dialect", "qemu", "-c", "length"}), 1, "Usage"},
	} {
		cmd := exec.Command(asBlksh.path, c.words...)
		out, _ := cmd.CombinedOutput()
		got := cmd.ProcessState.ExitCode()
		if got != c.status || !strings.Contains(string(out), c.said) {
			t.Errorf("%q: status %d, not %d\n%s", c.words, got, c.status, out)
		}
	}
}

// TestBackingBesideServer opens an overlay over NBD whose backing file is named as one beside it.
func TestBackingBesideServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base, image := filepath.Join(dir, "base"), filepath.Join(dir, "disk.qcow2")
	socket := filepath.Join(dir, "s")
	must(t, exec.Command(asBlksh.path, "create", base, "1M"))
	must(t, exec.Command(asBlksh.path, "create", "-f", "qcow2", "-b", "base", "-F", "raw", image))
	server, err := startServerOf(socket, "-r", "-f", "raw", "-c", "serve --unix "+socket, image)
	if err != nil {
		t.Fatal(err)
	}
	defer killServer(server)
	args := []string{"-r", "-c", "length", "nbd:unix:" + socket}
	out, err := exec.Command(asBlksh.path, args...).CombinedOutput()
	if err == nil ||
		!strings.Contains(string(out), "Cannot generate a base directory for NBD nodes") {
		t.Errorf("%v, %s", err, out)
	}
	if peer, err := exec.LookPath("qemu-io"); err == nil {
		likeQEMU(t, peer, args...)
	}
}

// TestBitmapOfLostServer lists a bitmap whose server is gone, and says nothing of what is dirty.
func TestBitmapOfLostServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, socket := filepath.Join(dir, "disk.qcow2"), filepath.Join(dir, "sock")
	must(t, exec.Command(asBlksh.path, "create", "-f", "qcow2", image, "8M"))
	must(t, exec.Command(asBlksh.path, "-c", "bitmap add sunday", "-c", "write 1M 1M", image))
	server, err := startServerOf(socket, "-r", "-c", "serve --bitmap sunday --unix "+socket, image)
	if err != nil {
		t.Fatal(err)
	}
	defer killServer(server)
	client := exec.Command(asBlksh.path, "-r", "-f", "raw", "nbd:unix:"+socket)
	in, lines := startTalking(t, client)
	fmt.Fprintln(in, "length")
	if !lines.Scan() {
		t.Fatal("nothing is said")
	}
	killServer(server)
	fmt.Fprintln(in, "bitmap list")
	_ = in.Close()
	if !lines.Scan() || lines.Text() != "sunday: how much is dirty is not known" {
		t.Errorf("got %q", lines.Text())
	}
	if err := client.Wait(); client.ProcessState.ExitCode() != 5 {
		t.Error(err)
	}
}

// TestServerOptionMistyped refuses an option that there is not before a server is asked or started,
// and a scheme that is nobody's.
func TestServerOptionMistyped(t *testing.T) {
	t.Parallel()
	started := filepath.Join(t.TempDir(), "started")
	for _, c := range [][2]string{
		{"driver=nbd,path=/nosuch,exprot=x", "did you mean export?"},
		{"driver=nbd-command,command=touch " + started + ",foo=x", "the option 'foo'"},
		{"driver=nbd-remote,url=foo://x/y", "reached by nothing here"},
		{"driver=nbd-remote,url=https://x/y,password-secert=x", "did you mean password-secret?"},
	} {
		options, want := c[0], c[1]
		cmd := exec.Command(asBlksh.path, "-r", "--image-opts", options, "length")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s", options, err, out)
		}
	}
	if _, err := os.Stat(started); !errors.Is(err, os.ErrNotExist) {
		t.Error("the server was started:", err)
	}
}

// TestServerInherited uses a connection that it was started with.
func TestServerInherited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, socket := filepath.Join(dir, "disk"), filepath.Join(dir, "s")
	must(t, exec.Command(asBlksh.path, "create", image, "1M"))
	server, err := startServerOf(socket, "serve", "--unix", socket, image)
	if err != nil {
		t.Fatal(err)
	}
	defer killServer(server)
	open := "open -o driver=nbd,server.type=fd,server.str=3"
	for _, c := range []struct {
		more []string
		want string
	}{
		{nil, ""},
		{[]string{"-c", "close", "-c", open}, "File descriptor '3' is not a socket"},
	} {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		file, err := conn.File()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(asBlksh.path, append([]string{
			"-c", open, "-c", "write -P 5 0 4k", "-c", "read -P 5 0 4k",
		}, c.more...)...)
		cmd.ExtraFiles = []*os.File{file}
		out, err := cmd.CombinedOutput()
		if (err == nil) != (c.want == "") || !strings.Contains(string(out), c.want) {
			t.Errorf("%q: %v, %s", c.more, err, out)
		}
		_, _ = file.Close(), conn.Close()
	}
}

// TestCopyBitmapFromServer copies what is dirty by the word of a server, and nothing else.
func TestCopyBitmapFromServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image := filepath.Join(dir, "disk.qcow2")
	blksh := asBlksh.path
	must(t, exec.Command(blksh, "create", "-f", "qcow2", image, "3G"))
	must(t, exec.Command(blksh, "-c", "write -P 1 0 1M", "-c", "bitmap add sunday",
		"-c", "write -P 2 64k 64k", "-c", "write -P 3 2G 128k", image))
	copied := func(name, source string) {
		t.Helper()
		target := filepath.Join(dir, name)
		must(t, exec.Command(blksh, "create", target, "3G"))
		must(t, exec.Command(blksh, "-f", "raw", "-c", "write -P 9 0 4M", target))
		must(t, exec.Command(blksh, "copy", "--bitmap", "sunday", "-n", source, target))
		must(t, exec.Command(blksh, "-f", "raw", "-c", "read -P 9 0 64k", "-c",
			"read -P 2 64k 64k", "-c", "read -P 9 128k 3968k", "-c", "iszero 4M..2G", "-c",
			"read -P 3 2G 128k", target))
	}
	t.Run("direct", func(t *testing.T) { copied("direct", image) })
	t.Run("blksh", func(t *testing.T) {
		socket := filepath.Join(dir, "sock")
		server, err := startServerOf(socket, "-r", "-c", "serve --bitmap sunday --unix "+socket,
			image)
		if err != nil {
			t.Fatal(err)
		}
		defer killServer(server)
		copied("ours", "nbd+unix:///?socket="+socket)
	})
	t.Run("qemu-nbd", func(t *testing.T) {
		blockdevtest.Peer(t, "qemu-nbd", "qemu-utils")
		copied("theirs", "[ qemu-nbd -r -f qcow2 -B sunday "+image+" ]")
	})
}

// startServerOf starts a program with args that serves on socket.
func startServerOf(socket string, args ...string) (*exec.Cmd, error) {
	_ = os.Remove(socket) // of one that was killed
	server, _, err := startServerTelling(args...)
	return server, err
}

// startServerTelling starts a program with args that serves, and returns its first line.
func startServerTelling(args ...string) (*exec.Cmd, string, error) {
	server := exec.Command(asBlksh.path, args...)
	out, err := server.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := server.Start(); err != nil {
		return nil, "", err
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return nil, "", errors.New("the server says nothing")
	}
	return server, lines.Text(), nil
}

// startTalking starts a program that is told what to do, line by line, and answers so.
func startTalking(t *testing.T, cmd *exec.Cmd) (io.WriteCloser, *bufio.Scanner) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return in, startSaying(t, cmd)
}

// startSaying starts a program and returns the lines that it says.
func startSaying(t *testing.T, cmd *exec.Cmd) *bufio.Scanner {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bufio.NewScanner(out)
}

// must runs a command that has to succeed.
func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
}
