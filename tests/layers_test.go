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

type layer struct {
	folder string
	may    []string
}

// layers says who may import whom of the house, tests aside. The first line
// whose folder matches a package holds. "X/..." is X and all below it, and "X/*"
// what is one below.
var layers = []layer{
	{"cmd/blksh", []string{"repl", "commands/...", "blockdev", "blockdev/nbd", "blockdev/driver", "blockdev/drivers", "blockdev/target"}},
	{"repl", []string{"blockdev/target", "commands/units"}},
	{"commands/dialect", []string{"commands", "commands/colour", "commands/session", "commands/print", "commands/event", "commands/args", "commands/units", "blockdev", "blockdev/driver", "verify"}},
	{"commands", []string{"commands/session", "commands/hexedit", "commands/colour", "commands/picture", "commands/stream", "commands/copier", "commands/load", "commands/merge", "commands/event", "commands/args", "commands/units", "blockdev", "blockdev/driver", "blockdev/nbd", "blockdev/nbdserver", "blockdev/target", "blockdev/undo", "verify", "verify/fio", "verify/job", "verify/merkle", "verify/latency", "commands/ondisk"}},
	{"commands/session", []string{"commands/event", "commands/args", "commands/units", "blockdev", "blockdev/driver", "blockdev/inuse", "blockdev/target", "blockdev/undo", "blockdev/wait", "verify"}},
	{"commands/topics", []string{"commands/session"}},
	{"commands/report", []string{"commands/session", "commands/print", "commands/event", "verify/latency", "commands/units"}},
	{"commands/print", []string{"commands/event", "commands/args", "commands/units", "commands/colour", "commands/picture", "blockdev", "blockdev/driver", "verify", "verify/fio", "verify/job"}},
	{"commands/merge", []string{"commands/event", "commands/args", "commands/units", "verify", "verify/merkle"}},
	{"commands/script", []string{"commands/args", "commands/event"}},
	{"commands/stream", []string{"blockdev", "blockdev/wait"}},
	{"commands/copier", []string{"commands/stream", "blockdev", "blockdev/driver", "blockdev/wait"}},
	{"commands/hexedit", []string{"commands/units"}},
	{"commands/load", []string{"verify", "verify/job", "verify/latency"}},
	{"commands/event", []string{"commands/args", "commands/picture", "commands/units", "blockdev", "blockdev/driver", "blockdev/undo", "verify", "verify/fio", "verify/job", "verify/merkle", "verify/latency", "commands/ondisk"}},
	{"commands/args", []string{"commands/units"}},
	{"commands/colour", nil},
	{"commands/units", nil},
	{"commands/ondisk", []string{"commands/units"}},
	{"commands/picture", []string{"commands/units", "commands/colour"}},
	{"verify", nil},
	{"verify/fio", []string{"verify"}},
	{"verify/latency", nil},
	{"verify/merkle", []string{"verify"}},
	{"verify/job", []string{"verify", "verify/fio", "verify/latency"}},
	{"blockdev", []string{"blockdev/driver", "blockdev/wait", "blockdev/internal/..."}},
	{"blockdev/driver", nil},
	{"blockdev/wait", nil},
	{"blockdev/inuse", nil},
	{"blockdev/drivers", []string{"blockdev/..."}},
	{"blockdev/blockdevtest", []string{"blockdev", "blockdev/driver"}},
	{"blockdev/internal/...", []string{"blockdev/driver", "blockdev/wait", "blockdev/inuse", "blockdev/internal/...", "blockdev/target"}},
	{"blockdev/target", []string{"blockdev/driver", "blockdev/internal/imagelock"}},
	{"blockdev/file", []string{"blockdev/driver", "blockdev/internal/...", "blockdev/target"}},
	{"blockdev/nbd", []string{"blockdev/driver", "blockdev/internal/...", "blockdev/target"}},
	{"blockdev/blkdebug", []string{"blockdev/driver", "blockdev/wait", "blockdev/target"}},
	{"blockdev/*", []string{"blockdev/driver", "blockdev/wait", "blockdev/internal/..."}},
	{"tests/bench", nil},
	{"tests/manual", []string{"commands/dialect", "commands/session", "commands/topics", "commands/args", "blockdev", "blockdev/driver", "blockdev/drivers"}},
}

// TestLayers holds every import of the house against the table. A permission that nobody uses is
// out of date: it would let in what nobody has thought of.
func TestLayers(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	eachSource(t, func(file string) { checkImports(t, file, used) })
	for i, l := range layers {
		if !used[l.folder] {
			t.Errorf("the table names %s, where no source is", l.folder)
		}
		if slices.ContainsFunc(layers[:i],
			func(before layer) bool { return matches(before.folder, l.folder) }) {
			t.Errorf("an earlier line than that of %s holds for it", l.folder)
		}
		for _, m := range l.may {
			if !used[l.folder+" "+m] {
				t.Errorf("%s may import %s and does not", l.folder, m)
			}
		}
	}
}

// eachSource calls do with every source file of the house, tests aside.
func eachSource(t *testing.T, do func(file string)) {
	t.Helper()
	eachGoFile(t, func(file string) {
		if !strings.HasSuffix(file, "_test.go") {
			do(file)
		}
	})
}

// eachGoFile calls do with every file of Go.
func eachGoFile(t *testing.T, do func(file string)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() &&
			(d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go"):
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

// checkImports checks the imports of one file, and notes in used which line and which of its
// permissions it needs.
func checkImports(t *testing.T, file string, used map[string]bool) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.ToSlash(filepath.Dir(strings.TrimPrefix(file, "../")))
	at := slices.IndexFunc(layers, func(l layer) bool { return matches(l.folder, folder) })
	if at < 0 {
		t.Errorf("%s: the table does not name %s", file, folder)
		return
	}
	line := layers[at]
	used[line.folder] = true
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		ours, ok := strings.CutPrefix(name, module)
		if !ok {
			continue
		}
		may := slices.IndexFunc(line.may, func(m string) bool { return matches(m, ours) })
		if may < 0 {
			t.Errorf("%s: %s may not import %s", file, folder, ours)
			continue
		}
		used[line.folder+" "+line.may[may]] = true
	}
}

func matches(pattern, name string) bool {
	if root, below := strings.CutSuffix(pattern, "/..."); below {
		return name == root || strings.HasPrefix(name, root+"/")
	}
	ok, _ := path.Match(pattern, name)
	return ok
}
