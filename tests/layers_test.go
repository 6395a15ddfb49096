package tests

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/blksh/blksh/"

// layers says who may import whom of the house, tests aside. The first line
// whose folder matches a package holds. "X/..." is X and all below it, and "X/*"
// what is one below.
var layers = []struct {
	folder string
	may    []string
}{
	{"cmd/blksh", []string{"repl", "commands/...", "blockdev", "blockdev/nbd", "blockdev/driver", "blockdev/drivers", "blockdev/target"}},
	{"repl", []string{"commands/session", "commands/print", "commands/event", "commands/args", "blockdev", "blockdev/target"}},
	{"commands/dialect", []string{"commands", "commands/session", "commands/print", "commands/event", "commands/args", "blockdev", "blockdev/driver", "verify"}},
	{"commands", []string{"commands/session", "commands/stream", "commands/copier", "commands/load", "commands/event", "commands/args", "blockdev", "blockdev/driver", "blockdev/target", "blockdev/undo", "verify", "verify/fio", "verify/job"}},
	{"commands/session", []string{"commands/event", "commands/args", "blockdev", "blockdev/driver", "blockdev/inuse", "blockdev/target", "blockdev/undo", "blockdev/wait", "verify"}},
	{"commands/manual", []string{"commands/dialect", "commands/session", "commands/topics", "blockdev", "blockdev/driver", "blockdev/drivers", "verify/fio"}},
	{"commands/topics", []string{"commands/session"}},
	{"commands/print", []string{"commands/event", "commands/args", "blockdev", "blockdev/driver", "verify", "verify/fio", "verify/job"}},
	{"commands/stream", []string{"blockdev", "blockdev/wait"}},
	{"commands/copier", []string{"commands/stream", "blockdev", "blockdev/driver", "blockdev/wait"}},
	{"commands/load", []string{"verify", "verify/job"}},
	{"commands/event", []string{"commands/args", "blockdev", "blockdev/driver", "blockdev/undo", "verify", "verify/fio", "verify/job"}},
	{"commands/args", nil},
	{"verify", nil},
	{"verify/fio", []string{"verify"}},
	{"verify/job", []string{"verify", "verify/fio"}},
	{"blockdev", []string{"blockdev/driver", "blockdev/wait", "blockdev/internal/..."}},
	{"blockdev/driver", []string{"blockdev/wait"}},
	{"blockdev/wait", nil},
	{"blockdev/inuse", nil},
	{"blockdev/drivers", []string{"blockdev/..."}},
	{"blockdev/blockdevtest", []string{"blockdev", "blockdev/driver"}},
	{"blockdev/internal/...", []string{"blockdev/driver", "blockdev/wait", "blockdev/internal/...", "blockdev/target"}},
	{"blockdev/target", []string{"blockdev/driver", "blockdev/internal/imagelock"}},
	{"blockdev/file", []string{"blockdev/driver", "blockdev/internal/...", "blockdev/target"}},
	{"blockdev/*", []string{"blockdev/driver", "blockdev/wait", "blockdev/internal/..."}},
	{"tests", nil},
	{"tests/bench", nil},
}

// TestLayers holds every import of the house against the table.
func TestLayers(t *testing.T) {
	t.Parallel()
	eachSource(t, func(file string) { checkImports(t, file) })
}

// eachSource calls do with every source file of the house, tests aside.
func eachSource(t *testing.T, do func(file string)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		files++
		do(file)
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files, %v", files, err)
	}
}

// checkImports checks the imports of one file.
func checkImports(t *testing.T, file string) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.ToSlash(filepath.Dir(strings.TrimPrefix(file, "../")))
	may, known := importsOf(folder)
	if !known {
		t.Errorf("%s: the table does not name %s", file, folder)
		return
	}
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		ours, ok := strings.CutPrefix(name, module)
		if ok && !allowed(may, ours) {
			t.Errorf("%s: %s may not import %s", file, folder, ours)
		}
	}
}

func importsOf(folder string) (may []string, known bool) {
	for _, l := range layers {
		if matches(l.folder, folder) {
			return l.may, true
		}
	}
	return nil, false
}

func allowed(may []string, name string) bool {
	return slices.ContainsFunc(may, func(m string) bool { return matches(m, name) })
}

func matches(pattern, name string) bool {
	if root, below := strings.CutSuffix(pattern, "/..."); below {
		return name == root || strings.HasPrefix(name, root+"/")
	}
	ok, _ := path.Match(pattern, name)
	return ok
}
