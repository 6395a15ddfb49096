package print

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/event"
)

// Every event has its words: its own or a case in the switch of Native or, for those that speak as
// qemu-io does, in that of QEMU; and a failure that has none of its own has one in the switch of
// reason or of sentence. None has two.
func TestEveryEventHasWords(t *testing.T) {
	native, qemu := cases(t, "native.go", "Print"), cases(t, "qemu.go", "Print")
	reasons := append(cases(t, "reason.go", "reason"), cases(t, "reason.go", "sentence")...)
	for _, e := range event.All() {
		name := reflect.TypeOf(e).Name()
		_, fails := e.(event.Reason)
		_, worded := e.(event.Worded)
		cased := slices.Contains(native, name) || slices.Contains(qemu, name)
		if fails {
			cased = slices.Contains(reasons, name)
		}
		switch {
		case worded && (fails && cased || !fails && slices.Contains(native, name)):
			t.Errorf("event.%s has its own words, and nobody comes to hear them", name)
		case worded || cased:
		case fails:
			t.Errorf("event.%s is a failure: it wants a method Words, or a case of sentence in reason.go",
				name)
		default:
			t.Errorf("event.%s has no words: it wants a method Words, or a case of Native.Print in native.go",
				name)
		}
	}
}

// Where an event is worded is found at once: each switch is sorted.
func TestSwitchesAreSorted(t *testing.T) {
	for _, s := range []struct{ file, function string }{
		{"native.go", "Print"},
		{"qemu.go", "Print"},
		{"qemu24.go", "Print"},
		{"reason.go", "reason"},
		{"reason.go", "sentence"},
		{"advice.go", "advice"},
		{"notice.go", "noticeWords"},
	} {
		names := cases(t, s.file, s.function)
		others := map[string]bool{"Reason": true, "Worded": true} // which come last
		for n := len(names); n > 0 && others[names[n-1]]; n = len(names) {
			names = names[:n-1]
		}
		if len(names) < 5 || !slices.IsSorted(names) {
			t.Errorf("%s: the cases of %s are not sorted: %v", s.file, s.function, names)
		}
	}
}

// cases are the names of the events that the first switch over types of a function names, in its
// order.
func cases(t *testing.T, file, function string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != function {
			continue
		}
		for _, statement := range f.Body.List {
			s, ok := statement.(*ast.TypeSwitchStmt)
			if !ok {
				continue
			}
			for _, clause := range s.Body.List {
				for _, e := range clause.(*ast.CaseClause).List {
					names = append(names, e.(*ast.SelectorExpr).Sel.Name)
				}
			}
		}
	}
	if names == nil {
		t.Fatalf("%s: %s has no switch over events", file, function)
	}
	return names
}

// A failure that is no result of its own is a line of its own on stderr, and says more than its
// kind.
func TestFailuresSpeak(t *testing.T) {
	results := cases(t, "native.go", "Print")
	for _, e := range event.All() {
		_, fails := e.(event.Reason)
		if !fails || slices.Contains(results, reflect.TypeOf(e).Name()) {
			continue
		}
		v := reflect.New(reflect.TypeOf(e)).Elem()
		if f := v.FieldByName("Err"); f.IsValid() {
			f.Set(reflect.ValueOf(errors.New("why")))
		}
		if f := v.FieldByName("Message"); f.IsValid() {
			f.SetString("why")
		}
		var out, errs bytes.Buffer
		n := NewNative(NewStdout(&out, false), &errs, "blksh")
		n.Print(event.Where{}, v.Interface().(event.Event))
		n.Flush()
		line, _, _ := strings.Cut(errs.String(), "\n")
		if out.Len() > 0 || len(line) <= len("blksh: ") || !strings.HasPrefix(line, "blksh: ") ||
			strings.Contains(line, e.Kind().Doc) {
			t.Errorf("%T: %q, %q", e, out.String(), errs.String())
		}
	}
}

// Every notice of the block layer has words, or is an event of its own.
func TestEveryNoticeHasWords(t *testing.T) {
	worded := append(cases(t, "notice.go", "noticeWords"),
		cases(t, "../event/event.go", "OfNotice")...)
	file, err := parser.ParseFile(token.NewFileSet(), "../../blockdev/driver/notice.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "notice" {
			found++
			if name := f.Recv.List[0].Type.(*ast.Ident).Name; !slices.Contains(worded, name) {
				t.Errorf("driver.%s has no words: noticeWords in notice.go wants a case for it",
					name)
			}
		}
	}
	if found < 10 {
		t.Fatalf("only %d notices were found", found)
	}
}
