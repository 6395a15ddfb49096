package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFeatures holds the page of features against the tests: each row says how far it has come and
// what is missing, and what proves it is there.
func TestFeatures(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(pagesFolder + "features.md")
	if err != nil {
		t.Fatal(err)
	}
	known := namesOfTests(t)
	proof := regexp.MustCompile("^`([^`]+)`$")
	for section, want := range map[string]int{"features": 30, "wishes": 18} {
		_, text, _ := strings.Cut(string(b), "<!-- "+section+":begin -->")
		text, _, _ = strings.Cut(text, "<!-- "+section+":end -->")
		rows := strings.Split(strings.TrimSpace(text), "\n")[2:]
		if len(rows) != want {
			t.Errorf("%d %s, want %d", len(rows), section, want)
		}
		for _, row := range rows {
			cells := strings.Split(strings.Trim(row, "| "), " | ")
			if len(cells) != 4 {
				t.Errorf("%d cells in %s", len(cells), row)
				continue
			}
			missing := strings.Contains(cells[2], "not: ") || strings.Contains(cells[2], "above")
			switch cells[1] {
			case "yes":
			case "part":
				if !missing {
					t.Errorf("%s: what is missing?", cells[0])
				}
			default:
				t.Errorf("%s: %s is no state", cells[0], cells[1])
			}
			for _, name := range strings.Split(cells[3], ", ") {
				m := proof.FindStringSubmatch(name)
				if m == nil || !known[m[1]] {
					t.Errorf("%s: there is no test %s", cells[0], name)
				}
			}
		}
	}
}

// namesOfTests are the tests of all packages, and the native scripts.
func namesOfTests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	begin := regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(t \*testing\.T\)`)
	err := filepath.WalkDir("..", func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range begin.FindAllSubmatch(b, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("testdata/native/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("native scripts: %q, %v", scripts, err)
	}
	for _, script := range scripts {
		names[filepath.Base(script)] = true
	}
	return names
}
