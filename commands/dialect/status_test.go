package dialect

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
)

// TestNativeStatus is what help exit promises.
func TestNativeStatus(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{event.Fail(event.Mismatch{}), 1},
		{session.Shown(event.Fail(event.Checked{})), 1},
		{event.Fail(event.Unexpected{}), 1},
		{event.Fail(event.BadCount{}), 2},
		{event.Fail(event.ScriptFailed{Err: syscall.ENOENT}), 2},
		{event.Fail(event.Failed{Op: "write", Err: &blockdev.AlignError{}}), 2},
		{event.Fail(event.Report{Err: blockdev.ErrReadOnly}), 2},
		{event.Fail(event.Report{Err: errors.New("refused")}), 2},
		{blockdev.ErrReadOnly, 2},
		{event.Fail(event.OpenFailed{Err: syscall.ENOENT}), 3},
		{event.Fail(event.OpenFailed{Err: fmt.Errorf("locked: %w", syscall.EAGAIN)}), 4},
		{event.Fail(event.Report{Err: syscall.EBUSY}), 4},
		{event.Fail(event.Failed{Op: "write", Err: syscall.EIO}), 5},
		{event.Fail(event.Report{Err: syscall.EIO}), 5},
		{event.Fail(event.CloseFailed{Err: syscall.ENOSPC}), 5},
		{event.Fail(event.Abandoned{Requests: 1}), 5},
		{&session.OutputError{Err: syscall.ENOSPC}, 5},
		{fmt.Errorf("%w: %w", session.ErrInterrupted, event.Fail(event.Failed{Err: syscall.EIO})), 130},
		{event.Fail(event.Interrupted{}), 130},
		{&session.OutputError{Err: &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}}, 141},
	} {
		if got := nativeStatus(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

// TestEveryFailureHasAStatus wants a status for each kind of event that JSON calls a failure, and for each that some command fails with.
func TestEveryFailureHasAStatus(t *testing.T) {
	failures := map[string]string{} // kind: where it was found
	for _, k := range print.Schema() {
		if k.Failure {
			failures[k.Name] = "the schema of JSON"
		}
	}
	kinds := eventKinds(t)
	for _, pattern := range []string{"../*.go", "../session/*.go", "../../cmd/blksh/*.go"} {
		for _, name := range failingTypes(t, pattern) {
			if kinds[name] == "" {
				t.Fatalf("%s: event.Fail with %s, which is no event", pattern, name)
			}
			failures[kinds[name]] = pattern
		}
	}
	if len(failures) < 25 {
		t.Fatalf("only %d kinds of failures were found", len(failures))
	}
	for kind, where := range failures {
		if statuses[kind] == nil {
			t.Errorf("%s (%s) has no exit status", kind, where)
		}
	}
	for kind := range statuses {
		if failures[kind] == "" {
			t.Errorf("%s has an exit status and is no failure", kind)
		}
	}
}

// sources parses files but for tests.
func sources(t *testing.T, pattern string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// eventKinds is the kind of each type of event, as its method Kind says it.
func eventKinds(t *testing.T) map[string]string {
	t.Helper()
	kinds := map[string]string{}
	for _, f := range sources(t, "../event/*.go") {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != "Kind" || len(fn.Body.List) != 1 {
				continue
			}
			result, ok := fn.Body.List[0].(*ast.ReturnStmt)
			if !ok {
				continue
			}
			if word, ok := result.Results[0].(*ast.BasicLit); ok {
				kinds[typeName(fn.Recv.List[0].Type)], _ = strconv.Unquote(word.Value)
			}
		}
	}
	return kinds
}

// failingTypes are the types of the events that event.Fail is called with: as a literal, or as a variable that was made as one or is a
// parameter.
func failingTypes(t *testing.T, pattern string) []string {
	t.Helper()
	var found []string
	for _, f := range sources(t, pattern) {
		variables := map[string]string{}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Field:
				for _, name := range n.Names {
					variables[name.Name] = typeName(n.Type)
				}
			case *ast.AssignStmt:
				name, isName := n.Lhs[0].(*ast.Ident)
				if literal, ok := n.Rhs[0].(*ast.CompositeLit); ok && isName {
					variables[name.Name] = typeName(literal.Type)
				}
			case *ast.CallExpr:
				if !isFail(n) {
					return true
				}
				switch arg := n.Args[0].(type) {
				case *ast.CompositeLit:
					found = append(found, typeName(arg.Type))
				case *ast.Ident:
					found = append(found, variables[arg.Name])
				default:
					t.Errorf("%s: event.Fail of something that this test does not understand", pattern)
				}
			}
			return true
		})
	}
	return found
}

func isFail(call *ast.CallExpr) bool {
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || fn.Sel.Name != "Fail" || len(call.Args) != 1 {
		return false
	}
	pkg, ok := fn.X.(*ast.Ident)
	return ok && pkg.Name == "event"
}

// typeName is the last word of a type's name.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}
