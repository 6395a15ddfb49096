package print

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
)

// Type is what the value of a field is.
type Type string

// The types of fields.
const (
	Text   Type = "string"
	Int    Type = "integer" // of 64 bits
	Bool   Type = "boolean"
	Base64 Type = "base64"
	Texts  Type = "array of strings"
	Object Type = "object"
	ID     Type = "integer or string"
	List   Type = "array of objects"
	// Path is a file name. One that is not UTF-8 comes in base64, as a field whose name has "_b64"
	// behind it.
	Path Type = "path"
)

// Field is one field of an object.
type Field struct {
	Name   string
	Type   Type
	Unit   string // of a number: bytes or ns
	Always bool   // otherwise it is left out where it says nothing
	Doc    string
}

// Kind is one kind of object.
type Kind struct {
	event.Kind
	Fields []Field // besides those of Envelope
	// Failure: it says why a command failed. Such an object has the fields "error", which is true,
	// "message" and perhaps "hint".
	Failure bool
}

// The fields that an object of any kind may have: where it belongs, before those of its kind, and
// behind them what a failure is.
type (
	place struct {
		Line  int    `json:"line,omitempty" doc:"number of the input line it belongs to, from 1; lines of scripts count on"`
		Pos   string `json:"pos,omitempty" doc:"where that line stands in a script, as file:line"`
		Image string `json:"image,omitempty" doc:"name of the image it belongs to"`
		// ID is that of the program, or else the number in the background.
		ID event.RequestID `json:"id,omitempty" doc:"the request it belongs to: as a request of JSON called itself, or the number of one in the background"`
		// Schema is 0 but in the first object.
		Schema int `json:"schema,omitempty" doc:"version of this JSON, in the first object and the last"`
	}
	outcome struct {
		Error   bool   `json:"error,omitempty" doc:"true: the command failed for this"`
		Message string `json:"message,omitempty" doc:"a failure in a sentence"`
		Hint    string `json:"hint,omitempty" doc:"what to do about it"`
	}
)

// Envelope is the fields that an object of any kind may have.
func Envelope() []Field {
	list := []Field{{Name: "kind", Type: Text, Always: true, Doc: "what the object tells of"}}
	return planOf(reflect.TypeFor[outcome]()).fields(planOf(reflect.TypeFor[place]()).fields(list))
}

