package tests

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// A stepScript is a dialogue with several requests in flight, of which step
// mode promises every byte: testdata/step/*.txtar, with the lines typed in
// "script" and what comes back in "stdout". The images are disk.img.
type stepScript struct {
	name, script, stdout string
}

func readStepScripts(t *testing.T) []stepScript {
	t.Helper()
	paths, err := filepath.Glob("testdata/step/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no step scripts: %v", err)
	}
	var scripts []stepScript
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := stepScript{name: strings.TrimSuffix(filepath.Base(path), ".txtar")}
		for _, f := range archive.Files {
			switch f.Name {
			case "script":
				s.script = string(f.Data)
			case "stdout":
				s.stdout = string(f.Data)
			default:
				t.Fatalf("%s: unknown entry %q", path, f.Name)
			}
		}
		scripts = append(scripts, s)
	}
	return scripts
}

// stepRuns is how often every script runs.
func stepRuns() int { return blockdevtest.Rounds(12, 1000) }

// TestStep runs each script many times, with one thread, two and eight.
func TestStep(t *testing.T) {
	t.Parallel()
	for _, s := range readStepScripts(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for i := range stepRuns() {
				threads := fmt.Sprintf("GOMAXPROCS=%d", []int{1, 2, 8}[i%3])
				p := program{path: asBlksh.path, env: []string{threads}}
				if diff := s.want().diff(
					s.run(t, p, dir, "--dialect", "qemu", "--step")); diff != "" {
					t.Fatalf("run %d, %s:\n%s", i, threads, diff)
				}
			}
		})
	}
}

// readsInFlight are the scripts that read what a request in flight writes. The
// original does not order such requests, so what its reads find is left open.
var readsInFlight = []string{"many-in-flight", "resume-then-look"}

// TestStepAgainstOriginal compares the scripts with the real program, to which
// the order is free: as sets of lines.
func TestStepAgainstOriginal(t *testing.T) {
	t.Parallel()
	p := reference(t)
	for _, s := range readStepScripts(t) {
		if slices.Contains(readsInFlight, s.name) {
			continue
		}
		want, got := s.want(), s.run(t, p, t.TempDir())
		want.stdout, got.stdout = lineSet(want.stdout), lineSet(got.stdout)
		if diff := want.diff(got); diff != "" {
			t.Errorf("%s:\n%s", s.name, diff)
		}
	}
}

func (s stepScript) want() answer { return answer{status: "exit 0", stdout: s.stdout} }

// run runs the script on a fresh disk in dir.
func (s stepScript) run(t *testing.T, p program, dir string, args ...string) answer {
	t.Helper()
	if err := fixtures.copyTo(dir, "disk.img"); err != nil {
		t.Fatal(err)
	}
	a, err := p.run(run{dir: dir, args: args, stdin: s.script})
	if err != nil {
		t.Fatal(err)
	}
	var f filter
	a.stdout, a.stderr = f.text(a.stdout), f.text(a.stderr)
	return a
}

// lineSet sorts lines and takes the prompts out of them, the last one included.
func lineSet(s string) string {
	prompts := strings.NewReplacer("qemu-io> ", "", "blksh> ", "", noNewline, "")
	lines := strings.SplitAfter(prompts.Replace(s), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" || l == "\n" })
	slices.Sort(lines)
	return strings.Join(lines, "")
}
