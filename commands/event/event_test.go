package event

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every type of event has its word in All, and a kind of its own.
func TestAll(t *testing.T) {
	var listed []string
	kinds := map[string]string{} // kind: type
	for _, e := range All() {
		name := reflect.TypeOf(e).Name()
		listed = append(listed, name)
		kind := e.Kind().Name
		if kinds[kind] != "" {
			t.Errorf("%s and %s are both of kind %q", kinds[kind], name, kind)
		}
		kinds[kind] = name
	}
	for name, file := range declared(t) {
		if !slices.Contains(listed, name) {
			t.Errorf("All wants a word for %s of %s", name, file)
		}
	}
}

// declared are the types that have a method Kind of their own, and the files that have it.
func declared(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	names := map[string]string{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name != "Kind" {
				continue
			}
			names[f.Recv.List[0].Type.(*ast.Ident).Name] = path
		}
	}
	return names
}

// Each field says what it is in JSON, or that it is not there.
func TestFieldsHaveTags(t *testing.T) {
	for _, e := range All() {
		told := any(e)
		if teller, ok := e.(Teller); ok {
			told = teller.Told()
		}
		checkTags(t, reflect.TypeOf(told))
	}
}

func checkTags(t *testing.T, s reflect.Type) {
	for i := range s.NumField() {
		f := s.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			checkTags(t, f.Type)
		case name == "-":
		case name == "":
			t.Errorf("%s.%s wants a tag json", s, f.Name)
		}
		if unit := f.Tag.Get("unit"); unit != "" && unit != "bytes" && unit != "ns" {
			t.Errorf("%s.%s: unknown unit %q", s, f.Name, unit)
		}
	}
}
