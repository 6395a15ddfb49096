package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	phrase    = "open sesame 4711"
	newPhrase = "another one 0815"
)

// encrypted makes sealed.luks in a new directory, of 1 MiB, which phrase opens.
func encrypted(t *testing.T) (dir string) {
	t.Helper()
	dir = workDir(t)
	a, err := asBlksh.run(run{dir: dir, args: []string{
		"--object", "secret,id=s,data=" + phrase, "-c",
		"create -f luks -o key-secret=s,iter-time=1 sealed.luks 1M",
	}})
	if err != nil || a.status != "exit 0" {
		t.Fatalf("%+v, %v", a, err)
	}
	return dir
}

// asked starts the program on a terminal with sealed.luks to be opened, and waits until it asks for
// the passphrase. Its history is in dir.
func asked(t *testing.T, dir string, args ...string) *terminal {
	t.Helper()
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], "TERM=xterm", "XDG_STATE_HOME="+dir)
	tty := p.onTerminal(t, dir, append([]string{"sealed.luks"}, args...)...)
	tty.expect(t, "Passphrase for 'sealed.luks': ")
	return tty
}

// echoes says whether the terminal shows what is typed. It can be asked after the program has left,
// while the test holds the other side.
func (tty *terminal) echoes(t *testing.T) bool {
	t.Helper()
	raw, err := tty.keyboard.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var now *unix.Termios
	var failed error
	err = raw.Control(func(fd uintptr) {
		now, failed = unix.IoctlGetTermios(int(fd), unix.TCGETS)
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return now.Lflag&unix.ECHO != 0
}

// kept wants no secret in what was shown, nor in any file of dir but the image.
func (tty *terminal) kept(t *testing.T, dir string) {
	t.Helper()
	texts := map[string]string{"the terminal": tty.shown}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		texts[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range texts {
		for _, secret := range []string{phrase, newPhrase} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %q", where, secret)
			}
		}
	}
}

// TestPassphraseAtTerminal types one wrong and then right, and adds another.
func TestPassphraseAtTerminal(t *testing.T) {
	t.Parallel()
	dir := encrypted(t)
	tty := asked(t, dir)
	if tty.echoes(t) {
		t.Error("what is typed is shown")
	}
	tty.press(t, newPhrase+"\r", "not right. Passphrase for 'sealed.luks': ")
	tty.press(t, phrase+"\r", "sealed.luks rw> ")
	tty.press(t, "luks add -t 1\r", "New passphrase for 'sealed.luks': ")
	tty.press(t, newPhrase+"\r", "The same again: ")
	tty.press(t, phrase+"\r", "not the same", "sealed.luks rw> ")
	tty.press(t, "luks add -t 1\r", "New passphrase for 'sealed.luks': ")
	tty.press(t, newPhrase+"\r", "The same again: ")
	tty.press(t, newPhrase+"\r", "added a passphrase in slot 1", "sealed.luks rw> ")
	tty.press(t, "luks add -t 1\r", "New passphrase for 'sealed.luks': ")
	tty.press(t, "\x03", "interrupted", "sealed.luks rw> ")
	tty.leave(t, "exit 0") // whoever stops a command has not failed
	if !tty.echoes(t) {
		t.Error("the terminal shows nothing any more")
	}
	tty.kept(t, dir)

	tty = asked(t, dir, "read", "0", "1M")
	tty.press(t, newPhrase+"\r")
	if status := tty.end(t); status != "exit 0" || !strings.Contains(tty.shown, "1 MiB") {
		t.Errorf("opened by the new one: %s; shown: %q", status, tty.shown)
	}
	tty.kept(t, dir)
}

// TestPassphraseRefused: after three that are wrong, a Ctrl-C, another signal or the end of input
// the program ends, and the terminal shows what is typed.
func TestPassphraseRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   []string
		keys   []string // each but the last is answered by another prompt
		status string
	}{
		"wrong":              {[]string{"read", "0", "1M"}, []string{"x\r", "y\r", "z\r"}, "exit 3"},
		"Ctrl-C":             {[]string{"read", "0", "1M"}, []string{phrase + "\x03"}, "exit 130"},
		"Ctrl-C at a prompt": {nil, []string{phrase + "\x03"}, "exit 130"},
		"Ctrl-\\":            {nil, []string{phrase + "\x1c"}, "signal SIGQUIT"},
		"Ctrl-D":             {nil, []string{"\x04"}, "exit 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := encrypted(t)
			tty := asked(t, dir, c.args...)
			for i, keys := range c.keys {
				if i > 0 {
					tty.expect(t, "Passphrase for ")
				}
				tty.press(t, keys)
			}
			if status := tty.end(t); status != c.status {
				t.Errorf("%s, want %s; shown: %q", status, c.status, tty.shown)
			}
			if !tty.echoes(t) {
				t.Error("the terminal shows nothing any more")
			}
			tty.kept(t, dir)
		})
	}
}
