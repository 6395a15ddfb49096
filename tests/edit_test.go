package tests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// numbers is a disk whose sectors say where they are.
func numbers(t *testing.T) (dir, path string, content []byte) {
	t.Helper()
	var b bytes.Buffer
	for b.Len() < 64<<10 {
		fmt.Fprintf(&b, "here is %-8d", b.Len())
	}
	dir = t.TempDir()
	path = filepath.Join(dir, "disk.img")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir, path, b.Bytes()
}

// editor starts the program on a terminal of 80 columns with disk.img, and shows an editor.
func editor(t *testing.T, dir, command string, args ...string) (*terminal, *vt) {
	t.Helper()
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], "TERM=xterm", "HOME="+dir, "XDG_STATE_HOME="+dir)
	tty := p.onTerminal(t, dir, append(args, "-f", "raw", "disk.img")...)
	tty.expect(t, "> ")
	screen := tty.sized(t, 12, 80)
	tty.press(t, command+"\r")
	tty.sees(t, screen, " disk.img  0x")
	return tty, screen
}

// logs are the logs of changes that were kept.
func logs(t *testing.T, dir string) []string {
	t.Helper()
	kept, err := filepath.Glob(filepath.Join(dir, "blksh", "undo", "*.undo"))
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// leaves ends the program at its prompt.
func (tty *terminal) leaves(t *testing.T, want string) {
	t.Helper()
	tty.expect(t, "> ")
	tty.press(t, "\x04")
	if status := tty.end(t); status != want {
		t.Errorf("the end: %s, want %s; shown: %q", status, want, tty.shown)
	}
}

func holds(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not as it should be: %v, %d bytes", path, err, len(got))
	}
}

// TestEdit changes bytes in both columns, takes some back, looks at what would be written and has
// it written; undo then puts the old bytes back.
func TestEdit(t *testing.T) {
	t.Parallel()
	dir, path, content := numbers(t)
	tty, screen := editor(t, dir, "edit 4k")
	tty.sees(t, screen, "00001000= 68 65 72 65 20 69 73 20  34 30 39 36 20 20 20 20  here is 4096")
	tty.press(t, "4142ff")
	tty.sees(t, screen, "41 42 ff")
	tty.press(t, "\x15\x15") // the third byte is as it was again
	tty.sees(t, screen, "41 42 72")
	tty.press(t, "\x12\x12\x15\x15") // redone, and undone
	tty.sees(t, screen, "2 changed")
	tty.press(t, "\tno")
	tty.sees(t, screen, "ABno is 4096")
	tty.press(t, "\x13")
	tty.sees(t, screen, "write 4 bytes in 1 range? Type yes and Enter, or Esc:")
	tty.sees(t, screen, "0x1000 (4096), 4 bytes")
	tty.sees(t, screen, "old 68 65 72 65")
	tty.sees(t, screen, "new 41 42 6e 6f")
	tty.press(t, "no\r")
	tty.sees(t, screen, "'yes' and Enter writes")
	holds(t, path, content)
	tty.press(t, "\x7f\x7fyes\r")
	tty.sees(t, screen, "wrote 4 bytes in 1 range")
	changed := bytes.Clone(content)
	copy(changed[4096:], "ABno")
	holds(t, path, changed)
	tty.press(t, "\x11", "wrote 4 bytes in 1 range; 'undo", "> ")

	kept := logs(t, dir)
	if len(kept) != 1 {
		t.Fatalf("logs: %q", kept)
	}
	if st, err := os.Stat(kept[0]); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the log: %v, %v", st, err)
	}
	tty.press(t, "undo '"+kept[0]+"'\r", "undone: 4 KiB")
	tty.leaves(t, "exit 0")
	holds(t, path, content)
}

// TestEditNothing leaves without writing: nothing is changed, and no log is left.
func TestEditNothing(t *testing.T) {
	t.Parallel()
	dir, path, content := numbers(t)
	tty, screen := editor(t, dir, "edit")
	tty.press(t, "\x13")
	tty.sees(t, screen, "nothing is changed")
	tty.press(t, "68") // what is there
	tty.press(t, "\x13")
	tty.sees(t, screen, "nothing is changed")
	tty.press(t, "ff\x11")
	tty.sees(t, screen, "2 bytes are not written")
	tty.press(t, "n\r\x13")
	tty.sees(t, screen, "Type yes")
	tty.press(t, "\x1b")
	tty.sees(t, screen, "nothing was written")
	tty.press(t, "\x11y\r", "2 changed bytes were not written")
	tty.leaves(t, "exit 0")
	holds(t, path, content)
	if kept := logs(t, dir); len(kept) > 0 {
		t.Errorf("logs: %q", kept)
	}
}