// Schema is every kind of object, sorted by name. It is computed from the events, as is what JSON
// encodes by, so it cannot be stale.
func Schema() []Kind {
	var list []Kind
	for _, e := range event.All() {
		_, failure := e.(event.Reason)
		list = append(list, Kind{e.Kind(), planOf(reflect.TypeOf(told(e))).fields(nil), failure})
	}
	slices.SortFunc(list, func(a, b Kind) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// told is the struct that JSON has for an event.
func told(e event.Event) any {
	if t, ok := e.(event.Teller); ok {
		return t.Told()
	}
	return e
}

// plan is how the fields of a struct are told, in their order.
type plan []column

// column is one field of a struct: either one field of the object, or several that stand among the
// others.
type column struct {
	Field
	index  int
	head   string                     // `,"name":`
	skips  func(v reflect.Value) bool // nil: nothing
	append encode

	inline plan
	inner  func(v reflect.Value) reflect.Value // the struct that inline is about
}

// encode appends a value as JSON.
type encode func(b []byte, v reflect.Value) []byte

// plans has the plan of each struct that was told so far. Most runs write no JSON and make none.
var plans sync.Map // reflect.Type: plan

func planOf(t reflect.Type) plan {
	if p, ok := plans.Load(t); ok {
		return p.(plan)
	}
	p := plan{}
	for i := range t.NumField() {
		if c, ok := columnOf(t.Field(i), i); ok {
			p = append(p, c)
		}
	}
	plans.Store(t, p)
	return p
}

// columnOf reads the tags of a field, see package event.
func columnOf(f reflect.StructField, index int) (column, bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	kind := f.Tag.Get("type")
	switch {
	case kind == "cause":
		return column{index: index, inline: planOf(reflect.TypeFor[cause]()), inner: causeIn}, true
	case f.Anonymous && name == "":
		self := func(v reflect.Value) reflect.Value { return v }
		return column{index: index, inline: planOf(f.Type), inner: self}, true
	case name == "" || name == "-":
		return column{}, false
	}
	c := column{index: index, head: `,"` + name + `":`, skips: skipped(options, f.Tag.Get("omit"))}
	c.Field = Field{Name: name, Unit: f.Tag.Get("unit"), Always: c.skips == nil, Doc: docOf(f)}
	c.Type, c.append = encoderOf(f.Type)
	switch {
	case kind == "path":
		c.Type = Path
	case options == "string":
		number := c.append
		c.Type = Text
		c.append = func(b []byte, v reflect.Value) []byte {
			return append(number(append(b, '"'), v), '"')
		}
	}
	return c, true
}

// docOf is what a field says, with its values where the type knows all of them.
func docOf(f reflect.StructField) string {
	doc := f.Tag.Get("doc")
	if known, ok := reflect.Zero(f.Type).Interface().(interface{ Values() []string }); ok {
		values := known.Values()
		last := len(values) - 1
		doc += ": " + strings.Join(values[:last], ", ") + " or " + values[last]
	}
	return doc
}

// skipped says which values are left out, nil if none are.
func skipped(options, omit string) func(v reflect.Value) bool {
	switch {
	case options == "omitempty":
		return func(v reflect.Value) bool {
			if k := v.Kind(); k == reflect.Slice || k == reflect.Map {
				return v.Len() == 0
			}
			return v.IsZero()
		}
	case omit == "negative":
		return func(v reflect.Value) bool { return v.Int() < 0 }
	}
	return nil
}

// fields appends the fields that the plan makes.
func (p plan) fields(list []Field) []Field {
	for _, c := range p {
		if c.inline != nil {
			list = c.inline.fields(list)
		} else {
			list = append(list, c.Field)
		}
	}
	return list
}

// encoderOf is what values of a Go type are in JSON.
func encoderOf(t reflect.Type) (Type, encode) {
	switch {
	case t == reflect.TypeFor[error]():
		return Text,
			func(b []byte, v reflect.Value) []byte {
				return appendText(b, words(v.Interface().(error)))
			}
	case t == reflect.TypeFor[blockdev.Notice]():
		return Text, appendNotice
	case t == reflect.TypeFor[event.Schema]():
		return Int, func(b []byte, _ reflect.Value) []byte {
			return fmt.Append(b, event.SchemaVersion)
		}
	case t == reflect.TypeFor[event.RequestID]():
		return ID, func(b []byte, v reflect.Value) []byte {
			return appendVisible(b, []byte(v.String()))
		}
	case t == reflect.TypeFor[[]blockdev.Detail]():
		return Object, appendDetails
	case t == reflect.TypeFor[[]blockdev.Layer]():
		return List, appendLayers
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return Text, appendOther
	}
	switch t.Kind() {
	case reflect.Bool:
		return Bool, appendBool
	case reflect.Int, reflect.Int64:
		return Int, appendInt
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		return Int, appendUint
	case reflect.String:
		return Text, func(b []byte, v reflect.Value) []byte { return appendText(b, v.String()) }
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Struct {
			break
		}
		is, inner := encoderOf(t.Elem())
		return is, func(b []byte, v reflect.Value) []byte { return inner(b, v.Elem()) }
	case reflect.Slice:
		return sliceOf(t.Elem())
	}
	return Object, appendOther
}

func sliceOf(elem reflect.Type) (Type, encode) {
	switch elem.Kind() {
	case reflect.Uint8:
		return Base64, func(b []byte, v reflect.Value) []byte { return appendBase64(b, v.Bytes()) }
	case reflect.String:
		return Texts, appendSlice
	}
	return List, appendSlice
}
