package tests

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/commands/print"
)

// wireTime is what no two answers share.
var wireTime = regexp.MustCompile(`after [0-9.]+(ns|us|ms|s)`)

// TestWire pokes at our own server, started by the name: each answer is what the protocol wants.
func TestWire(t *testing.T) {
	t.Parallel()
	server := "[ " + asBlksh.path + " serve mem:1M ]"
	out, err := exec.Command(asBlksh.path, "wire", "--context", "base:allocation", server,
		"write+fua 64k 512 0xab", "read+df 65537 3", "write end 512 =ENOSPC",
		"read end-1 2 =einval",
		"99+0x8000 0 0 =EINVAL", "trim+fua 0 4k", "block-status+req-one 0 1M",
		"block-status 64k 12 hex:000000000000100000000000 =OK",
		"block-status 64k 12 hex:000000000000100000000007 =EINVAL", "disconnect").CombinedOutput()
	if err != nil {
		t.Error(err)
	}
	want := `write+fua 64k 512 0xab: extended none, the last
write+fua 64k 512 0xab: OK <TIME>
read+df 65537 3: extended data, 3 bytes at 65537, ababab, the last
read+df 65537 3: OK <TIME>
write end 512: extended error, ENOSPC, "512 bytes at 1048576 are not within 1048576", the last
write end 512: ENOSPC <TIME>, error number 28
read end-1 2: extended error, EINVAL, "2 bytes at 1048575 are not within 1048576", the last
read end-1 2: EINVAL <TIME>, error number 22
99+0x8000 0 0: extended error, EINVAL, "command 99 is not known", the last
99+0x8000 0 0: EINVAL <TIME>, error number 22
trim+fua 0 4k: extended none, the last
trim+fua 0 4k: OK <TIME>
block-status+req-one 0 1M: extended block status, the last
  base:allocation: 65536 bytes, flags 0x3
block-status+req-one 0 1M: OK <TIME>
block-status 64k 12 hex:000000000000100000000000: extended block status, the last
  base:allocation: 4096 bytes, flags 0x0
block-status 64k 12 hex:000000000000100000000000: OK <TIME>
block-status 64k 12 hex:000000000000100000000007: extended error, EINVAL, "contexts that were not agreed on, or no length", the last
block-status 64k 12 hex:000000000000100000000007: EINVAL <TIME>, error number 22
disconnect: closed <TIME>
`
	if got := wireTime.ReplaceAllString(string(out), "<TIME>"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestWireOutcomes looks at what makes a call fail.
func TestWireOutcomes(t *testing.T) {
	t.Parallel()
	server := "[ " + asBlksh.path + " serve -r mem:1M ]"
	for _, c := range []struct {
		words  []string
		status int
		said   string
	}{
		{[]string{"write 0 512"}, 0, ""},
		{[]string{"write 0 512 =EPERM"}, 0, ""},
		{[]string{"write 0 512 =ok", "read 0 1"}, 1, "write 0 512: EPERM, expected OK"},
		{[]string{"read 0 1 =EIVNAL"}, 2, "'=EIVNAL' is no outcome"},
		{[]string{"read 0 1 ="}, 2, "'=' is no outcome"},
		{[]string{"write 0 512 =1"}, 0, ""},
		{[]string{"--timeout", "1", "read 0 1", "write 0 512 hex:00"}, 5, "did not answer within 1s"},
		{[]string{"--timeout", "1", "write 0 512 hex:00 =timeout"}, 0, ""},
		{[]string{"disconnect", "read 0 1"}, 5, "requests that were not sent: 1"},
		{[]string{"flush 0 0 hex:" + strings.Repeat("00", 64), "read 0 1"}, 5, "the server hung up"},
		{[]string{"flush 0 0 hex:" + strings.Repeat("00", 64), "read 0 1 =closed"}, 0, ""},
		{[]string{"reed 0 1"}, 2, "'reed' is no command"},
		{[]string{"read 0 1x"}, 2, "read 0 1x"},
		{[]string{"read 0 1 2"}, 2, "'2' is one word too many"},
		{[]string{"write 0 1G"}, 2, "are too many"},
		{[]string{"--form", "structured", "--context", "none:such", "flush"}, 3, "no meta context none:such"},
	} {
		words := append([]string{"--json", "wire"}, c.words...)
		options := 0 // the server stands behind them
		for options < len(c.words) && strings.HasPrefix(c.words[options], "--") {
			options += 2
		}
		words = append(append(append([]string{}, words[:2+options]...), server),
			c.words[options:]...)
		cmd := exec.Command(asBlksh.path, words...)
		out, _ := cmd.Output()
		if got := cmd.ProcessState.ExitCode(); got != c.status {
			t.Errorf("%q: status %d, not %d\n%s", c.words, got, c.status, out)
		}
		said := ""
		for line := range strings.Lines(string(out)) {
			var e struct{ Message, Hint string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if err := print.Validate([]byte(strings.TrimSuffix(line, "\n"))); err != nil {
				t.Errorf("%s%v", line, err)
			}
			said += e.Message + e.Hint
		}
		if !strings.Contains(said, c.said) || c.said == "" && said != "" {
			t.Errorf("%q says %q", c.words, said)
		}
	}
}

// TestWirePeers pokes at servers of others, whose answers to what is allowed are those that ours
// gives: they differ in the numbers of errors, which the peers' facts list.
func TestWirePeers(t *testing.T) {
	t.Parallel()
	image := filepath.Join(t.TempDir(), "image")
	must(t, exec.Command(asBlksh.path, "create", image, "1M"))
	for _, c := range []struct{ name, pkg, command, past string }{
		{"nbdkit", "nbdkit", "[ nbdkit file " + image + " ]", "ENOSPC"},
		{"qemu-nbd", "qemu-utils", "[ qemu-nbd -f raw " + image + " ]", "EINVAL"},
		{"blksh", "", "[ " + asBlksh.path + " -f raw " + image + " serve ]", "ENOSPC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.pkg != "" {
				blockdevtest.Peer(t, c.name, c.pkg)
			}
			must(t, exec.Command(asBlksh.path, "wire", "--form", "structured", "--context",
				"base:allocation", c.command, "write+fua 64k 64k 7 =OK", "read+df 64k 512 =OK",
				"read 1 3 =OK", "flush =OK", "block-status 0 1M =OK",
				"block-status+req-one 0 1M =OK",
				"write end 512 ="+c.past, "read end 512 =EINVAL", "99 0 0 =EINVAL",
				"trim 0 512 =OK", "write-zeroes+no-hole 0 4k =OK", "disconnect"))
		})
	}
}

// TestWireMisaligned asks a server for less than its smallest block, and one that ends for
// anything.
func TestWireMisaligned(t *testing.T) {
	t.Parallel()
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	must(t, exec.Command(asBlksh.path, "wire", "[ nbdkit --filter=blocksize-policy memory 1M "+
		"blocksize-minimum=4096 blocksize-error-policy=error ]", "read 0 4k =OK", "read 1 3 =EINVAL",
		"write 512 4k =EINVAL", "trim 0 512 =EINVAL", "flush =OK"))
	out, err := exec.Command(asBlksh.path, "wire", "[ nbdkit nosuchplugin ]",
		"flush").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nosuchplugin") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestServeHanded lets libnbd start our server and copy an image out by it.
func TestServeHanded(t *testing.T) {
	t.Parallel()
	nbdcopy := blockdevtest.Peer(t, "nbdcopy", "libnbd-bin")
	dir := t.TempDir()
	image, copied := filepath.Join(dir, "image"), filepath.Join(dir, "copied")
	must(t, exec.Command(asBlksh.path, "create", "-f", "qcow2", image, "8M"))
	must(t, exec.Command(asBlksh.path, image, "write", "-P", "3", "1M", "2M"))
	out, err := exec.Command(nbdcopy, "--", "[", asBlksh.path, "serve", "-r", image, "]",
		copied).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, exec.Command(asBlksh.path, "-r", image, "compare", copied))
}

// TestServeNowhere: what is wrong with the place where clients are to come is said, and is the
// fault of who asked.
func TestServeNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	_, taken, _ := net.SplitHostPort(tcp.Addr().String())
	left, file := filepath.Join(dir, "left"), filepath.Join(dir, "file")
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: left})
	if err != nil {
		t.Fatal(err)
	}
	socket.SetUnlinkOnClose(false)
	_ = socket.Close()
	other := filepath.Join(dir, "other") // two cases open one, and lock it
	for _, path := range []string{file, other} {
		if err := os.WriteFile(path, make([]byte, 512), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range map[string]struct{ line, handed, want string }{
		"folder":    {"--unix " + dir + "/no/sock", "", "there is no directory '" + dir + "/no'"},
		"in a file": {"--unix " + file + "/sock", "", "there is no directory '" + file + "'"},
		"left":      {"--unix " + left, "", "'" + left + "' is there already; remove it if no server uses it"},
		"no socket": {"--unix " + file, "", "'" + file + "' is there already, and is no socket"},
		"a folder":  {"--unix " + dir, "", "'" + dir + "' is there already, and is no socket"},
		"taken":     {"--port " + taken, "", "port " + taken + " is in use; --port 0 takes a free one"},
		"stranger":  {"--port 0 --bind 192.0.2.1", "", "and '192.0.2.1' is none"},
		"no port":   {"--unix " + dir + "/s --bind 127.0.0.1", "", "--bind goes with --port"},
		"both":      {"--unix " + dir + "/s --port 0", "", "either --unix PATH or --port N"},
		"twice":     {"--unix " + dir + "/s " + file + " " + dir + "/./file", "", "are one image"},
		"names":     {"--unix " + dir + "/s --export x --export x " + other + " mem:1M", "", "two exports are called 'x'"},
		"long name": {
			"--unix " + dir + "/s --export " + strings.Repeat("x", 4097), "",
			"--export takes the name of an export: it has 4097 bytes, of at most 4096",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shell := exec.Command("sh", "-c", "exec 3</dev/null; "+
				`test -n "$2" || export LISTEN_PID=$$ LISTEN_FDS="$3"; exec "$1" -r mem:1M serve $2`,
				"sh", asBlksh.path, x.line, x.handed)
			out, err := shell.CombinedOutput()
			if shell.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), x.want) {
				t.Errorf("%v: %s", err, out)
			}
			if _, err := os.Lstat(dir + "/s"); err == nil {
				t.Error("a socket was made, and is left")
			}
		})
	}
}

// TestNoServer: whichever command meets a server that is not there says the same, with one status.
func TestNoServer(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"nbd+unix:///?socket=/nosuch": "Failed to connect to '/nosuch': No such file or directory",
		"nbd://nosuchhost.invalid":    "address resolution failed for nosuchhost.invalid:10809",
		"nbd://[":                     "No valid URL specified",
		"[ nosuchserver ]":            `starting the server: exec: "nosuchserver"`,
	} {
		for _, words := range [][]string{
			{"wire", name, "read 0 1"}, {"exports", name}, {"-r", "-f", "raw", name, "length"},
		} {
			c := exec.Command(asBlksh.path, words...)
			out, _ := c.CombinedOutput()
			first := "blksh: can't open device " + name + ": " + want
			if c.ProcessState.ExitCode() != 3 || !strings.HasPrefix(string(out), first) ||
				strings.Count(string(out), want) != 1 {
				t.Errorf("%v: status %d: %s", words, c.ProcessState.ExitCode(), out)
			}
		}
	}
}
