package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/dialect"
	"github.com/blksh/blksh/commands/event"
)

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  settings
		wrong []string // what each complaint has
	}{
		{"", settings{}, nil},
		{"# nothing\n\n   \n", settings{}, nil},
		{
			"style = xxd\ncolour=never # ever\n confirm = off\r\npager=off\ndialect = qemu-7.2",
			settings{event.StyleXXD, colour.Never, "qemu-7.2", true, true},
			nil,
		},
		{"color = always\nconfirm = on\n", settings{colour: colour.Always}, nil},
		{
			"style = nonsense\nstyle\nwrite 0 512\ncolour = never\n",
			settings{colour: colour.Never},
			[]string{`rc:1: style takes qemu, xxd`, `rc:2: style takes`, `rc:3: there is no setting "write 0 512", only colour`},
		},
		{"style = xxd\n" + strings.Repeat("#", mostSettings), settings{}, []string{"no file of settings"}},
	} {
		path := filepath.Join(t.TempDir(), "rc")
		if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		got, wrong := readSettings(path)
		if got != c.want || len(wrong) != len(c.wrong) {
			t.Errorf("%q: %+v, %v; want %+v, %q", c.text, got, wrong, c.want, c.wrong)
			continue
		}
		for i, w := range c.wrong {
			if !strings.Contains(wrong[i].Error(), w) {
				t.Errorf("%q: %v, want %s", c.text, wrong[i], w)
			}
		}
	}
}

// TestSettingsElsewhere reads what is no file: it does not wait, and says so.
func TestSettingsElsewhere(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	for path, wants := range map[string]int{
		"": 0, filepath.Join(dir, "missing"): 0, pipe: 1, dir: 1,
	} {
		if got, wrong := readSettings(path); got != (settings{}) || len(wrong) != wants {
			t.Errorf("%q: %+v, %v", path, got, wrong)
		}
	}
}

func TestSettingsPath(t *testing.T) {
	for _, c := range []struct{ home, config, want string }{
		{"/home/sam", "", "/home/sam/.config/blksh/rc"},
		{"/home/sam", "/etc/x", "/etc/x/blksh/rc"},
		{"/home/sam", "x", "/home/sam/.config/blksh/rc"},
		{"", "", ""},
	} {
		env := map[string]string{"HOME": c.home, "XDG_CONFIG_HOME": c.config}
		if got := settingsPath(func(name string) string { return env[name] }); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestSettingsAreForPrompts(t *testing.T) {
	for words, want := range map[string]bool{
		"": true, "disk": true, "-r disk": true, "-c help": false, "disk help": false,
		"--script x": false, "--json disk": false, "-V": false, "--completion zsh": false,
	} {
		p := &program{name: "blksh"}
		if got := p.preview(strings.Fields(words)).prompts; got != want {
			t.Errorf("%q: %v", words, got)
		}
	}
}

// FuzzSettings reads any file: what is wrong is told of lines that are there, and settings only
// take what they may be.
func FuzzSettings(f *testing.F) {
	f.Add("style = xxd\ncolor=never # ever\n confirm = off\r\npager=off\ndialect = qemu-7.2")
	f.Add("style\x00=\n=\n#\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "rc")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, wrong := readSettings(path)
		if lines := strings.Count(text, "\n") + 1; len(wrong) > lines {
			t.Errorf("%d complaints about %d lines", len(wrong), lines)
		}
		if s.dialect != "" && !slices.Contains(dialect.Names(), s.dialect) {
			t.Errorf("the dialect is %q", s.dialect)
		}
	})
}
