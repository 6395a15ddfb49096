package print

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
)

// hostile is a name that would change colours, go on in another line, turn the text round, and is
// no UTF-8.
const hostile = "a\x1b[31m\a\r\n\u009b\u202eb\xff\u200b"

const hostileShown = `a\x1b[31m\x07\x0d\x0a\u009b\u202eb\xff\u200b`

func TestVisible(t *testing.T) {
	for _, c := range []struct{ in, strict, controls string }{
		{"plain, Привет, 日本\u3000語", "=", "="},
		{hostile, hostileShown, "a\\x1b[31m\\x07\\x0d\\x0a\\u009b\u202eb\xff\u200b"},
		{`back\slash`, "=", "="},
		{"\x00\x7f", `\x00\x7f`, `\x00\x7f`},
		{"\ufffd", "=", "="},
		{"\xe4\xb8", `\xe4\xb8`, "="},
	} {
		for _, form := range []struct {
			got, want string
		}{{visible(c.in), c.strict}, {visibleControls(c.in), c.controls}} {
			if want := strings.Replace(form.want, "=", c.in, 1); form.got != want {
				t.Errorf("%q: %q, want %q", c.in, form.got, want)
			}
		}
	}
	if got := visibleLines("a\n\tb\x1b"); got != "a\n\tb\\x1b" {
		t.Errorf("lines: %q", got)
	}
}

// fill puts hostile into every text that v can hold, down to a depth: a tree of details may go on
// for ever.
func fill(v reflect.Value, depth int) {
	if depth == 0 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), depth-1)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), depth-1)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth-1)
	case reflect.Interface:
		for _, filling := range []any{
			errors.New(hostile),
			driver.ProbedRaw{File: hostile},
			hostile,
		} {
			if reflect.TypeOf(filling).Implements(v.Type()) {
				v.Set(reflect.ValueOf(filling))
				return
			}
		}
	}
}

// Whatever an event holds, the shell shows nothing that does more to a terminal than appear, as
// text or as JSON. What is new in an event is part of this by itself.
func TestEventsAreVisible(t *testing.T) {
	for _, sample := range event.All() {
		e := reflect.New(reflect.TypeOf(sample)).Elem()
		fill(e, 6)
		var b bytes.Buffer
		out := NewStdout(&b, false)
		for _, p := range []interface {
			Print(event.Where, event.Event) bool
			Flush()
		}{NewNative(out, &b, "blksh"), &JSON{Out: out}} {
			p.Print(event.Where{Pos: hostile + ":1", Command: "x", Image: hostile},
				e.Interface().(event.Event))
			p.Flush()
			for i, r := range b.String() {
				_, n := utf8.DecodeRuneInString(b.String()[i:])
				if !unicode.IsGraphic(r) && r != '\n' && r != '\t' || r == utf8.RuneError &&
					n == 1 {
					t.Errorf("%T by %T: %q", sample, p, b.String())
					break
				}
			}
			b.Reset()
		}
	}
}

// In the qemu dialects an error, in which a name of an image stands, shows no control characters.
func TestQEMUErrorsAreVisible(t *testing.T) {
	var b bytes.Buffer
	out := NewStdout(&b, false)
	q := &QEMU{Out: out, Err: &b, Name: "qemu-io"}
	q.Print(event.Where{},
		event.OpenFailed{
			Name: "x",
			Err:  errors.Join(errors.New("é\xff\x1b[2J"), errors.New("two\nthree")),
		})
	out.Flush()
	if want := "qemu-io: can't open device x: é\xff\\x1b[2J\ntwo\\x0athree\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
