package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// A script is one golden file: a family of cases that one version of qemu-io
// answered. It is a txtar archive. The text above the first entry tells the
// story and has the line "recorded: qemu-io VERSION". A case is an entry that
// carries its id:
//
//	-- E43 --
//	a label for people
//	$ qemu-io -f raw -c "read 512 512" odd.img
//	images: odd.img                the fixtures to be copied first
//	stdin: "length\n"              what it reads there; default: end of file
//	keys: "len\t" "\r"             it runs on a terminal where these are typed
//	hold: -f raw raw.img           meanwhile another one has this open
//	before: -c "write 0 1" raw.img another one ran before
//	merged                         stdout and stderr are one pipe
//	exit 0                         or: signal SIGABRT, or: hangs
//	after: raw.img: 512 bytes, sha256 0123456789abcdef
//
// Words are separated by blanks; one that holds a blank is a Go string literal.
// What the case printed follows in the entries "E43 stdout" and "E43 stderr";
// without them it printed nothing. Of a case with keys only the end is
// compared: the bytes are those of the line editor.
type script struct {
	path     string
	recorded string // the version, without "qemu-io "
	archive  *txtar.Archive
	cases    []*goldenCase
}

// A goldenCase is one case of a script, and the answer that was recorded.
type goldenCase struct {
	id, label    string
	args         []string
	images       []string
	stdin        string
	keys         []string
	hold, before []string
	merged       bool
	want         answer
}

// noNewline stands, as a line of its own, after text that did not end in one.
const noNewline = "%% no newline at end\n"

// readScripts reads the scripts of a dialect.
func readScripts(t *testing.T, dialect string) []*script {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dialect, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden scripts of dialect %s: %v", dialect, err)
	}
	var scripts []*script
	ids := map[string]string{}
	for _, path := range paths {
		s, err := readScript(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.cases {
			if other, ok := ids[c.id]; ok {
				t.Fatalf("%s: case %s is also in %s", path, c.id, other)
			}
			ids[c.id] = path
		}
		scripts = append(scripts, s)
	}
	return scripts
}

func readScript(path string) (*script, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &script{path: path, archive: txtar.Parse(b)}
	_, rest, _ := strings.Cut(string(s.archive.Comment), "recorded: qemu-io ")
	s.recorded, _, _ = strings.Cut(rest, "\n")
	if s.recorded == "" {
		return nil, fmt.Errorf("%s: no line \"recorded: qemu-io VERSION\"", path)
	}
	for _, f := range s.archive.Files {
		id, stream, isStream := strings.Cut(f.Name, " ")
		if !isStream {
			c, err := parseCase(id, string(f.Data))
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", path, id, err)
			}
			s.cases = append(s.cases, c)
			continue
		}
		if len(s.cases) == 0 || s.cases[len(s.cases)-1].id != id {
			return nil, fmt.Errorf("%s: %q does not follow its case", path, f.Name)
		}
		want := &s.cases[len(s.cases)-1].want
		switch stream {
		case "stdout":
			want.stdout = string(f.Data)
		case "stderr":
			want.stderr = string(f.Data)
		default:
			return nil, fmt.Errorf("%s: unknown stream in %q", path, f.Name)
		}
	}
	return s, nil
}

// parseCase reads the entry of a case.
func parseCase(id, text string) (*goldenCase, error) {
	c := &goldenCase{id: id}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) < 3 {
		return nil, fmt.Errorf("too short")
	}
	c.label = lines[0]
	for _, line := range lines[1:] {
		if err := c.parseLine(line); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	if c.want.status == "" {
		return nil, fmt.Errorf("does not say how it ends")
	}
	return c, nil
}

func (c *goldenCase) parseLine(line string) error {
	key, rest, _ := strings.Cut(line, " ")
	words, err := splitWords(rest)
	if err != nil && key != "after:" {
		return err
	}
	switch key {
	case "$":
		if words[0] != "qemu-io" && words[0] != "blksh" {
			return fmt.Errorf("not a command line of ours")
		}
		c.args = words[1:]
	case "images:":
		c.images = words
	case "stdin:":
		c.stdin = strings.Join(words, "")
	case "keys:":
		c.keys = words
	case "hold:":
		c.hold = words
	case "before:":
		c.before = words
	case "merged":
		c.merged = true
	case "exit", "signal", hangs:
		c.want.status = line
	case "after:":
		c.want.after = append(c.want.after, rest)
	default:
		return fmt.Errorf("unknown line")
	}
	return nil
}

// splitWords splits a line at blanks. A word that begins with a quote is a Go
// string literal.
func splitWords(s string) ([]string, error) {
	var words []string
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		if s[0] != '"' && s[0] != '`' {
			word, rest, _ := strings.Cut(s, " ")
			words, s = append(words, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, err
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		words, s = append(words, word), s[len(quoted):]
	}
	return words, nil
}

// answersHelp reports whether the case asks for the extended help of a
// command. Its bodies are our own: only lines that do not begin with a blank,
// the synopses, are the interface.
func (c *goldenCase) answersHelp() bool {
	commands := strings.Split(c.stdin, "\n")
	for i, a := range c.args {
		if i > 0 && c.args[i-1] == "-c" {
			commands = append(commands, a)
		}
	}
	return slices.ContainsFunc(commands, func(line string) bool {
		words := strings.Fields(line)
		return len(words) > 1 && (words[0] == "help" || words[0] == "?")
	})
}

// setAnswer makes got the recorded answer of the case, in the archive too.
func (s *script) setAnswer(c *goldenCase, got answer) {
	c.want = got
	var files []txtar.File
	for _, f := range s.archive.Files {
		switch f.Name {
		case c.id:
			f.Data = []byte(headOf(string(f.Data)) + got.status + "\n" + afterLines(got.after))
			files = append(files, f)
			for _, out := range []struct{ stream, text string }{
				{"stdout", got.stdout},
				{"stderr", got.stderr},
			} {
				if out.text != "" {
					files = append(files,
						txtar.File{Name: c.id + " " + out.stream, Data: []byte(out.text)})
				}
			}
		case c.id + " stdout", c.id + " stderr":
		default:
			files = append(files, f)
		}
	}
	s.archive.Files = files
}

// headOf is the part of a case's entry that says what is run.
func headOf(text string) string {
	var head strings.Builder
	for line := range strings.Lines(text) {
		switch word, _, _ := strings.Cut(strings.TrimRight(line, "\n"), " "); word {
		case "exit", "signal", hangs, "after:":
		default:
			head.WriteString(line)
		}
	}
	return head.String()
}

func afterLines(after []string) string {
	var b strings.Builder
	for _, a := range after {
		b.WriteString("after: " + a + "\n")
	}
	return b.String()
}

// write puts the script back into its file.
func (s *script) write() error {
	return os.WriteFile(s.path, txtar.Format(s.archive), 0o666)
}
