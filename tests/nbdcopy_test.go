package tests

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// export is a file that nbdkit serves to a relay, which has a socket of its own.
type export struct {
	file, log string
	kit       *exec.Cmd
	relay     *relay
	uri       string
}

// serveFile serves a file over nbdkit, which notes every request.
func serveFile(t *testing.T, file string, filters ...string) *export {
	t.Helper()
	kit := blockdevtest.Peer(t, "nbdkit", "nbdkit")
	dir := t.TempDir()
	e := &export{file: file, log: filepath.Join(dir, "log")}
	behind, ready := filepath.Join(dir, "kit"), filepath.Join(dir, "pid")
	e.kit = exec.Command(kit, slices.Concat([]string{
		"-f", "-U", behind, "-P", ready,
		"--filter=log", "file", file, "logfile=" + e.log,
	}, filters)...)
	if err := e.kit.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.stop)
	for { // it writes that file when it listens
		if _, err := os.Stat(ready); err == nil {
			break
		}
		if err := e.kit.Process.Signal(syscall.Signal(0)); err != nil {
			t.Fatal(err)
		}
	}
	e.relay = newRelay(t, filepath.Join(dir, "relay"), behind)
	e.uri = "nbd+unix:///?socket=" + e.relay.path
	return e
}

// stop ends the server, whose log is whole then.
func (e *export) stop() {
	_ = e.kit.Process.Kill() // it may have ended
	_ = e.kit.Wait()
}

// relay passes on what clients and a server say, on all connections but those that are silent,
// whose clients wait for ever.
type relay struct {
	path, server string

	passed, conns atomic.Int64
	second        chan struct{} // closed when there are two connections
	used          atomic.Bool   // the second connection, for data
	once          sync.Once

	mu      sync.Mutex
	manners manners
}

// manners are what a relay does besides.
type manners struct {
	hold   bool // the first connection stands still until there is a second
	silent bool // all connections but the first
	cut    bool // the second connection ends amid the data of a request
	after  int64
	then   func() // is called once, when so many bytes have passed; nil for nothing
}

// learns changes the manners, for connections that come later.
func (r *relay) learns(change func(m *manners)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.manners)
}

// amidst has something done amid a copy.
func (r *relay) amidst(then func()) {
	r.learns(func(m *manners) { m.after, m.then = 4<<20, then })
}

// has returns the manners.
func (r *relay) has() manners {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.manners
}

// amid is how much of a connection passes before it stands still, or ends, in bytes: less than a
// request for data takes.
const amid = 512 << 10

func newRelay(t *testing.T, path, server string) *relay {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := &relay{path: path, server: server, second: make(chan struct{})}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			number := r.conns.Add(1)
			if number == 2 {
				close(r.second)
			}
			if number == 1 || !r.has().silent {
				go r.serve(client, number)
			}
		}
	}()
	return r
}

// serve passes on both directions until one ends.
func (r *relay) serve(client net.Conn, number int64) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("unix", r.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	m := r.has()
	var carried atomic.Int64
	ended := make(chan struct{}, 2)
	pass := func(to io.Writer, from io.Reader) {
		defer func() { ended <- struct{}{} }()
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if carried.Add(int64(n)) > amid {
				switch {
				case m.hold && number == 1:
					<-r.second
				case number == 2:
					if r.used.Store(true); m.cut {
						return
					}
				}
			}
			if all := r.passed.Add(int64(n)); m.then != nil && all > m.after {
				r.once.Do(m.then)
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	go pass(server, client)
	go pass(client, server)
	<-ended
}

// waits says that a second connection is wanted and nothing has gone over it. Nobody promises that
// it is used where the first does well.
func (e *export) waits() bool {
	m := e.relay.has()
	return (m.hold || m.cut) && !e.relay.used.Load()
}

// halfHoles makes a file of n bytes, of which every other MiB is a hole.
func halfHoles(t *testing.T, name string, n int64) {
	t.Helper()
	randomFile(t, name, int(n))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const punch = 3 // FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
	for off := int64(1 << 20); off < n; off += 2 << 20 {
		if err := syscall.Fallocate(int(f.Fd()), punch, off, 1<<20); err != nil {
			t.Skip("the file system makes no holes")
		}
	}
}

// logged is a request in the log of nbdkit.
type logged struct {
	kind   string
	off, n int64
	rest   string
}

var logLine = regexp.MustCompile(
	`connection=\d+ (Read|Write|Zero|Trim|Flush) id=\d+(?: offset=(\S+) count=(\S+))?(.*) \.\.\.`)

// requests are those that came, in order.
func (e *export) requests(t *testing.T) []logged {
	t.Helper()
	text, err := os.ReadFile(e.log)
	if err != nil {
		t.Fatal(err)
	}
	var list []logged
	for _, m := range logLine.FindAllStringSubmatch(string(text), -1) {
		l := logged{kind: m[1], rest: m[4]}
		l.off, _ = strconv.ParseInt(m[2], 0, 64)
		l.n, _ = strconv.ParseInt(m[3], 0, 64)
		list = append(list, l)
	}
	return list
}

// inHole says whether a part of a request lies where halfHoles made a hole.
func (l logged) inHole() bool {
	const mib = 1 << 20
	return l.n > mib-l.off%mib || l.off/mib%2 == 1
}

func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	one, err := os.ReadFile(a)
	two, other := os.ReadFile(b)
	if err := cmp.Or(err, other); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Errorf("%s is not the same as %s", b, a)
	}
}

const exportSize = 32 << 20

