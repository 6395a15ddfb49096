package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// TestTerminalNarrower makes a window narrower in which a long line is being typed, in a terminal
// that breaks lines anew: no row of the line is left over when it is drawn again.
func TestTerminalNarrower(t *testing.T) {
	t.Parallel()
	tmux := blockdevtest.Peer(t, "tmux", "tmux")
	socket := filepath.Join(t.TempDir(), "tmux")
	call := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(tmux, append([]string{"-f", "/dev/null", "-S", socket}, args...)...)
		cmd.Env = append(asBlksh.environ(), "TERM=xterm", "XDG_STATE_HOME="+filepath.Dir(socket))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %q: %v, %s", args, err, out)
		}
		return strings.TrimRight(string(out), "\n")
	}
	call("new-session", "-d", "-x", "100", "-y", "20", asBlksh.path+" mem:1M")
	t.Cleanup(func() { _ = exec.Command(tmux, "-S", socket, "kill-server").Run() })
	sees := func(what string, is func(screen string) bool) {
		t.Helper()
		for end := hangsAt(); time.Now().Before(end); {
			if is(call("capture-pane", "-p")) {
				return
			}
		}
		t.Fatalf("%s: %s", what, call("capture-pane", "-p"))
	}
	pane, err := os.OpenFile(call("display-message", "-p", "#{pane_tty}"),
		os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pane.Close()
	line := "read " + strings.Repeat("0123456789", 12)
	call("send-keys", "-l", line)
	sees("the line", func(s string) bool { return strings.HasSuffix(s, "6789") })
	for _, width := range []int{50, 30, 90} {
		call("resize-window", "-x", fmt.Sprint(width))
		sees("the program to be told", func(string) bool { // tmux takes its time
			size, err := unix.IoctlGetWinsize(int(pane.Fd()), unix.TIOCGWINSZ)
			return err == nil && int(size.Col) == width
		})
		call("send-keys", "-l", "x")
		line += "x"
		sees(fmt.Sprintf("%d columns", width), func(s string) bool {
			_, rows, ok := strings.Cut(s, "mem rw> ")
			return ok && strings.ReplaceAll(rows, "\n", "") == line &&
				strings.Count(s, "mem rw> ") == 1
		})
	}
}
