package nbd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/raw"
)

// remote is how tests open storage by its name.
func remote(readOnly bool) blockdev.OpenConfig {
	return blockdev.OpenConfig{
		Drivers: []driver.Driver{nbd.Driver, nbd.Command, nbd.Remote, raw.Driver}, Format: "raw",
		Mode: driver.Mode{ReadOnly: readOnly},
		Object: func(id string) any {
			if id == "secret" {
				return driver.Secret("open, mellon")
			}
			return nil
		},
	}
}

// expectRead opens a name for reading, sees that nobody can see the password, and wants content.
func expectRead(t *testing.T, name string, cfg blockdev.OpenConfig, content []byte) {
	t.Helper()
	ctx := context.Background()
	d, err := blockdev.Open(ctx, name, cfg)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	expectHidden(t, "mellon")
	got := make([]byte, len(content))
	if err := d.Read(ctx, driver.Vec{got}, 0, 0); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%s: not what is there: %v", name, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// expectHidden looks for a secret among the arguments of all programs.
func expectHidden(t *testing.T, secret string) {
	t.Helper()
	programs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(programs) == 0 {
		t.Fatalf("no programs: %v", err)
	}
	for _, program := range programs {
		args, _ := os.ReadFile(program) // it may have ended
		if bytes.Contains(args, []byte(secret)) {
			t.Errorf("a secret is among the arguments %q", args)
		}
	}
}

// expectRefusal wants what a name leads to, in one line.
func expectRefusal(t *testing.T, name string, cfg blockdev.OpenConfig, want string) {
	t.Helper()
	d, err := blockdev.Open(context.Background(), name, cfg)
	if err == nil {
		t.Errorf("%s: not refused: %v", name, d.Close())
	} else if said := err.Error(); !strings.Contains(said, want) || strings.Contains(said, "\n") {
		t.Errorf("%q: %q, want %q", name, said, want)
	}
}

// expectWritten writes to the storage of that name, and wants it there when it is opened again.
func expectWritten(t *testing.T, name string, cfg blockdev.OpenConfig) {
	t.Helper()
	ctx := context.Background()
	d, err := blockdev.Open(ctx, name, cfg)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	content := bytes.Repeat([]byte("far away "), 50_000)
	for _, err := range []error{
		d.Write(ctx, driver.Vec{bytes.Clone(content)}, 0, 0), d.Flush(ctx), d.Close(),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	expectRead(t, name, cfg, content)
}

// TestRemoteWeb reads a file from a web server, which wants a password for some of its files.
func TestRemoteWeb(t *testing.T) {
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	content := bytes.Repeat([]byte("over the web "), 10_000)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/nothing":
			http.NotFound(w, r)
		case r.URL.Path == "/locked" && (user != "me,you" || password != "open, mellon"):
			w.WriteHeader(http.StatusUnauthorized)
		default:
			http.ServeContent(w, r, "disk", time.Time{}, bytes.NewReader(content))
		}
	}))
	defer web.Close()
	host := strings.TrimPrefix(web.URL, "http://")
	expectRefusal(t, web.URL+"/disk", remote(false), "with -r it is only read")
	expectRefusal(t, web.URL+"/nothing", remote(true), "404")
	expectRefusal(t, web.URL+"/locked", remote(true), "401")
	expectRead(t, web.URL+"/disk?a=b&c='d'%20$(e)", remote(true), content)
	expectRead(t, "http://me%2Cyou:open%2C%20mellon@"+host+"/locked", remote(true), content)
	cfg := remote(true)
	cfg.Options = new(driver.Options)
	cfg.Options.Set("file.password-secret", "secret")
	expectRead(t, "http://me%2Cyou@"+host+"/locked", cfg, content)
	cfg = remote(true)
	cfg.LikeQEMU = true
	expectRefusal(t, web.URL+"/disk", cfg, "Unknown protocol 'http'")

	for failure, why := range map[string]string{
		"503": "error: 503", "short": "the server says: nbdkit: curl",
		"nobody": "the server says: nbdkit: curl",
	} {
		fails := new(atomic.Bool)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case !fails.Load():
				http.ServeContent(w, r, "disk", time.Time{}, bytes.NewReader(content))
			case failure == "503":
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				w.Header().Set("Content-Length", "512")
				w.WriteHeader(http.StatusPartialContent) // and the connection is closed
			}
		}))
		expectLost(t, web.URL+"/disk", remote(true), func() {
			if fails.Store(true); failure == "nobody" {
				web.CloseClientConnections()
				web.Close()
			}
		}, why, "")
		web.Close()
	}
}