// exports are an image that is half holes and another that is full, both served.
func exports(t *testing.T) (from, to *export) {
	t.Helper()
	dir := t.TempDir()
	half, full := filepath.Join(dir, "half"), filepath.Join(dir, "full")
	halfHoles(t, half, exportSize)
	if err := os.WriteFile(full, bytes.Repeat([]byte{0x5a}, exportSize), 0o600); err != nil {
		t.Fatal(err)
	}
	from, to = serveFile(t, half), serveFile(t, full)
	for _, e := range []*export{from, to} {
		e.relay.learns(func(m *manners) { m.hold = true })
	}
	return from, to
}

// TestCopyExports copies over two connections of either side: holes are not read, and what is zero
// is sent as a request for zeroes, which may make holes, and never as bytes. All is flushed in the
// end.
func TestCopyExports(t *testing.T) {
	t.Parallel()
	from, to := exports(t)
	for again := true; again; again = from.waits() || to.waits() {
		on(t, "-f", "raw", "-c", "copy -n -f raw "+to.uri, from.uri).wants(t, "copy", "exit 0",
			"copied 32 MiB", "")
	}
	from.stop()
	to.stop()
	sameFiles(t, from.file, to.file)
	for _, l := range from.requests(t) {
		if l.kind != "Read" || l.inHole() {
			t.Errorf("the source was asked to %+v", l)
		}
	}
	zeroed := int64(0)
	list := to.requests(t)
	for _, l := range list {
		switch {
		case l.kind == "Write" && !l.inHole(), l.kind == "Flush":
		case l.kind == "Zero" && l.inHole() && strings.Contains(l.rest, "trim=1"):
			zeroed += l.n
		default:
			t.Errorf("the target was asked to %+v", l)
		}
	}
	if last := list[len(list)-1]; zeroed != exportSize/2 || last.kind != "Flush" {
		t.Errorf("%d bytes were made zero; at last: %+v", zeroed, last)
	}
}

// TestCopyExportsVerified reads the copy back, and tells when the target has lost it. A target that
// nobody may write to is refused before anything is done.
func TestCopyExportsVerified(t *testing.T) {
	t.Parallel()
	from, to := exports(t)
	call := "copy --verify -n -f raw "
	on(t, "-f", "raw", "-c", call+to.uri, from.uri).wants(t, "verified", "exit 0", "read back", "")
	sameFiles(t, from.file, to.file)
	on(t, "--json", "-f", "raw", "-c", call+to.uri, from.uri).wants(t, "json", "exit 0",
		`"verified":true`, "")
	null := fmt.Sprintf("'[ nbdkit null %d ]'", exportSize)
	on(t, "-f", "raw", "-c", call+null, from.uri).wants(t, "lost", "exit 1",
		"different at 0", "")
	on(t, "-f", "raw", "-c", call+null[:len(null)-2]+"-r ]'", from.uri).wants(t, "read-only",
		"exit 3", "", "lets nobody write")
}

// TestCopyExportsBroken: what goes wrong on one of several connections, or of all, is told, and
// what was done before does not have to be done again.
func TestCopyExportsBroken(t *testing.T) {
	t.Parallel()
	const lost = "the connection to the server is lost"
	for _, tt := range []struct {
		name    string
		arrange func(from, to *export, interrupt func())
		status  int
		says    string
	}{
		{"one connection of the source", func(from, _ *export, _ func()) {
			from.relay.learns(func(m *manners) { m.cut = true })
		}, 5, lost},
		{"one connection of the target", func(_, to *export, _ func()) {
			to.relay.learns(func(m *manners) { m.cut = true })
		}, 5, lost},
		{"the source dies", func(from, _ *export, _ func()) {
			from.relay.amidst(func() { _ = from.kit.Process.Kill() })
		}, 5, lost},
		{"the target dies", func(_, to *export, _ func()) {
			to.relay.amidst(func() { _ = to.kit.Process.Kill() })
		}, 5, lost},
		{"Ctrl-C", func(_, to *export, interrupt func()) {
			to.relay.amidst(interrupt)
		}, 130, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			from, to := exports(t)
			journal := filepath.Join(t.TempDir(), "journal")
			call := fmt.Sprintf("copy -n -f raw --journal %s ", journal)
			var said bytes.Buffer
			var err error
			running := make(chan *os.Process, 1)
			tt.arrange(from, to, func() { _ = (<-running).Signal(os.Interrupt) })
			for again := true; again && err == nil; again = from.waits() || to.waits() {
				cmd := exec.Command(asBlksh.path, "-f", "raw", "-c", call+to.uri, from.uri)
				cmd.Env, cmd.Stderr = asBlksh.environ(), &said
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				select {
				case <-running: // of the turn before
				default:
				}
				running <- cmd.Process
				err = cmd.Wait()
			}
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != tt.status ||
				!strings.Contains(said.String(), tt.says) ||
				!strings.Contains(said.String(), "--resume") {
				t.Fatalf("%v: %s", err, &said)
			}
			again := serveFile(t, from.file)
			target := serveFile(t, to.file)
			on(t, "-f", "raw", "-c", call+"--resume --verify "+target.uri, again.uri).wants(t,
				"resumed", "exit 0", "read back", "")
			sameFiles(t, from.file, to.file)
		})
	}
}

// TestCopyExportsFewer copies from and to servers that promise several connections and never answer
// on more than one.
func TestCopyExportsFewer(t *testing.T) {
	t.Parallel()
	from, to := exports(t)
	for _, e := range []*export{from, to} {
		e.relay.learns(func(m *manners) { m.hold, m.silent = false, true })
	}
	on(t, "-f", "raw", "-c", "copy -n -f raw "+to.uri, from.uri).wants(t, "copy", "exit 0",
		"copied 32 MiB", "")
	sameFiles(t, from.file, to.file)
}
