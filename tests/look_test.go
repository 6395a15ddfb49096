package tests

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// onScreen is what the program shows on a terminal of so many columns.
func onScreen(t *testing.T, width uint16, env []string, args ...string) string {
	t.Helper()
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], env...)
	p.env = append(p.env, fmt.Sprintf("XDG_STATE_HOME=%s", t.TempDir()))
	tty := p.onScreen(t, &unix.Winsize{Row: 24, Col: width}, workDir(t, "raw.img"), args...)
	tty.end(t)
	return tty.shown
}

// TestColour: words are painted on terminals that can show it, unless somebody does not want it,
// and elsewhere only if somebody wants it.
func TestColour(t *testing.T) {
	t.Parallel()
	const escape = "\x1b["
	commands := []string{
		"-f", "raw", "raw.img", "-c", "map", "-c", "read -P 1 0 512", "-c",
		"nosuch",
	}
	for _, c := range []struct {
		option, env string
		painted     bool
	}{
		{"--color=auto", "TERM=xterm", true},
		{"--color=auto", "TERM=dumb", false},
		{"--color=auto", "NO_COLOR=1", false},
		{"--color=always", "NO_COLOR=1", true},
		{"--color=never", "TERM=xterm", false},
		{"--json", "TERM=xterm", false},
	} {
		env := []string{"TERM=xterm", c.env}
		shown := onScreen(t, 80, env, append([]string{c.option, "--keep-going"}, commands...)...)
		if strings.Contains(shown, escape) != c.painted {
			t.Errorf("%s, %s: %q", c.option, c.env, shown)
		}
		if c.painted && !strings.Contains(shown, escape+"1;31mblksh:"+escape+"m ") {
			t.Errorf("%s, %s: no painted error in %q", c.option, c.env, shown)
		}
	}
	for option, painted := range map[string]bool{"--color=auto": false, "--color=always": true} {
		args := append([]string{option, "--keep-going"}, commands...)
		a, err := asBlksh.run(run{dir: workDir(t, "raw.img"), args: args})
		if err != nil || strings.Contains(a.stdout, escape) != painted ||
			strings.Contains(a.stderr, escape) != painted {
			t.Errorf("%s into a pipe: %q, %q, %v", option, a.stdout, a.stderr, err)
		}
	}
}

// TestScreens: what is drawn is as wide as the window, and of ASCII where there is no more.
func TestScreens(t *testing.T) {
	t.Parallel()
	for _, locale := range []string{"C", "C.UTF-8", "en_US.ISO-8859-1"} {
		for _, width := range []uint16{60, 80, 200} {
			shown := onScreen(t, width, []string{"TERM=xterm", "LC_ALL=" + locale},
				"--color=never", "-f", "raw", "raw.img", "-c", "map --draw", "-c", "map")
			widest := 0
			for line := range strings.Lines(shown) {
				widest = max(widest, utf8.RuneCountInString(strings.TrimRight(line, "\r\n")))
			}
			if widest > max(int(width), 75) || int(width)-widest > 32 {
				t.Errorf("%d of %d columns: %s", widest, width, shown)
			}
			if utf8.RuneCountInString(shown) < len(shown) != (locale == "C.UTF-8") {
				t.Errorf("in %s: %s", locale, shown)
			}
		}
	}
}

// TestPromptColour: the prompt is painted as everything else is, and questions are.
func TestPromptColour(t *testing.T) {
	t.Parallel()
	const painted = "\x1b[1;36mmem rw> \x1b[m"
	for _, c := range []struct {
		option, env string
		painted     bool
	}{
		{"--color=auto", "TERM=xterm", true},
		{"--color=auto", "NO_COLOR=1", false},
		{"--color=always", "NO_COLOR=1", true},
		{"--color=never", "TERM=xterm", false},
	} {
		p := asBlksh
		p.env = append(p.env[:len(p.env):len(p.env)], "TERM=xterm", c.env,
			"XDG_STATE_HOME="+t.TempDir())
		tty := p.onTerminal(t, t.TempDir(), c.option, "mem:1M")
		tty.expect(t, "mem rw> ")
		tty.press(t, "\x12len\x07") // a search has a prompt of its own
		tty.expect(t, "'len': ")
		tty.leavesBy(t, "quit\r")
		if got := strings.Contains(tty.shown, painted); got != c.painted {
			t.Errorf("%s, %s: painted is %v: %q", c.option, c.env, got, tty.shown)
		}
	}
}
