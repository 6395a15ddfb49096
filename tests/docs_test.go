package tests

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/tests/manual"
)

var updateFlag = flag.Bool("update", false, "write the documentation that is computed")

// completionFiles are where the completions of each shell are.
var completionFiles = map[string]string{
	"bash": "../cmd/blksh/completions/blksh.bash",
	"fish": "../cmd/blksh/completions/blksh.fish",
	"zsh":  "../cmd/blksh/completions/_blksh",
}

const (
	pageFile     = "../cmd/blksh/blksh.1"
	licensesFile = "../cmd/blksh/licenses.txt"
	readmeFile   = "../README.md"
	pagesFolder  = "../cmd/blksh/pages/"
)

// fresh holds a file against what it should be, or writes it.
func fresh(t *testing.T, path string, want []byte) {
	t.Helper()
	if *updateFlag {
		if err := os.WriteFile(path, want, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale, at line %d; go test ./tests -run Docs -update writes it", path,
			firstDifference(got, want))
	}
}

// firstDifference is the number of the first line that differs.
func firstDifference(a, b []byte) int {
	linesA, linesB := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(linesA), len(linesB)) {
		if !bytes.Equal(linesA[i], linesB[i]) {
			return i + 1
		}
	}
	return min(len(linesA), len(linesB))
}

// insideOf is what stands between two marks of a text.
func insideOf(text, name string) (string, error) {
	_, rest, ok := strings.Cut(text, "<!-- "+name+":begin -->\n")
	inside, _, closed := strings.Cut(rest, "<!-- "+name+":end -->\n")
	if !ok || !closed {
		return "", fmt.Errorf("no marks of %s", name)
	}
	return inside, nil
}

// between replaces what stands between two marks of a text.
func between(text, name, inside string) (string, error) {
	begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->\n"
	head, rest, ok := strings.Cut(text, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("no marks %s and %s", strings.TrimSpace(begin),
			strings.TrimSpace(end))
	}
	return head + begin + inside + end + tail, nil
}

// freshTable holds the table that stands between two marks of a page against what it should be.
func freshTable(t *testing.T, path, name, table string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := between(string(text), name, "\n"+table+"\n")
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	fresh(t, path, []byte(want))
}

// TestDocs holds the documentation that is computed against what it is computed from.
func TestDocs(t *testing.T) {
	m, err := manual.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("page", func(t *testing.T) { fresh(t, pageFile, m.Page()) })
	t.Run("completions", func(t *testing.T) {
		for shell, script := range m.Completions() {
			fresh(t, completionFiles[shell], script)
		}
	})
	t.Run("tables", func(t *testing.T) {
		freshTable(t, pagesFolder+"commands.md", "commands", m.Reference())
		freshTable(t, pagesFolder+"formats.md", "drivers", m.DriverTable())
	})
	t.Run("licenses", func(t *testing.T) {
		notices, err := notices()
		if err != nil {
			t.Fatal(err)
		}
		fresh(t, licensesFile, notices)
	})
}

// TestLicenses wants every module that is linked to be named, and the licence of Go.
func TestLicenses(t *testing.T) {
	t.Parallel()
	got, err := asBlksh.run(run{dir: t.TempDir(), args: []string{"--licenses"}})
	if err != nil || got.status != "exit 0" {
		t.Fatal(got, err)
	}
	modules, err := linked()
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) == 0 {
		t.Fatal("nothing is linked")
	}
	for _, m := range modules {
		if !strings.Contains(got.stdout, "\n"+m.name()+"\n") {
			t.Errorf("%s is not named", m.name())
		}
	}
	if !strings.Contains(got.stdout, "The Go Authors") {
		t.Error("the licence of Go is missing")
	}
}

// A linkedModule is a module with those of its folders that are linked.
type linkedModule struct {
	path, version, dir string
	folders            []string
}

func (m linkedModule) name() string { return m.path + " " + m.version }

// linked lists the modules that the program is made of, ours left out.
func linked() ([]linkedModule, error) {
	const format = "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}"
	cmd := exec.Command("go", "list", "-deps", "-f", format, "../cmd/blksh")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var modules []linkedModule
	at := map[string]int{}
	for line := range strings.Lines(string(out)) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(words) != 4 {
			continue
		}
		i, known := at[words[0]]
		if !known {
			i = len(modules)
			at[words[0]] = i
			modules = append(modules,
				linkedModule{path: words[0], version: words[1], dir: words[2]})
		}
		modules[i].folders = append(modules[i].folders, words[3])
	}
	return modules, nil
}

// notices collects the licences of everything that is linked.
func notices() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(
		"blksh is licensed under the Apache License, Version 2.0.\nIt contains the following, under the licences given.\n")
	modules, err := linked()
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		var texts []string
		for _, folder := range m.withLicenses() {
			found, err := licensesIn(folder)
			if err != nil {
				return nil, err
			}
			texts = append(texts, found...)
		}
		if len(texts) == 0 {
			return nil, fmt.Errorf("%s has no licence", m.name())
		}
		notice(&b, m.name(), texts)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	texts, err := licensesIn(strings.TrimSpace(string(root)))
	if err != nil || len(texts) == 0 {
		return nil, fmt.Errorf("the licence of Go: %d found, %w", len(texts), err)
	}
	notice(&b, "the standard library of Go", texts)
	return b.Bytes(), nil
}

// withLicenses are the folders whose licences count: the module's, and those of its folders that
// are linked.
func (m linkedModule) withLicenses() []string {
	folders := []string{m.dir}
	for _, f := range m.folders {
		if f != m.dir {
			folders = append(folders, f)
		}
	}
	return folders
}

// licensesIn are the texts of the licences that lie in a folder.
func licensesIn(folder string) ([]string, error) {
	var texts []string
	for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*", "NOTICE*", "PATENTS*"} {
		paths, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			texts = append(texts, string(text))
		}
	}
	return texts, nil
}

func notice(b *bytes.Buffer, name string, texts []string) {
	fmt.Fprintf(b, "\n%s\n%s\n", strings.Repeat("-", 72), name)
	for _, text := range texts {
		fmt.Fprintf(b, "\n%s\n", strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")))
	}
}

// TestManualPage has mandoc look for mistakes.
func TestManualPage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mandoc"); err != nil {
		without(t, "mandoc")
	}
	out, err := exec.Command("mandoc", "-T", "lint", "-W", "style", pageFile).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
