package repl

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHistoryPath(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, c := range []struct{ home, state, want string }{
		{home, "", home + "/.local/state/blksh/history"},
		{home, "/state", "/state/blksh/history"},
		{home, "relative", home + "/.local/state/blksh/history"},
		{"", "", ""},
		{"", "/state", ""},
		{home + "/none", "/state", "/state/blksh/history"},
		{home + "/none", "", ""},
		{"/dev/null", "", ""},
	} {
		env := map[string]string{"HOME": c.home, "XDG_STATE_HOME": c.state}
		if got := HistoryPath(func(name string) string { return env[name] }); got != c.want {
			t.Errorf("%v: %q", c, got)
		}
	}
}

func openTestHistory(t *testing.T, path string) *History {
	t.Helper()
	h, err := OpenHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func add(t *testing.T, h *History, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := h.Add(line); err != nil {
			t.Fatal(err)
		}
	}
}

func checkMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s: mode %o", path, got)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(state, "blksh", "history")
	h := openTestHistory(t, path)
	if len(h.Lines()) > 0 {
		t.Errorf("%q", h.Lines())
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("opening makes folders")
	}
	add(t, h, "length", "length", " ", "", "read 0 512", "length", "evil\x1b[2J", "two\nlines",
		strings.Repeat("x", longestRemembered+1), "größe")
	want := []string{"length", "read 0 512", "length", "größe"}
	if !slices.Equal(h.Lines(), want) {
		t.Errorf("%q", h.Lines())
	}
	checkMode(t, path, 0o600)
	checkMode(t, filepath.Dir(path), 0o700)
	checkMode(t, state, 0o700)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	again := openTestHistory(t, path)
	if !slices.Equal(again.Lines(), want) {
		t.Errorf("read again: %q", again.Lines())
	}
	checkMode(t, path, 0o600)
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history")
	var text strings.Builder
	for i := range 2*remembered + 1 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	for _, c := range []struct{ name, text, last string }{
		{"many lines", text.String(), "line 2000"},
		{"many bytes", strings.Repeat(strings.Repeat("x", 1000)+"\n", 3000) + "last\n", "last"},
		{"one endless line", strings.Repeat("x", historyTail+10), ""},
	} {
		write(t, filepath.Dir(path), "history", c.text)
		h := openTestHistory(t, path)
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(stored), "\n"); n > remembered ||
			len(h.Lines()) > remembered || len(stored) > historyTail {
			t.Errorf("%s: %d lines, %d of them stored in %d bytes", c.name, len(h.Lines()), n,
				len(stored))
		}
		if c.last != "" &&
			(len(h.Lines()) == 0 || h.Lines()[len(h.Lines())-1] != c.last ||
				!strings.HasSuffix(string(stored), c.last+"\n")) {
			t.Errorf("%s: the last line is gone", c.name)
		}
		checkMode(t, path, 0o600)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestHistoryWithoutFile(t *testing.T) {
	t.Parallel()
	h := openTestHistory(t, "")
	add(t, h, "length")
	if !slices.Equal(h.Lines(), []string{"length"}) {
		t.Errorf("%q", h.Lines())
	}
}

// A history that cannot be stored says so once and goes on.
func TestHistoryFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := openTestHistory(t, write(t, dir, "file", "")+"x")
	h.path = filepath.Join(dir, "file", "history")
	if err := h.Add("one"); err == nil {
		t.Error("a file is no folder")
	}
	add(t, h, "two")
	if !slices.Equal(h.Lines(), []string{"one", "two"}) {
		t.Errorf("%q", h.Lines())
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	device := filepath.Join(dir, "device")
	if err := os.Symlink("/dev/null", device); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, dir, device} {
		if _, err := OpenHistory(path); err == nil {
			t.Errorf("%s is read", path)
		}
		if h := (&History{path: path}); h.Add("one") == nil {
			t.Errorf("%s is written", path)
		}
	}
}

// FuzzHistory reads any file: what it gives back can be shown and is what is read the next time.
func FuzzHistory(f *testing.F) {
	f.Add([]byte("read 0 512\nwrite 0 512"))
	f.Add([]byte("a\x1b[2J\n \n\xff\nb\r\n\n"))
	f.Add(bytes.Repeat([]byte("x\n"), 3*remembered))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "history")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		lines := openTestHistory(t, path).Lines()
		for _, line := range lines {
			if !storable(line) || strings.Contains(line, "\n") {
				t.Errorf("a line is %q", line)
			}
		}
		if again := openTestHistory(t, path).Lines(); len(lines) > remembered ||
			!slices.Equal(again, lines) {
			t.Errorf("%d lines, and %d the next time", len(lines), len(again))
		}
	})
}
