package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
)

// A nativeCase is a case of the shell's own dialect. It is written as those of
// other dialects (see script), with a command line of blksh, and is run twice:
// as it stands, and with --json, which "ID json" answers. Files that it needs
// are entries called "ID file NAME". -update writes the answers anew.
type nativeCase struct {
	*goldenCase
	files map[string]string
	json  string
}

// TestNative compares the program in its own dialect with what it said before.
func TestNative(t *testing.T) {
	paths, err := filepath.Glob("testdata/native/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no native scripts: %v", err)
	}
	parallel(t)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			parallel(t)
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range nativeCases(t, archive) {
				t.Run(c.id, func(t *testing.T) {
					parallel(t)
					c.check(t, archive)
				})
			}
			if *updateFlag {
				if err := os.WriteFile(path, txtar.Format(archive), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// parallel lets a test run beside others, unless the answers are written anew, in their order.
func parallel(t *testing.T) {
	if !*updateFlag {
		t.Parallel()
	}
}

func nativeCases(t *testing.T, archive *txtar.Archive) []*nativeCase {
	t.Helper()
	var cases []*nativeCase
	for _, f := range archive.Files {
		id, what, isPart := strings.Cut(f.Name, " ")
		if !isPart {
			c, err := parseCase(id, string(f.Data)+"exit\n")
			if err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			cases = append(cases, &nativeCase{goldenCase: c, files: map[string]string{}})
			continue
		}
		if len(cases) == 0 || cases[len(cases)-1].id != id {
			t.Fatalf("%q does not follow its case", f.Name)
		}
		c := cases[len(cases)-1]
		switch name, isFile := strings.CutPrefix(what, "file "); {
		case isFile:
			c.files[name] = string(f.Data)
		case what == "stdout":
			c.want.stdout = string(f.Data)
		case what == "stderr":
			c.want.stderr = string(f.Data)
		case what == "json":
			c.json = string(f.Data)
		default:
			t.Fatalf("unknown part %q", f.Name)
		}
	}
	for _, c := range cases {
		c.want.status = statusLine(archive, c.id)
	}
	return cases
}

// statusLine is the line of a case that says how it ends, "" if there is none yet.
func statusLine(archive *txtar.Archive, id string) string {
	for _, f := range archive.Files {
		for line := range strings.Lines(string(f.Data)) {
			if f.Name == id && strings.HasPrefix(line, "exit ") {
				return strings.TrimSuffix(line, "\n")
			}
		}
	}
	return ""
}

// check runs the case as text and as JSON.
func (c *nativeCase) check(t *testing.T, archive *txtar.Archive) {
	text := c.run(t, c.args...)
	objects := c.run(t, append([]string{"--json"}, c.args...)...)
	c.validate(t, objects)
	if *updateFlag {
		c.update(archive, text, objects.stdout)
		return
	}
	if diff := c.want.diff(text); diff != "" {
		t.Errorf("%s\n$ blksh %q <<< %q\n%s", c.label, c.args, c.stdin, diff)
	}
	want := answer{status: c.want.status, stdout: c.json}
	if diff := want.diff(objects); diff != "" {
		t.Errorf("%s\n$ blksh --json %q <<< %q\n%s", c.label, c.args, c.stdin, diff)
	}
}

func (c *nativeCase) run(t *testing.T, args ...string) answer {
	t.Helper()
	dir := workDir(t, c.images...)
	for name, text := range c.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if c.before != nil {
		if a, err := asBlksh.run(run{dir: dir, args: c.before}); err != nil ||
			a.status != "exit 0" {
			t.Fatalf("%q: %v, %v", c.before, a, err)
		}
	}
	if c.hold != nil {
		release, err := asQemuIO.hold(dir, c.hold)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	a, err := asBlksh.run(run{dir: dir, args: args, stdin: c.stdin})
	if err != nil {
		t.Fatal(err)
	}
	a.stdout, a.stderr = nativeFilter(a.stdout), nativeFilter(a.stderr)
	return a
}

// aTime is how units.Time writes one.
const aTime = `[0-9.]+(?:ns|us|ms|s|m[0-9]+s)`

// What no two runs share, besides what a filter takes out.
var changing = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`"elapsed_ns":\d+`), `"elapsed_ns":0`},
	{regexp.MustCompile(`( in )` + aTime + `, [0-9.]+ [KMGT]?i?B/s`), `${1}<TIME>, <RATE>/s`},
	{regexp.MustCompile(`(?m)( of [\w.]+, for )` + aTime + `$`), `${1}<TIME>`},
	{regexp.MustCompile(`(?m)^([0-9.]+ \w+ in )` + aTime + `($|;)`), `${1}<TIME>$2`},
	{regexp.MustCompile(`(?m)^(.{14} (?:write |verify)) +\d.*$`), `${1} <FIGURES>`},
	{regexp.MustCompile(`("(?:iops|bytes_per_second)":)\d+`), `${1}0`},
	{regexp.MustCompile(`"latency_ns":\{[^}]*\},"percentiles":\[[^]]*\],"histogram":\[[^]]*\]`), `"latency_ns":{},"percentiles":[],"histogram":[]`},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), `2026-01-01 00:00:00`},
	{regexp.MustCompile(`"date_(n?sec)":\d+`), `"date_$1":0`},
	{regexp.MustCompile(`"disk_size":\d+`), `"disk_size":0`},
	{regexp.MustCompile(`"pid":\d+`), `"pid":1`},
	{regexp.MustCompile(`\(pid \d+\)`), `(pid 1)`},
	{regexp.MustCompile(`go1\.[\w.-]+`), `go1`},
	{regexp.MustCompile(`,"revision":"\w+"|, revision \w+`), ``},
	{regexp.MustCompile(`"arch":"\w+"`), `"arch":"amd64"`},
}

