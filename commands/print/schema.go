package print

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// SchemaVersion is the version of the JSON that [JSON] writes. New kinds and new fields leave it as it is; it grows when something that
// was there changes or goes.
const SchemaVersion = 1

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
	List   Type = "array of objects"
	// Path is a file name. One that is not UTF-8 comes in base64, as a field whose name has "_b64" behind it.
	Path Type = "path"
)

// Field is one field of an object.
type Field struct {
	Name   string
	Type   Type
	Always bool // otherwise it is left out where it says nothing
	Doc    string
}

// Kind is one kind of object.
type Kind struct {
	Name, Doc string
	Fields    []Field // besides those of Envelope
	// Failure: it says why a command failed. Such an object has the fields "error", which is true, "message" and perhaps "hint".
	Failure bool
}

// Envelope is the fields that an object of any kind may have.
func Envelope() []Field {
	return []Field{
		{"kind", Text, true, "what the object tells of"},
		{"line", Int, false, "number of the input line it belongs to, from 1; lines of scripts count on"},
		{"pos", Text, false, "where that line stands in a script, as file:line"},
		{"image", Text, false, "name of the image it belongs to"},
		{"id", Int, false, "number of the request in the background it belongs to"},
		{"error", Bool, false, "true: the command failed for this"},
		{"message", Text, false, "a failure in a sentence"},
		{"hint", Text, false, "what to do about it"},
	}
}

// Schema is every kind of object, sorted by name. It is what JSON encodes by, so it cannot be stale.
func Schema() []Kind {
	list := make([]Kind, 0, len(kinds()))
	for _, k := range kinds() {
		list = append(list, k.Kind)
	}
	slices.SortFunc(list, func(a, b Kind) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return list
}

// Validate holds one line of output against the schema.
func Validate(line []byte) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one object in a line")
	}
	name, _ := object["kind"].(string)
	k, ok := kinds()[name]
	if !ok {
		return fmt.Errorf("unknown kind %q", name)
	}
	fields := append(Envelope(), k.Fields...)
	for key, value := range object {
		if err := checkField(fields, key, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return missing(name, k.Kind, fields, object)
}

func checkField(fields []Field, key string, value any) error {
	for _, f := range fields {
		switch {
		case f.Type == Path && key == f.Name+pathSuffix:
			return checkType(Base64, key, value)
		case key == f.Name:
			return checkType(f.Type, key, value)
		}
	}
	return fmt.Errorf("unknown field %q", key)
}

func checkType(t Type, key string, value any) error {
	ok := false
	switch t {
	case Text, Path:
		_, ok = value.(string)
	case Bool:
		_, ok = value.(bool)
	case Int:
		if n, isNumber := value.(json.Number); isNumber {
			_, err := n.Int64()
			ok = err == nil
		}
	case Base64:
		if s, isText := value.(string); isText {
			_, err := base64.StdEncoding.DecodeString(s)
			ok = err == nil
		}
	case Object:
		_, ok = value.(map[string]any)
	case Texts:
		ok = allAre[string](value)
	case List:
		ok = allAre[map[string]any](value)
	}
	if !ok {
		return fmt.Errorf("field %q is no %s: %v", key, t, value)
	}
	return nil
}

func allAre[T any](value any) bool {
	list, ok := value.([]any)
	return ok && !slices.ContainsFunc(list, func(v any) bool {
		_, is := v.(T)
		return !is
	})
}

// missing finds what an object must have and has not.
func missing(name string, k Kind, fields []Field, object map[string]any) error {
	for _, f := range fields {
		_, has := object[f.Name]
		if !has && f.Type == Path {
			_, has = object[f.Name+pathSuffix]
		}
		if f.Always && !has {
			return fmt.Errorf("%s: no field %q", name, f.Name)
		}
	}
	_, failed := object["error"]
	if _, said := object["message"]; k.Failure && (!failed || !said) {
		return fmt.Errorf("%s: a failure without error and message", name)
	}
	return nil
}