// TestEditMoves goes through the disk by each kind of step, and by search.
func TestEditMoves(t *testing.T) {
	t.Parallel()
	dir, _, _ := numbers(t)
	tty, screen := editor(t, dir, "view")
	for _, step := range []struct{ keys, at string }{
		{"\x1b[C\x1b[B", "0x11 (17) of 65536  sector 0+17"},
		{"\x1b[D\x1b[A", "0x0 (0)"},
		{"\x1b[6~", "0xa0 (160)"},
		{"\x1b[F", "0xaf (175)"},
		{"\x1b[H", "0xa0 (160)"},
		{"\x1b[5~", "0x0 (0)"},
		{"]]", "0x400 (1024) of 65536  sector 2+0"},
		{"[", "0x200 (512)"},
		{"\x1b[1;5F", "0xffff (65535)"},
		{"\x1b[1;5H", "0x0 (0)"},
		{"g4k\r", "0x1000 (4096)"},
		{"g+1k\r", "0x1400 (5120)"},
		{"\x07-0x400\r", "0x1000 (4096)"},
		{"gend-512\r", "0xfe00 (65024)"},
		{"g1M\r", "the disk ends at 65536"},
		{"gx\r", "not a number"},
		{"\x1b[1;5H/69 73 20 34 30 39 36\r", "0x1005 (4101)"},
		{"/\tis 40960\r", "0xa005 (40965)"},
		{"?\tis 1\r", "not found before"},
		{"\x1b[1;5H\x0e", "0x0 (0)"},
	} {
		if step.at == "not found before" {
			tty.press(t, "?\thas\r")
			tty.sees(t, screen, step.at)
			continue
		}
		tty.press(t, step.keys)
		tty.sees(t, screen, step.at)
	}
	tty.press(t, "/xyz\r")
	tty.sees(t, screen, "not hex")
	tty.press(t, "h")
	tty.sees(t, screen, "any key goes back")
	tty.press(t, " ")
	tty.sees(t, screen, "00000000= 68")
	tty.press(t, "x")
	tty.sees(t, screen, "view changes nothing")
	tty.press(t, "q")
	tty.leaves(t, "exit 0")
}

// TestEditReadOnly wants an image that was opened for reading to be shown and not changed.
func TestEditReadOnly(t *testing.T) {
	t.Parallel()
	dir, path, content := numbers(t)
	tty, screen := editor(t, dir, "edit", "-r")
	for _, key := range []string{"z", "\x13"} {
		tty.press(t, key)
		tty.sees(t, screen, "open for reading only")
		tty.press(t, "\x1b[C")
		tty.until(t, screen, "is without a message",
			func() bool { return !strings.Contains(screen.String(), "reading only") })
	}
	tty.press(t, "\x11")
	tty.leaves(t, "exit 0")
	holds(t, path, content)
}

// TestEditForeign changes the disk behind the editor's back: what was agreed to is not what is
// there, and nothing is written.
func TestEditForeign(t *testing.T) {
	t.Parallel()
	dir, path, content := numbers(t)
	tty, screen := editor(t, dir, "edit 600")
	tty.press(t, "00\x13")
	tty.sees(t, screen, "Type yes")
	content[600] ^= 0xff
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	tty.press(t, "yes\r")
	tty.sees(t, screen, "others changed these bytes meanwhile")
	holds(t, path, content)
	tty.press(t, "\x11y\r")
	tty.leaves(t, "exit 0")
}

// TestEditEnds ends the program amid the editor: the terminal is as it was found.
func TestEditEnds(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			dir, path, content := numbers(t)
			tty, screen := editor(t, dir, "edit")
			tty.press(t, "ff")
			tty.sees(t, screen, "1 changed")
			if tty.cooked(t) {
				t.Error("the editor gets whole lines")
			}
			if err := tty.cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			want := map[syscall.Signal]string{
				syscall.SIGTERM: "signal SIGTERM", syscall.SIGHUP: "signal SIGHUP",
				syscall.SIGQUIT: "signal SIGQUIT",
			}[s]
			tty.expect(t, "\x1b[?1049l")
			if status := tty.end(t); status != want {
				t.Errorf("%s, want %s", status, want)
			}
			if !tty.cooked(t) {
				t.Error("the terminal is not as it was found")
			}
			holds(t, path, content)
		})
	}
}

// TestEditInterrupted sends the signal of Ctrl-C from outside: it ends the command and not the
// shell.
func TestEditInterrupted(t *testing.T) {
	t.Parallel()
	dir, path, content := numbers(t)
	tty, screen := editor(t, dir, "edit")
	tty.press(t, "ff")
	tty.sees(t, screen, "1 changed")
	if err := tty.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	tty.expect(t, "\x1b[?1049l")
	tty.expect(t, "1 changed byte was not written")
	tty.leaves(t, "exit 0")
	holds(t, path, content)
}