func nativeFilter(s string) string {
	for _, c := range changing {
		s = c.what.ReplaceAllString(s, c.with)
	}
	return filter{}.text(s)
}

// validate holds the output of --json against the schema.
func (c *nativeCase) validate(t *testing.T, a answer) {
	t.Helper()
	if a.stderr != "" {
		t.Errorf("--json: stderr has %q", a.stderr)
	}
	checkObjects(t, a)
}

// checkObjects wants nothing but valid objects on stdout, of which the last one has the exit
// status.
func checkObjects(t *testing.T, a answer) {
	t.Helper()
	lines := bytes.Split([]byte(strings.TrimSuffix(a.stdout, "\n")), []byte("\n"))
	for _, line := range lines {
		if err := print.Validate(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	var last struct {
		Kind           string
		Status, Schema int
	}
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprintf("exit %d", last.Status); last.Kind != "exit" || got != a.status ||
		last.Schema != event.SchemaVersion {
		t.Errorf("the last object is %s, the program's %s", lines[len(lines)-1], a.status)
	}
}

// update makes the answers those of the case.
func (c *nativeCase) update(archive *txtar.Archive, text answer, objects string) {
	var files []txtar.File
	for _, f := range archive.Files {
		switch f.Name {
		case c.id + " stdout", c.id + " stderr", c.id + " json":
			continue
		case c.id:
			f.Data = []byte(headOf(string(f.Data)) + text.status + "\n")
		}
		files = append(files, f)
		if last := c.lastPart(archive); f.Name != last {
			continue
		}
		for _, part := range []struct{ name, text string }{
			{"stdout", text.stdout},
			{"stderr", text.stderr},
			{"json", objects},
		} {
			if part.text != "" {
				files = append(files,
					txtar.File{Name: c.id + " " + part.name, Data: []byte(part.text)})
			}
		}
	}
	archive.Files = files
}

// lastPart is the entry behind which the answers belong.
func (c *nativeCase) lastPart(archive *txtar.Archive) string {
	last := c.id
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, c.id+" file ") {
			last = f.Name
		}
	}
	return last
}