// TestServerSays fails requests of a server that says why, and one that ends amid them.
func TestServerSays(t *testing.T) {
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct{ script, why, ends string }{
		{`echo EIO the disk fell >&2; exit 1`, "the disk fell", ""},
		{
			`echo goodbye >/proc/$PPID/fd/2; kill -KILL $PPID`, "EOF; the server says: goodbye",
			"signal: killed: goodbye",
		},
	} {
		const server = "#!/bin/sh\nexec nbdkit eval get_size='echo 4096' " +
			"pread='if test -e %s; then %s; fi; head -c $3 /dev/zero'\n"
		_ = os.Remove(in("falls"))
		write := func(name, content string) {
			t.Helper()
			if err := os.WriteFile(in(name), []byte(content), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		write("server", fmt.Sprintf(server, in("falls"), c.script))
		expectLost(t, "[ "+in("server")+" ]", remote(true), func() { write("falls", "") }, c.why,
			c.ends)
	}
}

// TestRemoteRefused gives names that say nothing, or too much.
func TestRemoteRefused(t *testing.T) {
	for name, want := range map[string]string{
		"ssh://host":                 "'ssh://host' is not like ssh://user@host/path",
		"ssh://host/p?q":             "is not like ssh://user@host/path",
		"ssh://-oProxy/p":            "is not like ssh://user@host/path",
		"ssh://$(reboot)/p":          "is not like ssh://user@host/path",
		"ssh://a%3Bb@host/p":         "is not like ssh://user@host/path",
		"https:host":                 "'https:host' names no storage",
		"http:///path":               "is not like http://host/path",
		"http://host/a\r\nB: c":      "is not like http://host/path",
		"rbd:":                       "'rbd:' names no storage",
		"rbd:pool":                   "is not like rbd:pool/image",
		"iscsi://host/target":        "is not like iscsi://[user@]host[:port]/target/lun",
		"iscsi://host":               "is not like iscsi://[user@]host[:port]/target/lun",
		"[ no-such-program ]":        `exec: "no-such-program": executable file not found in $PATH`,
		"[ 'half ]":                  "''half' is no command with arguments",
		"[ /bin/true ]":              "/bin/true says nothing and ends",
		"[ /bin/sh -c 'echo a; b' ]": "b",
		"[ nbdkit nosuchplugin ]":    "nosuchplugin",
	} {
		if strings.Contains(name, "nbdkit") {
			if _, err := exec.LookPath("nbdkit"); err != nil {
				continue
			}
		}
		if strings.Contains(name, "\n") { // it is shown as it was given
			if _, err := blockdev.Open(context.Background(), name, remote(true)); err == nil ||
				!strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", name, err, want)
			}
			continue
		}
		expectRefusal(t, name, remote(true), want)
	}
	t.Setenv("PATH", t.TempDir())
	for name, want := range map[string]string{
		"http://host/disk":      "nbdkit; on Debian, install nbdkit",
		"ssh://host/disk":       "nbdkit; on Debian, install nbdkit",
		"rbd:pool/image":        "qemu-nbd; on Debian, install qemu-utils and qemu-block-extra",
		"iscsi://host/target/1": "qemu-nbd; on Debian, install qemu-utils and qemu-block-extra",
	} {
		expectRefusal(t, name, remote(true), "'"+name+"' needs the program "+want)
	}
}

// TestRemoteParts has servers without the part that a name needs.
func TestRemoteParts(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for program, said := range map[string]string{
		"qemu-nbd": "a library grumbles\n" +
			"qemu-nbd: Failed to blk_new_open 'rbd:pool/image': Unknown protocol 'rbd'",
		"nbdkit": "nbdkit: error: cannot open plugin 'ssh'",
	} {
		script := "#!/bin/sh\necho \"" + said + "\" >&2\nexit 1\n"
		if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const want = "qemu-nbd: Unknown protocol 'rbd'; on Debian, install qemu-utils and qemu-block-extra"
	if _, err := blockdev.Open(context.Background(), "rbd:pool/image", remote(true)); err == nil ||
		err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	expectRefusal(t, "ssh://host/disk", remote(true),
		"nbdkit: error: cannot open plugin 'ssh'; on Debian, install nbdkit")
}

// TestRemoteSSH reads and writes a file by way of a server of its own, with keys of its own.
func TestRemoteSSH(t *testing.T) {
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	sshd := blockdevtest.Extra(t, "sshd", "openssh-server")
	if _, err := os.Stat("/run/sshd"); err != nil && os.Geteuid() == 0 {
		blockdevtest.NeedAtNight(t, "/run/sshd, for an sshd of root")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, key := range []string{"host", "user", "other"} {
		run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", in(key))
	}
	port := blockdevtest.FreePort(t)
	conf := fmt.Sprintf("ListenAddress 127.0.0.1\nPort %d\nHostKey %s\nAuthorizedKeysFile %s\n"+
		"StrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\n"+
		"PasswordAuthentication no\n", port, in("host"), in("user.pub"))
	public, err := os.ReadFile(in("host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	way := newWay(t, port)
	known := fmt.Sprintf("[127.0.0.1]:%d %s[127.0.0.1]:%d %[2]s", port, public, way.port)
	for name, content := range map[string]string{
		"conf": conf, "known": known, "nobody": "", "a disk, 'quoted'\n": "",
	} {
		if err := os.WriteFile(in(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(in("a disk, 'quoted'\n"), 1<<20); err != nil {
		t.Fatal(err)
	}
	blockdevtest.Background(t, port, sshd, "-D", "-e", "-f", in("conf"))
	if out, err := exec.Command("sftp", "-b", "/dev/null", "-P", fmt.Sprint(port), "-i", in("user"),
		"-o", "UserKnownHostsFile="+in("known"), "127.0.0.1").CombinedOutput(); err != nil {
		blockdevtest.NeedAtNight(t, fmt.Sprintf("to be let in by sshd, as a user with a shell (%v: %s)", err, out))
	}

	with := func(identity, knownHosts string) blockdev.OpenConfig {
		cfg := remote(false)
		cfg.Options = new(driver.Options)
		cfg.Options.Set("file.identity", in(identity))
		cfg.Options.Set("file.known-hosts", in(knownHosts))
		return cfg
	}
	name := fmt.Sprintf("ssh://127.0.0.1:%d%s/a%%20disk,%%20'quoted'%%0a", port, dir)
	expectWritten(t, name, with("user", "known"))
	expectRefusal(t, name, with("other", "known"), "authentication")
	expectRefusal(t, name, with("user", "nobody"), "known_hosts")
	expectRefusal(t, name+"x", with("user", "known"), "No such file")
	expectRefusal(t, fmt.Sprintf("ssh://127.0.0.1:%d/x", blockdevtest.FreePort(t)), remote(true),
		"Connection refused")
	expectRefusal(t, "http://127.0.0.1/x", with("user", "known"), "identity")

	name = strings.Replace(name, fmt.Sprint(port), fmt.Sprint(way.port), 1)
	expectLost(t, name, with("user", "known"), way.cut, "the server says: nbdkit: ssh", "")
}

// TestRemoteISCSI reads and writes a disk of a target of its own, at last with a password.
func TestRemoteISCSI(t *testing.T) {
	blockdevtest.Peer(t, "qemu-nbd", "qemu-utils")
	tgtd := blockdevtest.Extra(t, "tgtd", "tgt")
	dir := t.TempDir()
	t.Setenv("TGT_IPC_SOCKET", filepath.Join(dir, "control"))
	disk := image(t, 4<<20)
	port := blockdevtest.FreePort(t)
	blockdevtest.Background(t, port, tgtd, "-f", "--iscsi",
		fmt.Sprintf("portal=127.0.0.1:%d", port))
	admin := func(args ...string) {
		t.Helper()
		run(t, "tgtadm", append([]string{"--lld", "iscsi"}, args...)...)
	}
	const target = "iqn.2026-11.test:disk"
	admin("--op", "new", "--mode", "target", "--tid", "1", "-T", target)
	admin("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", disk)
	admin("--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL")

	at := fmt.Sprintf("127.0.0.1:%d/%s/", port, target)
	expectWritten(t, "iscsi://"+at+"1", remote(false))
	expectRefusal(t, "iscsi://"+at+"2", remote(false), "LOGICAL_UNIT_NOT_SUPPORTED")
	admin("--op", "new", "--mode", "account", "--user", "me", "--password", "open, mellon")
	admin("--op", "bind", "--mode", "account", "--tid", "1", "--user", "me")
	expectRefusal(t, "iscsi://"+at+"1", remote(false), "Authentication failure")
	expectWritten(t, "iscsi://me%open, mellon@"+at+"1", remote(false))
	cfg := remote(false)
	cfg.Options = new(driver.Options)
	cfg.Options.Set("file.password-secret", "secret")
	expectWritten(t, "iscsi://me@"+at+"1", cfg)

	// QEMU waits for a target that is gone, and goes on with it when it is back.
	way := newWay(t, port)
	d, err := blockdev.Open(t.Context(),
		fmt.Sprintf("iscsi://me@127.0.0.1:%d/%s/1", way.port, target), cfg)
	if err != nil {
		t.Fatal(err)
	}
	way.cut()
	ended := make(chan error)
	go func() { ended <- d.Read(t.Context(), driver.Vec{make([]byte, 4096)}, 0, 0) }()
	way.open()
	for _, err := range []error{
		<-ended, d.Write(t.Context(), driver.Vec{make([]byte, 4096)}, 0, 0), d.Close(),
	} {
		if err != nil {
			t.Error(err)
		}
	}
}

// expectLost opens a storage, cuts it off, and wants all requests to fail and to say why. Closing
// fails as well, with how the server ended, unless that serves on and nothing was written.
func expectLost(t *testing.T, name string, cfg blockdev.OpenConfig, cut func(), why, ends string) {
	t.Helper()
	ctx := context.Background()
	d, err := blockdev.Open(ctx, name, cfg)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	block := driver.Vec{make([]byte, 512)}
	if err := d.Read(ctx, block, 0, 0); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	cut()
	said := map[string]error{"read": d.Read(ctx, block, 0, 0)}
	if !cfg.Mode.ReadOnly {
		said["write"], said["flush"] = d.Write(ctx, block, 0, 0), d.Flush(ctx)
	}
	if err := d.Close(); (err == nil) != (cfg.Mode.ReadOnly && ends == "") || err != nil &&
		!strings.Contains(err.Error(), ends) {
		t.Errorf("%s: close: %v, want %q", name, err, ends)
	}
	for request, err := range said {
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %s: %v, want %q", name, request, err, why)
		}
	}
}

// way leads to a server on this machine, by a port of its own, and can be cut.
type way struct {
	port, to int
	mu       sync.Mutex
	closed   bool
	conns    []net.Conn
}

func newWay(t *testing.T, to int) *way {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{port: l.Addr().(*net.TCPAddr).Port, to: to}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			w.lead(client)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		w.cut()
	})
	return w
}

// lead brings a client to the server, unless the way is cut.
func (w *way) lead(client net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	server, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", w.to))
	if err != nil || w.closed {
		_ = client.Close()
		if err == nil {
			_ = server.Close()
		}
		return
	}
	w.conns = append(w.conns, client, server)
	for _, c := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(c[0], c[1])
			_ = c[0].Close()
		}()
	}
}

// cut ends all connections, and lets nobody through until open.
func (w *way) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns, w.closed = nil, true
}

func (w *way) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = false
}

// run runs a program that has to succeed.
func run(t testing.TB, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
}

// TestRemoteSeveral reads from a web server that answers no request before it has two: nbdkit makes
// one at a time for each of its connections.
func TestRemoteSeveral(t *testing.T) {
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	content := bytes.Repeat([]byte("by turns"), 1<<19)
	first := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			select {
			case first <- struct{}{}:
			case <-first:
			}
		}
		http.ServeContent(w, r, "disk", time.Time{}, bytes.NewReader(content))
	}))
	defer web.Close()
	expectRead(t, web.URL+"/disk", remote(true), content)
}