// TestEditResized changes the size of the window, down to where nothing fits and back.
func TestEditResized(t *testing.T) {
	t.Parallel()
	dir, _, _ := numbers(t)
	tty, _ := editor(t, dir, "view 4k")
	for _, size := range []struct {
		rows, columns int
		want          string
	}{
		{24, 100, "00001070: 68 65 72 65 20 69 73 20  34 32 30 38 20 20 20 20  here is 4208"},
		{10, 50, "00001000= 68 65 72 65 20 69 73 20  here is"},
		{10, 30, "00001000= 68 65 72 65  here"},
		{2, 30, "too small"},
		{10, 10, "too small"},
		{12, 80, "00001000= 68 65 72 65 20 69 73 20  34 30 39 36 20 20 20 20  here is 4096"},
	} {
		screen := tty.sized(t, size.rows, size.columns)
		tty.sees(t, screen, size.want)
	}
	tty.press(t, "q")
	tty.leaves(t, "exit 0")
}

// TestEditTerminals shows the editor on terminals of other kinds and in other languages.
func TestEditTerminals(t *testing.T) {
	t.Parallel()
	for _, env := range [][]string{
		{"TERM=linux"},
		{"TERM=tmux-256color"},
		{"TERM=xterm-256color", "LANG=C"},
		{"TERM=vt100", "LC_ALL=C.UTF-8", "NO_COLOR=1"},
	} {
		t.Run(strings.Join(env, " "), func(t *testing.T) {
			t.Parallel()
			dir, _, _ := numbers(t)
			p := asBlksh
			p.env = append(append(p.env[:len(p.env):len(p.env)], "HOME="+dir), env...)
			tty := p.onTerminal(t, dir, "-r", "-f", "raw", "disk.img", "view", "512")
			screen := tty.sized(t, 10, 80)
			tty.sees(t, screen, "00000200= 68 65 72 65 20 69 73 20  35 31 32 20 20 20 20 20  here is 512")
			tty.press(t, "q")
			if status := tty.end(t); status != "exit 0" || !tty.cooked(t) {
				t.Errorf("%s; shown: %q", status, tty.shown)
			}
		})
	}
}

// TestEditWithoutScreen wants an error where there is no terminal, or none that can show it.
func TestEditWithoutScreen(t *testing.T) {
	t.Parallel()
	dir, _, _ := numbers(t)
	for _, command := range []string{"edit", "view"} {
		on(t, "-r", filepath.Join(dir, "disk.img"), command).wants(t, command, "exit 2", "",
			"needs a terminal")
	}
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], "TERM=dumb", "HOME="+dir)
	tty := p.onTerminal(t, dir, "-r", "-f", "raw", "disk.img", "view")
	tty.expect(t, "needs a terminal")
	if status := tty.end(t); status != "exit 2" {
		t.Error(status)
	}
}

// TestEditHuge looks at the end of 1 TiB of nothing, and searches all of it both ways.
func TestEditHuge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "disk.img")
	f, err := os.Create(path)
	if err == nil {
		err = f.Truncate(1 << 40)
	}
	if err == nil {
		_, err = f.WriteAt([]byte("needle"), 1<<39)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, screen := editor(t, dir, "edit end-1")
	tty.sees(t, screen, "0xffffffffff (1099511627775)")
	tty.press(t, "?\tneedle\r")
	tty.sees(t, screen, "0x8000000000 (549755813888)")
	tty.press(t, "\x1b[1;5H\x0e")
	tty.sees(t, screen, "0x8000000000 (549755813888)")
	tty.press(t, "\tN\x13yes\r")
	tty.sees(t, screen, "wrote 1 byte in 1 range")
	tty.press(t, "\x11")
	tty.leaves(t, "exit 0")
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil || st.Blocks > 1<<11 {
		t.Errorf("%d blocks, %v", st.Blocks, err)
	}
}

// TestEditRaggedEnd changes the last byte of a file that ends in the middle of a sector: it does
// not become longer, and undo puts it back.
func TestEditRaggedEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "disk.img")
	content := slices.Repeat([]byte("abcde"), 200)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	tty, screen := editor(t, dir, "edit --undo mine.undo")
	tty.press(t, "\x1b[1;5F\tX\x13yes\r")
	tty.sees(t, screen, "the old ones are in mine.undo")
	tty.press(t, "\x11", "> ")
	changed := bytes.Clone(content)
	changed[999] = 'X'
	holds(t, path, changed)
	tty.press(t, "undo mine.undo\r", "undone")
	tty.leaves(t, "exit 0")
	holds(t, path, content)
}
