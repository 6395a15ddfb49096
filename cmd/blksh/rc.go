package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/blksh/blksh/commands"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/dialect"
	"github.com/blksh/blksh/commands/event"
)

// settings is what a person wants at every prompt. The zero value is the usual.
type settings struct {
	style     event.DumpStyle
	colour    colour.When
	dialect   string
	noConfirm bool
	noPager   bool
}

// setting is a line of the file of settings.
type setting struct {
	name  string
	words []string // what it may be
	set   func(word string)
}

// all are the settings, sorted by name.
func (s *settings) all() []setting {
	onOff := []string{"on", "off"}
	return []setting{
		{"colour", colour.Choices(), func(word string) { s.colour = colour.When(word) }},
		{"confirm", onOff, func(word string) { s.noConfirm = word == "off" }},
		{"dialect", dialect.Names(), func(word string) { s.dialect = word }},
		{"pager", onOff, func(word string) { s.noPager = word == "off" }},
		{"style", commands.DumpStyles(), func(word string) { s.style = event.DumpStyle(word) }},
	}
}

// settingsPath is where the file of settings belongs: blksh/rc in XDG_CONFIG_HOME, or in .config of
// the home directory. It is "" without these.
func settingsPath(getenv func(string) string) string {
	config := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) { // the XDG specification ignores relative ones
		home := getenv("HOME")
		if home == "" {
			return ""
		}
		config = filepath.Join(home, ".config")
	}
	return filepath.Join(config, "blksh", "rc")
}

// mostSettings is how long the file may be, in bytes.
const mostSettings = 64 << 10

// readSettings reads the file of settings, if there is one. What is wrong in it is told by line,
// and the rest holds.
func readSettings(path string) (s settings, wrong []error) {
	if path == "" {
		return s, nil
	}
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil && (!st.Mode().IsRegular() || st.Size() > mostSettings) { // a pipe would wait
		err = fmt.Errorf("%s is no file of settings", path)
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		return s, []error{err}
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, mostSettings))
	for number := 1; lines.Scan(); number++ {
		if err := s.take(lines.Text()); err != nil {
			wrong = append(wrong, fmt.Errorf("%s:%d: %w", path, number, err))
		}
	}
	if err := lines.Err(); err != nil {
		wrong = append(wrong, fmt.Errorf("%s: %w", path, err))
	}
	return s, wrong
}

// take reads a line: "name = word", a comment, or nothing.
func (s *settings) take(line string) error {
	line, _, _ = strings.Cut(line, "#")
	if line = strings.TrimSpace(line); line == "" {
		return nil
	}
	name, word, ok := strings.Cut(line, "=")
	name, word = strings.TrimSpace(name), strings.TrimSpace(word)
	if name == "color" {
		name = "colour"
	}
	var names []string
	for _, each := range s.all() {
		names = append(names, each.name)
		if each.name != name {
			continue
		}
		for _, allowed := range each.words {
			if ok && word == allowed {
				each.set(word)
				return nil
			}
		}
		return fmt.Errorf("%s takes %s, as in \"%s = %s\", not %q", name,
			args.Alternatives(each.words), name, each.words[0], word)
	}
	return fmt.Errorf("there is no setting %q, only %s", name, args.Listed(names, "and"))
}

// loadSettings reads the settings of a person at a prompt of the shell's own dialect.
func (p *program) loadSettings(early first, terminal bool) {
	native, _ := dialect.Find(nativeName)
	asNative := &program{dialect: native}
	if early.prompts && terminal && !early.noSettings && !asNative.standsAlone(early.operand) {
		p.settings, p.wrongSettings = readSettings(settingsPath(os.Getenv))
	}
}
