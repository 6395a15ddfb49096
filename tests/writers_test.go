package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writers are the functions that open, make or rename files by a path, each of which would be a way
// around the rule of what may be overwritten (blockdev/target). Reading by os.Open and os.ReadFile
// is free.
var writers = map[string][]string{
	"os":   {"Create", "CreateTemp", "OpenFile", "WriteFile", "Rename", "Truncate", "OpenRoot", "Link", "Symlink"},
	"unix": {"Open", "Openat", "Openat2", "Creat", "Rename", "Renameat", "Renameat2", "Truncate", "Link", "Linkat", "Mknod"},
	"syscall": {
		"Open", "Openat", "Creat", "Rename", "Renameat", "Truncate", "Link", "Mknod",
	},
}

// mayWrite are the files that call them all the same, with the reason.
var mayWrite = map[string]string{
	"blockdev/target/pin.go":                            "opens what was judged",
	"blockdev/target/made.go":                           "makes what has no name yet, or where nothing is",
	"blockdev/target/rename.go":                         "names what was made by the rule",
	"blockdev/inuse/inuse.go":                           "looks at devices, for reading",
	"blockdev/inuse/stack.go":                           "looks at loop devices, for reading",
	"blockdev/hostdevice/probe.go":                      "asks a drive for its tray, for reading",
	"blockdev/snapshot.go":                              "makes a temporary file under a fresh name",
	"blockdev/blockdevtest/ceph.go":                     "is for tests",
	"blockdev/blockdevtest/certificates.go":             "is for tests",
	"blockdev/blockdevtest/host.go":                     "is for tests",
	"blockdev/nbd/program.go":                           "keeps a reference to a socket that it has made",
	"blockdev/nbd/unixsocket.go":                        "keeps a reference to a socket while it connects to it",
	"commands/session/device.go":                        "keeps a device that was judged, for reading",
	"repl/history.go":                                   "makes the history where none is, and renames a fresh file over it",
	"blockdev/internal/engine/enginetest/enginetest.go": "is for tests",
}

// TestFilesAreOpenedByTheRule finds every call that could overwrite a file.
func TestFilesAreOpenedByTheRule(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	eachSource(t, func(file string) {
		name := filepath.ToSlash(strings.TrimPrefix(file, "../"))
		if strings.HasPrefix(name, "tests/") || strings.HasPrefix(name, ".") {
			return
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			called, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := called.X.(*ast.Ident)
			if !ok || !slices.Contains(writers[from.Name], called.Sel.Name) {
				return true
			}
			if used[name] = true; mayWrite[name] == "" {
				t.Errorf("%s: %s.%s opens a file by its path; blockdev/target and Session.ReplaceFile do that by the rule", set.Position(n.Pos()), from.Name, called.Sel.Name)
			}
			return true
		})
	})
	for name := range mayWrite {
		if !used[name] {
			t.Errorf("%s needs no exception any more", name)
		}
	}
}
