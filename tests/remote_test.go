package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// TestServerEndsWithUs kills the program while a server that it has started serves it, and another
// one that neither answers nor listens to signals.
func TestServerEndsWithUs(t *testing.T) {
	t.Parallel()
	t.Run("serving", func(t *testing.T) {
		blockdevtest.Peer(t, "nbdkit", "nbdkit")
		expectNoServer(t, "exec nbdkit -f memory 1M")
	})
	t.Run("hanging", func(t *testing.T) {
		if blockdevtest.Tier() < 2 {
			t.Skip("waits for ten seconds, which tier 2 does")
		}
		expectNoServer(t, `trap "" TERM; while :; do sleep 1; done`)
	})
}

// expectNoServer kills the program when its server runs, and waits for the end of that.
func expectNoServer(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	pid, temporary := filepath.Join(dir, "pid"), filepath.Join(dir, "tmp")
	if err := os.Mkdir(temporary, 0o700); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("[ sh -c 'echo $$ >%s.new; mv %[1]s.new %[1]s; %s' ]", pid, script)
	cmd := exec.Command(asBlksh.path, "-f", "raw", name)
	cmd.Env = append(asBlksh.environ(), "TMPDIR="+temporary)
	stdin, err := cmd.StdinPipe() // it waits for lines that do not come
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var number []byte
	await(t, "the server", func() bool {
		number, err = os.ReadFile(pid)
		return err == nil
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	process := "/proc/" + strings.TrimSpace(string(number))
	await(t, "the end of the server", func() bool {
		stat, err := os.ReadFile(process + "/stat")
		return err != nil || bytes.Contains(stat, []byte(") Z "))
	})
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// await returns when something has come, and gives up shortly before all tests do.
func await(t *testing.T, what string, has func() bool) {
	t.Helper()
	for !has() {
		if time.Now().After(hangsAt()) {
			t.Fatalf("waits in vain for %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestCopyElsewhere copies to names that are no paths, and to a path that looks like one.
func TestCopyElsewhere(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"nbd://localhost/x":      "Protocol driver 'nbd' does not support image creation",
		"'[ nbdkit memory 1M ]'": "Protocol driver 'nbd-command' does not support image creation",
		"nosuch:x":               "Unknown protocol 'nosuch'",
		"./nosuch:x":             "",
	} {
		dir := t.TempDir()
		a, err := asBlksh.run(run{dir: dir, args: []string{"-c", "copy -f raw " + to, "mem:1M"}})
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || (want == "") != (len(files) == 1) || !strings.Contains(a.stderr, want) {
			t.Errorf("%s: %s, made %q, %v\n%s", to, a.status, files, err, a.stderr)
		}
	}
}
